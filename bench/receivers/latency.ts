import type { Bench } from '../frame/bench.js';
import { quantile } from '../frame/statistics.js';
import type { Figure, Sample } from '../frame/scenario.js';
import { FIRST } from '../publisher/payload-shape.js';
import { startPublisher, startReceiver } from './delivery.js';
import type { ReceiverName } from './loaders.js';

const SHAPE = { before: '{"seq":', after: ',"kind":"updated","x":1}' };
/** Milliseconds between two notifications: one is under way at a time. */
const PAUSE = 1;

export const LATENCY_FIGURES = {
  p50: { label: 'p50', unit: 'µs', better: 'less', digits: 0 },
  p99: { label: 'p99', unit: 'µs', better: 'less', digits: 0 },
} satisfies Record<string, Figure>;

/** Measures the time from COMMIT to the handler, one notification at a time; `meanwhile` runs beside it. */
export async function measureLatency(
  bench: Bench,
  receiver: ReceiverName,
  meanwhile: (channel: string) => Promise<unknown> = async () => undefined,
): Promise<Sample> {
  const count = bench.size(2_000, 200);
  const warmUp = Math.ceil(count / 4);
  const numbers = { first: FIRST, count: warmUp + count };
  const channel = bench.newChannel();
  const [child, publisher] = await Promise.all([startReceiver(bench), startPublisher(bench)]);
  await child.call('start', { receiver, url: bench.url, channel, decode: 'json' });
  await child.call('expect', { ...numbers, timed: true });
  const [commits] = await Promise.all([
    publisher.call('paced', { ...numbers, channel, pause: PAUSE, shape: SHAPE }),
    meanwhile(channel),
  ]);
  const { arrivals, sequence } = await child.call('finished');
  const latencies = arrivals.map((at, index) => (at - (commits[index] ?? Number.NaN)) / 1_000).slice(warmUp);
  return { figures: { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }, sequence };
}
