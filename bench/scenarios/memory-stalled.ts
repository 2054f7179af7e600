import { setTimeout as sleep } from 'node:timers/promises';
import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';
import { FIRST } from '../publisher/payload-shape.js';
import { startPublisher, startReceiver } from '../receivers/delivery.js';
import { RECEIVERS } from '../receivers/loaders.js';

/** MB: 10,000 notifications of 38 bytes, decoded, and what holds them. */
const FULL_BUFFER = 5;

const scenario: Scenario = {
  name: 'memory-stalled',
  measures:
    'What 1,000,000 messages add to the memory of a process whose handler stands still, after a garbage collection',
  figures: { growth: { label: 'growth', unit: 'MB', better: 'less', digits: 1 } },
  contestants: contestantsOf(
    RECEIVERS,
    ['pg, an array that grows', 'nest-pg-notify, stalled handler'],
    async (receiver, bench) => {
      const count = bench.size(1_000_000, 50_000);
      const channel = bench.newChannel();
      const [child, publisher] = await Promise.all([startReceiver(bench), startPublisher(bench)]);
      await child.call('start', { receiver, url: bench.url, channel, decode: 'json' });
      const before = await child.call('memory');
      const shape = { before: '{"seq":', after: ',"kind":"updated","x":1}' };
      await publisher.call('burst', { channel, first: FIRST, count, perStatement: 1_000, shape });
      while ((await child.call('received')) < count) await sleep(100);
      const after = await child.call('memory');
      return { figures: { growth: (after - before) / 2 ** 20 } };
    },
  ),
  targets: [{ contestant: 'nest-pg-notify, stalled handler', figure: 'growth', atMost: FULL_BUFFER + 16 }],
  rounds: 3,
};

export default scenario;
