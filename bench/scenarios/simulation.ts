import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { runSql } from '../events/database.js';
import type { Bench } from '../frame/bench.js';
import type { ChildProcess } from '../frame/child-process.js';
import { processorTimeOf } from '../frame/processor-time.js';
import type { Contestant, Figure, Sample, Scenario } from '../frame/scenario.js';
import { ConnectionCount } from '../simulation/connection-count.js';
import type * as instanceProcess from '../simulation/instance-process.js';
import { BUDGET, CONSUMERS, SHARDS, TABLES, TRANSACTIONAL } from '../simulation/simulated.js';
import { eventLog } from '../../lib/events/index.js';

const INSTANCES = [1, 8, 32];
/** How many are started at a time: a start takes more memory and processor time than what follows. */
const AT_A_TIME = 4;
/** Milliseconds until consumers poll as seldom as they will, and shards have settled. */
const SETTLED = 20_000;
const PATIENCE = 600_000;

const BATCH = 20;
const PUBLISH = `INSERT INTO nest_events.event (channel, key, payload)
  SELECT 'orders', 'k' || n % 100, json_build_object('n', n) FROM generate_series($1::int, $2::int) AS n`;

async function measure(instances: number, bench: Bench): Promise<Sample> {
  const server = await bench.startServer({
    fsync: 'on',
    max_connections: String(instances * BUDGET + 20),
    shared_buffers: '64MB',
  });
  const url = server.url();
  await runSql(url, `${eventLog().up}; ${TABLES}`);
  const client = new pg.Client(url);
  await client.connect();
  const connections = await ConnectionCount.start(server.url('template1'));
  try {
    const children: ChildProcess<typeof instanceProcess>[] = [];
    for (let n = 0; n < instances; n += AT_A_TIME) {
      const names = Array.from({ length: Math.min(AT_A_TIME, instances - n) }, (_, index) => `instance ${n + index}`);
      const started = names.map(async (name) => {
        const module = new URL('../simulation/instance-process.js', import.meta.url);
        const child = await bench.start<typeof instanceProcess>(module);
        await child.call('start', { url, name });
        return child;
      });
      children.push(...(await Promise.all(started)));
    }
    const read = async () => {
      const { rows } = await client.query<{ n: number }>(
        'SELECT (xact_commit + xact_rollback)::float8 AS n FROM pg_stat_database WHERE datname = current_database()',
      );
      const figures = await Promise.all(children.map((child) => child.call('figures')));
      const node = figures.reduce((sum, { cpu }) => sum + cpu, 0);
      return { at: performance.now(), transactions: rows[0]!.n, server: processorTimeOf(server.pid) ?? NaN, node };
    };

    await sleep(bench.size(SETTLED, 2_000));
    const before = await read();
    await sleep(bench.size(30_000, 2_000));
    const idle = await read();

    const events = bench.size(500, 40);
    const prices = bench.size(50, 5);
    const jobs = bench.size(200, 10);
    for (let n = 0; n < events; n += BATCH) {
      await client.query('BEGIN');
      await client.query(PUBLISH, [n, Math.min(n + BATCH, events) - 1]);
      await client.query(`SELECT pg_notify('nest_events', 'orders')`);
      await client.query('COMMIT');
      await sleep(50);
    }
    for (let n = 0; n < prices; n += 1) {
      await client.query(
        `WITH added AS (INSERT INTO price DEFAULT VALUES RETURNING id) SELECT pg_notify('prices', id::text) FROM added`,
      );
    }
    await client.query(`INSERT INTO job (done) SELECT 0 FROM generate_series(1, $1)`, [jobs]);
    await client.query(`SELECT pg_notify('jobs', '')`);

    const expected = events * CONSUMERS;
    await until(async () => {
      const { rows } = await client.query<{ effects: number; open: number }>(
        `SELECT (SELECT count(*)::int FROM effect) AS effects, (SELECT count(*)::int FROM job WHERE done = 0) AS open`,
      );
      const figures = await Promise.all(children.map((child) => child.call('figures')));
      const areLive = figures.every(({ live, received }) => live === prices && received >= prices);
      return rows[0]!.effects >= expected && rows[0]!.open === 0 && areLive;
    });
    const done = await read();
    await sleep(bench.size(3_000, 500)); // Whatever is done twice would be done by now.
    await connections.stop();

    const { rows } = await client.query<{ repeats: number; lost: number; jobs: number; owners: number }>(
      `SELECT (SELECT count(*)::int FROM effect) - (SELECT count(*)::int FROM (SELECT DISTINCT consumer, event FROM effect) AS e) AS repeats,
         $1::int - (SELECT count(*)::int FROM (SELECT DISTINCT consumer, event FROM effect) AS e) AS lost,
         (SELECT count(*)::int FROM job WHERE done <> 1) AS jobs,
         (SELECT count(DISTINCT owner)::int FROM nest_events.consumer) AS owners`,
      [expected],
    );
    const [{ repeats, lost, jobs: wrongJobs, owners } = { repeats: NaN, lost: NaN, jobs: NaN, owners: NaN }] = rows;
    const wrongNotifications = (await Promise.all(children.map((child) => child.call('figures')))).filter(
      ({ received }) => received !== prices,
    ).length;
    const faults = [
      [repeats, 'effects twice'],
      [lost, 'effects missing'],
      [wrongJobs, 'jobs not done once'],
      [wrongNotifications, 'instances with notifications lost or doubled'],
      [Math.max(0, connections.mostOfOne - BUDGET), `connections of an instance beyond ${BUDGET}`],
    ] as const;
    const found = faults.filter(([count]) => count !== 0).map(([count, what]) => `${count} ${what}`);
    if (found.length > 0) throw new Error(`${instances} instances: ${found.join(', ')}.`);

    const idleTime = idle.at - before.at;
    return {
      figures: {
        ofOne: connections.mostOfOne,
        ofAll: connections.mostOfAll,
        owners,
        idleTransactions: ((idle.transactions - before.transactions) / idleTime) * 1_000,
        idleServer: (100 * (idle.server - before.server)) / idleTime,
        idleNode: (100 * (idle.node - before.node)) / idleTime / instances,
        transactions: (done.transactions - idle.transactions) / events,
        server: (done.server - idle.server) / events,
        took: (done.at - idle.at) / 1_000,
      },
    };
  } finally {
    await connections.stop().catch(() => undefined);
    await client.end();
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`Not everything was handled within ${PATIENCE} ms.`);
    await sleep(200);
  }
}

const figure = (label: string, unit: string, digits = 1): Figure => ({
  label,
  unit,
  better: 'less',
  compared: false,
  digits,
});

const nameOf = (instances: number): string => (instances === 1 ? '1 instance' : `${instances} instances`);

const scenario: Scenario = {
  name: 'simulation',
  measures:
    `Instances of one application with a handler, a woken job queue, a live query and ${CONSUMERS} consumers in ${SHARDS} shards each, of which ${TRANSACTIONAL} are transactional. ` +
    `A run fails if an effect happens twice or not at all, or an instance has more than ${BUDGET} connections`,
  figures: {
    ofOne: figure('connections of an instance, at most', '', 0),
    ofAll: figure('connections of all, at most', '', 0),
    owners: figure('instances that own shards', '', 0),
    idleTransactions: figure('idle: transactions', '1/s'),
    idleServer: figure('idle: CPU of the server', '% of a core'),
    idleNode: figure('idle: CPU of an instance', '% of a core'),
    transactions: figure('transactions an event', '', 1),
    server: figure('CPU of the server an event', 'ms'),
    took: figure('all handled after', 's'),
  },
  contestants: INSTANCES.map((instances): Contestant => ({
    name: nameOf(instances),
    role: 'ours',
    measure: (bench) => measure(instances, bench),
  })),
  targets: INSTANCES.map((instances) => ({ contestant: nameOf(instances), figure: 'ofOne', atMost: BUDGET })),
  rounds: 1,
};

export default scenario;
