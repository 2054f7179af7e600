import { BYSTANDERS, type Bystander } from '../events/bystanders.js';
import { newEventDatabase } from '../events/database.js';
import type * as stallProcess from '../events/stall-process.js';
import type { Bench } from '../frame/bench.js';
import type { Figure, Sample, Scenario } from '../frame/scenario.js';
import { median } from '../frame/statistics.js';

const OURS = 'nest-pg-notify';

async function measure(bench: Bench): Promise<Sample> {
  const count = bench.size(60, 6);
  const [url, child] = await Promise.all([
    newEventDatabase(bench, 'CREATE TABLE others (n int)'),
    bench.start<typeof stallProcess>(new URL('../events/stall-process.js', import.meta.url)),
  ]);
  await child.call('start', url);
  await child.call('probe', { url, count: 10 }); // Opens connections, and lets V8 compile.
  let received = 0;
  let expected = 0;
  const probe = async (): Promise<number> => {
    const delays = await child.call('probe', { url, count });
    received += delays.length;
    expected += count;
    return median(delays);
  };

  const figures: Record<string, number> = { undisturbed: await probe() };
  /** How many times as long as just before: the machine may have become slower since the first one. */
  const compare = async (key: string, open: () => Promise<() => Promise<void>>): Promise<void> => {
    const before = await probe();
    const end = await open();
    figures[key] = (await probe()) / before;
    await end();
  };
  for (const [key, { open }] of Object.entries<Bystander>(BYSTANDERS)) await compare(key, () => open(url));
  await compare('slow', async () => {
    await child.call('beginSlow');
    return async () => undefined;
  });
  const lost = expected - received;
  return { figures, sequence: { expected, received, lost, doubled: 0, reordered: 0, dropped: 0 } };
}

const times = (label: string): Figure => ({ label, unit: '×', better: 'less', compared: false });

const scenario: Scenario = {
  name: 'events-stall',
  measures:
    'How many times as long as undisturbed an event is under way (p50) while the transactions of others stand open, which are no concern of its',
  figures: {
    undisturbed: { label: 'undisturbed', unit: 'ms', better: 'less', compared: false },
    ...Object.fromEntries(
      Object.entries<Bystander>(BYSTANDERS).map(([key, { name }]): [string, Figure] => [key, times(name)]),
    ),
    slow: times('a transactional method of another consumer'),
  },
  contestants: [{ name: OURS, role: 'ours', measure }],
  targets: [...Object.keys(BYSTANDERS), 'slow'].map((figure) => ({ contestant: OURS, figure, atMost: 2 })),
  rounds: 3,
};

export default scenario;
