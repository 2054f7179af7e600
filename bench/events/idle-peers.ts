import { Logger, run, runMigrations } from 'graphile-worker';
import PgBoss from 'pg-boss';
import type { StartIdle } from './idlers.js';

/** With its default interval. */
export const startPgBoss: StartIdle = async (url, consumers) => {
  const boss = new PgBoss({ connectionString: url });
  boss.on('error', (error) => process.emitWarning(error));
  await boss.start();
  for (let index = 0; index < consumers; index += 1) {
    await boss.createQueue(`quiet${index}`);
    await boss.work(`quiet${index}`, () => Promise.resolve());
  }
};

/** Its ten workers share all tasks. */
export const startGraphileWorker: StartIdle = async (url, consumers) => {
  await runMigrations({ connectionString: url });
  const names = Array.from({ length: consumers }, (_, index) => `quiet${index}`);
  await run({
    connectionString: url,
    concurrency: 10,
    pollInterval: 2_000,
    noHandleSignals: true,
    logger: new Logger(() => () => undefined),
    taskList: Object.fromEntries(names.map((name) => [name, () => undefined])),
  });
};
