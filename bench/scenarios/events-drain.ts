import type { Bench } from '../frame/bench.js';
import { contestantsOf } from '../frame/contestants.js';
import type { Sample, Scenario } from '../frame/scenario.js';
import { newEventDatabase, runSql } from '../events/database.js';
import type * as drainProcess from '../events/drain-process.js';
import { DRAINS, type DrainName } from '../events/drains.js';

/** How many of the events those take that commit for each one, or that hold jobs of their own. */
const FEWER: Partial<Record<DrainName, number>> = {
  'nest-pg-notify, transactional, one by one': 100_000,
  'pg-boss, fetched by 500': 100_000,
  'graphile-worker, 10 at once': 20_000,
  'graphile-worker, local queue of 500': 20_000,
};

const PER_TRANSACTION = 1_000;
const INSERT = `INSERT INTO nest_events.event (channel, key, payload)
  SELECT 'orders', 'k' || n % 1000, json_build_object('n', n, 'status', 'created', 'note', repeat('x', 120))
  FROM generate_series($first, $last) AS n`;

/** The log that all consumers of a run read, each from its beginning. It is filled once, because that takes longer than reading. */
const filled = new WeakMap<Bench, Promise<string>>();

async function fill(bench: Bench, count: number): Promise<string> {
  const url = await newEventDatabase(bench, 'CREATE TABLE effect (n bigint)');
  const statements: string[] = [];
  for (let first = 0; first < count; first += PER_TRANSACTION) {
    const last = Math.min(first + PER_TRANSACTION, count) - 1;
    statements.push(INSERT.replace('$first', String(first)).replace('$last', String(last)));
  }
  await runSql(url, ...statements, 'ANALYZE', 'CHECKPOINT');
  return url;
}

async function measure(drain: DrainName, bench: Bench): Promise<Sample> {
  const size = bench.size(1_000_000, 20_000);
  const count = Math.min(size, FEWER[drain] ?? size);
  let log = filled.get(bench);
  if (log === undefined) filled.set(bench, (log = fill(bench, size)));
  const own = DRAINS[drain].role === 'peer' ? newEventDatabase(bench) : log;
  const [url, child] = await Promise.all([
    own,
    bench.start<typeof drainProcess>(new URL('../events/drain-process.js', import.meta.url)),
  ]);
  await runSql(url, 'DELETE FROM nest_events.consumer'); // Those of the rounds before.
  const { milliseconds, cpu, sequence } = await child.call('drain', { drain, url, count });
  return { figures: { rate: (count / milliseconds) * 1_000, cpu: (cpu / count) * 1_000 }, sequence };
}

const ONE_BY_ONE = 'nest-pg-notify, one by one';

const scenario: Scenario = {
  name: 'events-drain',
  measures:
    'A consumer that works off a backlog of 1,000,000 events from the beginning of the log; its CPU time is that of Node. The floor reads and parses pages, and remembers its position',
  figures: {
    rate: { label: 'handled', unit: '1/s', better: 'more', digits: 0 },
    cpu: { label: 'CPU', unit: 'µs an event', better: 'less' },
  },
  contestants: contestantsOf(DRAINS, Object.keys(DRAINS) as DrainName[], measure),
  targets: [
    { contestant: ONE_BY_ONE, figure: 'cpu', atMost: 10 },
    { contestant: ONE_BY_ONE, figure: 'rate', atLeast: 50_000 },
    { contestant: 'nest-pg-notify, batches of 500', figure: 'rate', atLeast: 80_000 },
    { contestant: ONE_BY_ONE, figure: 'rate', ratio: 8, against: 'pg-boss, fetched by 500' },
    { contestant: ONE_BY_ONE, figure: 'rate', ratio: 20, against: 'graphile-worker, 10 at once' },
  ],
  quick: true,
  rounds: 3,
};

export default scenario;
