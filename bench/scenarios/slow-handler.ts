import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';
import { FIRST } from '../publisher/payload-shape.js';
import { slowChannelOf } from '../receivers/beside-slow-handler.js';
import { startPublisher } from '../receivers/delivery.js';
import { LATENCY_FIGURES, measureLatency } from '../receivers/latency.js';
import { RECEIVERS } from '../receivers/loaders.js';

const scenario: Scenario = {
  name: 'slow-handler',
  measures: 'Time from COMMIT to the handler while the handler of another channel always runs, for 50 ms each time',
  figures: LATENCY_FIGURES,
  contestants: contestantsOf(
    RECEIVERS,
    ['pg, beside a slow handler', 'nest-pg-notify, beside a slow handler'],
    (receiver, bench) =>
      measureLatency(bench, receiver, async (channel) => {
        const publisher = await startPublisher(bench);
        const count = bench.size(400, 40);
        const shape = { before: '{"seq":', after: '}' };
        await publisher.call('paced', { channel: slowChannelOf(channel), first: FIRST, count, pause: 5, shape });
      }),
  ),
  quick: true,
  targets: [{ contestant: 'nest-pg-notify, beside a slow handler', figure: 'p50', ratio: 1 / 1.2 }],
};

export default scenario;
