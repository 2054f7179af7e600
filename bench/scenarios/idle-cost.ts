import { setTimeout as sleep } from 'node:timers/promises';
import { LISTENERS } from '../channels/loaders.js';
import { startChannels } from '../channels/start-channels.js';
import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';
import { startPublisher } from '../receivers/delivery.js';
import { QUEUES_CANNOT } from '../receivers/queues.js';

/** Milliseconds after which a server process has reported what it counted. */
const REPORTED = 12_000;

const scenario: Scenario = {
  name: 'idle-cost',
  measures:
    'What a process costs that listens to one channel on which nothing happens, with all options at their defaults',
  figures: {
    queries: { label: 'transactions', unit: '1/min', better: 'less', compared: false, digits: 1 },
    cpu: { label: 'CPU', unit: '% of a core', better: 'less', compared: false, digits: 3 },
    wal: { label: 'WAL records', unit: '1/min', better: 'less', compared: false, digits: 1 },
  },
  contestants: contestantsOf(
    LISTENERS,
    ['pg', 'nest-pg-notify, Observable', 'pg-listen', 'pg-pubsub', 'postgres.js'],
    async (receiver, bench) => {
      const milliseconds = bench.size(60_000, 5_000);
      const [child, observer] = await Promise.all([startChannels(bench), startPublisher(bench)]);
      // Autovacuum has transactions of its own, and writes WAL.
      await observer.call('query', 'ALTER SYSTEM SET autovacuum = off');
      await observer.call('query', 'SELECT pg_reload_conf()');
      // A database of its own, so that the server counts its transactions apart from those of the observer.
      const database = bench.newChannel();
      await observer.call('query', `CREATE DATABASE ${database}`);
      const url = new URL(bench.url);
      url.pathname = database;
      await child.call('open', { url: url.href, receiver, channels: ['quiet'] });
      const read = async (): Promise<{ transactions: number; wal: number; cpu: number }> => {
        const [row] = await observer.call(
          'query',
          `SELECT (SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '${database}')::float AS transactions,
                  (SELECT wal_records FROM pg_stat_wal)::float AS wal`,
        );
        return { ...(row as { transactions: number; wal: number }), cpu: await child.call('cpuTime') };
      };
      await sleep(REPORTED);
      const before = await read();
      await sleep(milliseconds);
      const after = await read();
      const minutes = milliseconds / 60_000;
      return {
        figures: {
          queries: (after.transactions - before.transactions) / minutes,
          cpu: (100 * (after.cpu - before.cpu)) / milliseconds,
          wal: (after.wal - before.wal) / minutes,
        },
      };
    },
  ),
  targets: [
    { contestant: 'nest-pg-notify, Observable', figure: 'queries', atMost: 8 },
    { contestant: 'nest-pg-notify, Observable', figure: 'cpu', atMost: 0.1 },
  ],
  cannot: QUEUES_CANNOT,
  rounds: 1,
};

export default scenario;
