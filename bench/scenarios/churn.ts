import { LISTENERS } from '../channels/loaders.js';
import { namesOf, startChannels } from '../channels/start-channels.js';
import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';

const FEW = 10;
const MANY = 20_000;

const scenario: Scenario = {
  name: 'churn',
  measures: 'One more subscriber that comes and goes, on a channel that has 10 or 20,000 others',
  figures: {
    few: { label: 'beside 10', unit: 'µs', better: 'less' },
    many: { label: 'beside 20,000', unit: 'µs', better: 'less' },
    factor: { label: 'many / few', unit: 'times', better: 'less', compared: false },
    leak: { label: 'memory kept', unit: 'bytes a cycle', better: 'less', compared: false, digits: 1 },
  },
  contestants: contestantsOf(LISTENERS, ['pg', 'nest-pg-notify, Observable'], async (receiver, bench) => {
    const cycles = bench.size(20_000, 500);
    const [first, second] = namesOf(bench, 2) as [string, string];
    const child = await startChannels(bench);
    await child.call('open', { url: bench.url, receiver, channels: [] });
    const beside = async (channel: string, subscribers: number): Promise<{ time: number; bytes: number }> => {
      const { milliseconds, bytes } = await child.call('churn', { channel, subscribers, cycles });
      return { time: (milliseconds * 1_000) / cycles, bytes: bytes / cycles };
    };
    const few = await beside(first, FEW);
    const many = await beside(second, MANY);
    return { figures: { few: few.time, many: many.time, factor: many.time / few.time, leak: many.bytes } };
  }),
  targets: [
    { contestant: 'nest-pg-notify, Observable', figure: 'factor', atMost: 3 },
    { contestant: 'nest-pg-notify, Observable', figure: 'leak', atMost: 8 },
  ],
  cannot: {
    'pg-listen, pg-pubsub, postgres.js, nestjs-pg-notify': 'their subscribers do not come and go by themselves',
  },
};

export default scenario;
