import { Logger, run, runMigrations } from 'graphile-worker';
import PgBoss from 'pg-boss';
import type { StartConsumer, Timed } from './consumers.js';
import { CHANNEL } from './numbered.js';

export const workGraphile: StartConsumer = async (url, onMessage) => {
  await runMigrations({ connectionString: url });
  await run({
    connectionString: url,
    concurrency: 10,
    pollInterval: 1_000,
    noHandleSignals: true,
    logger: new Logger(() => () => undefined),
    taskList: { [CHANNEL]: (message) => onMessage(message as Timed) },
  });
};

/** It knows no wake-ups; 0.5 seconds is the shortest interval that it takes. */
export const workPgBoss: StartConsumer = async (url, onMessage) => {
  const boss = new PgBoss({ connectionString: url });
  boss.on('error', (error) => process.emitWarning(error));
  await boss.start();
  await boss.createQueue(CHANNEL);
  await boss.work<Timed>(CHANNEL, { batchSize: 1_000, pollingIntervalSeconds: 0.5 }, async (jobs) => {
    for (const { data } of jobs) onMessage(data);
  });
};
