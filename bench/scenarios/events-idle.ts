import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { newEventDatabase } from '../events/database.js';
import type * as idleProcess from '../events/idle-process.js';
import { IDLERS, type IdlerName } from '../events/idlers.js';
import { contestantsOf } from '../frame/contestants.js';
import type { Bench } from '../frame/bench.js';
import type { Sample, Scenario } from '../frame/scenario.js';

const CONSUMERS = 20;

/** Milliseconds until consumers poll as seldom as they will, and until the server has reported what it counted. */
const SETTLED = 15_000;

async function measure(idler: IdlerName, bench: Bench): Promise<Sample> {
  const milliseconds = bench.size(60_000, 1_500);
  const [url, child] = await Promise.all([
    newEventDatabase(bench),
    bench.start<typeof idleProcess>(new URL('../events/idle-process.js', import.meta.url)),
  ]);
  await child.call('start', { idler, url, consumers: CONSUMERS });
  // On another database, whose transactions are counted apart.
  const observer = new pg.Client(bench.url);
  await observer.connect();
  const database = new URL(url).pathname.slice(1);
  const read = async (): Promise<{ transactions: number; server: number; node: number }> => {
    const { rows } = await observer.query<{ n: number }>(
      'SELECT (xact_commit + xact_rollback)::float8 AS n FROM pg_stat_database WHERE datname = $1',
      [database],
    );
    return { transactions: rows[0]!.n, server: bench.serverCpu ?? Number.NaN, node: await child.call('cpuTime') };
  };
  await sleep(bench.size(SETTLED, 500));
  const before = await read();
  await sleep(milliseconds);
  const after = await read();
  await observer.end();
  const server = (100 * (after.server - before.server)) / milliseconds;
  return {
    figures: {
      transactions: ((after.transactions - before.transactions) / milliseconds) * 1_000,
      node: (100 * (after.node - before.node)) / milliseconds,
      ...(!Number.isNaN(server) && { server }),
    },
  };
}

const scenario: Scenario = {
  name: 'events-idle',
  measures: `What ${CONSUMERS} consumers cost, each of a channel of its own, while nothing is published`,
  figures: {
    transactions: { label: 'transactions', unit: '1/s', better: 'less', compared: false, digits: 1 },
    server: { label: 'CPU of the server', unit: '% of a core', better: 'less', compared: false },
    node: { label: 'CPU of Node', unit: '% of a core', better: 'less', compared: false },
  },
  contestants: contestantsOf(IDLERS, Object.keys(IDLERS) as IdlerName[], measure),
  targets: [
    { contestant: 'nest-pg-notify, woken', figure: 'transactions', atMost: CONSUMERS },
    { contestant: 'nest-pg-notify, polling only', figure: 'transactions', atMost: CONSUMERS },
  ],
  rounds: 1,
};

export default scenario;
