import type * as consumeProcess from '../events/consume-process.js';
import { CONSUMERS } from '../events/consumers.js';
import { newEventDatabase } from '../events/database.js';
import type * as paceProcess from '../events/pace-process.js';
import type { Bench } from '../frame/bench.js';
import type { Contestant, Figure, Sample, Scenario } from '../frame/scenario.js';
import { quantile } from '../frame/statistics.js';

/** How many a second, and for how many seconds. */
const PACES = [
  { name: '20', rate: 20, seconds: 15, quickSeconds: 0.5 },
  { name: '500', rate: 500, seconds: 8, quickSeconds: 0.3 },
] as const;

/** Opens the connections, and lets V8 compile. */
const WARM_UP = { count: 50, rate: 200 };

const WOKEN = 'nest-pg-notify, woken';

async function measure(name: string, bench: Bench): Promise<Sample> {
  const { publisher } = CONSUMERS[name]!;
  const [url, consumer, publishing] = await Promise.all([
    newEventDatabase(bench, 'CREATE TABLE effect (n bigint)'),
    bench.start<typeof consumeProcess>(new URL('../events/consume-process.js', import.meta.url)),
    bench.start<typeof paceProcess>(new URL('../events/pace-process.js', import.meta.url)),
  ]);
  await consumer.call('start', { consumer: name, url });
  await publishing.call('connect', { url, publisher });
  await consumer.call('expect', WARM_UP.count);
  await publishing.call('pace', WARM_UP);
  await consumer.call('arrived');
  const figures: Record<string, number> = {};
  let missing = 0;
  let doubled = 0;
  let expected = 0;
  for (const pace of PACES) {
    const count = Math.ceil(bench.size(pace.seconds, pace.quickSeconds) * pace.rate);
    await consumer.call('expect', count);
    await publishing.call('pace', { count, rate: pace.rate });
    const { delays, sequence } = await consumer.call('arrived');
    figures[`p50-${pace.name}`] = quantile(delays, 0.5);
    figures[`p99-${pace.name}`] = quantile(delays, 0.99);
    missing += sequence.lost;
    doubled += sequence.doubled;
    expected += count;
  }
  const sequence = { expected, received: expected - missing, lost: missing, doubled, reordered: 0, dropped: 0 };
  return { figures, sequence };
}

const figuresOf = ({ name }: (typeof PACES)[number]): [string, Figure][] =>
  ['p50', 'p99'].map((share) => [
    `${share}-${name}`,
    { label: `${share} at ${name}/s`, unit: 'ms', better: 'less', digits: 1, compared: share === 'p50' },
  ]);

const scenario: Scenario = {
  name: 'events-latency',
  measures:
    'Time from the begin of a transaction that publishes to the handler. The floor is a NOTIFY in its place, of which nothing is kept',
  figures: Object.fromEntries(PACES.flatMap(figuresOf)),
  contestants: Object.entries(CONSUMERS).map(([name, { role }]): Contestant => ({
    name,
    role,
    measure: (bench) => measure(name, bench),
  })),
  targets: [
    { contestant: WOKEN, figure: 'p99-20', atMost: 15 },
    { contestant: WOKEN, figure: 'p99-500', atMost: 30 },
  ],
  rounds: 3,
};

export default scenario;
