import { Logger, run, runMigrations, type RunnerOptions } from 'graphile-worker';
import pg from 'pg';
import PgBoss from 'pg-boss';
import type { StartDrain } from './drains.js';
import { CHANNEL, type Numbered, type NumberedMessages } from './numbered.js';

const PAYLOAD = { status: 'created', note: 'x'.repeat(120) };
const PER_INSERT = 1_000;

/** As fast as it can be used: its own `work()` waits for the next poll after each batch. */
export const drainPgBoss: StartDrain = async (url, messages, count) => {
  const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
  boss.on('error', (error) => process.emitWarning(error));
  await boss.start();
  await boss.createQueue(CHANNEL);
  for (let first = 0; first < count; first += PER_INSERT) {
    const size = Math.min(PER_INSERT, count - first);
    await boss.insert(
      Array.from({ length: size }, (_, index) => ({ name: CHANNEL, data: { n: first + index, ...PAYLOAD } })),
    );
  }
  messages.begin();
  for (;;) {
    const jobs = await boss.fetch<Numbered>(CHANNEL, { batchSize: 500 });
    if (jobs.length === 0) break;
    for (const { data } of jobs) messages.note(data.n);
    await boss.complete(
      CHANNEL,
      jobs.map(({ id }) => id),
    );
  }
};

/** As in its README, where jobs are fetched and completed one by one. */
export const drainGraphileWorker: StartDrain = (url, messages, count) =>
  drainGraphileBy({ concurrency: 10 }, url, messages, count);

/** With what its documentation names for a high throughput: a local queue, and completions that are written together. */
export const drainGraphileWorkerLocally: StartDrain = (url, messages, count) => {
  const worker = { concurrentJobs: 24, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
  return drainGraphileBy({ preset: { worker } }, url, messages, count);
};

async function drainGraphileBy(
  options: RunnerOptions,
  url: string,
  messages: NumberedMessages,
  count: number,
): Promise<void> {
  await runMigrations({ connectionString: url });
  const client = new pg.Client(url);
  await client.connect();
  await client.query(
    `SELECT count(graphile_worker.add_job($1, json_build_object('n', n, 'status', 'created', 'note', repeat('x', 120))))
     FROM generate_series(0, $2::int - 1) AS n`,
    [CHANNEL, count],
  );
  await client.query('ANALYZE');
  await client.end();
  messages.begin();
  await run({
    ...options,
    connectionString: url,
    noHandleSignals: true,
    logger: new Logger(() => () => undefined),
    taskList: { [CHANNEL]: (payload) => messages.note((payload as Numbered).n) },
  });
}
