import type { Scenario } from '../frame/scenario.js';
import { quantile } from '../frame/statistics.js';
import { FIRST } from '../publisher/payload-shape.js';
import { nameOf, receiving } from '../receivers/contestants.js';
import { startPublisher, startReceiver } from '../receivers/delivery.js';

const SHAPE = { before: '{"seq":', after: ',"kind":"updated","x":1}' };
/** Milliseconds between two notifications: one is under way at a time. */
const PAUSE = 1;

const scenario: Scenario = {
  name: 'latency-idle',
  measures: 'Time from COMMIT to the handler, one notification at a time',
  figures: {
    p50: { label: 'p50', unit: 'µs', better: 'less', digits: 0 },
    p99: { label: 'p99', unit: 'µs', better: 'less', digits: 0 },
  },
  contestants: receiving(
    ['pg', 'handler', 'async handler', 'Observable', 'pg-listen', 'pg-pubsub', 'postgres.js', 'nestjs-pg-notify'],
    async (receiver, bench) => {
      const count = bench.size(2_000, 200);
      const warmUp = Math.ceil(count / 4);
      const channel = bench.newChannel();
      const [child, publisher] = await Promise.all([startReceiver(bench), startPublisher(bench)]);
      await child.call('start', { receiver, url: bench.url, channel, decode: 'json' });
      await child.call('expect', { first: FIRST, count: warmUp + count, timed: true });
      const commits = await publisher.call('paced', {
        channel,
        first: FIRST,
        count: warmUp + count,
        pause: PAUSE,
        shape: SHAPE,
      });
      const { arrivals, sequence } = await child.call('finished');
      const latencies = arrivals.map((at, index) => (at - (commits[index] ?? Number.NaN)) / 1_000).slice(warmUp);
      return { figures: { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }, sequence };
    },
  ),
  targets: [
    { contestant: nameOf('handler'), figure: 'p50', ratio: 0.95 },
    { contestant: nameOf('async handler'), figure: 'p50', ratio: 0.95 },
    { contestant: nameOf('Observable'), figure: 'p50', ratio: 0.95 },
  ],
  quick: true,
};

export default scenario;
