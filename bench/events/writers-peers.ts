import { runMigrations } from 'graphile-worker';
import PgBoss from 'pg-boss';
import { CHANNEL } from './numbered.js';
import { ORDER, type ConnectWriter } from './writers.js';

export const connectPgBoss: ConnectWriter = async (url) => {
  const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
  boss.on('error', (error) => process.emitWarning(error));
  await boss.start();
  await boss.createQueue(CHANNEL);
  return (client) =>
    boss.send(CHANNEL, ORDER, { db: { executeSql: (text, values) => client.query(text, values as unknown[]) } });
};

export const connectGraphileWorker: ConnectWriter = async (url) => {
  await runMigrations({ connectionString: url });
  const text = JSON.stringify(ORDER);
  return (client) => client.query('SELECT graphile_worker.add_job($1, $2::json)', [CHANNEL, text]);
};
