import type { Bench } from '../frame/bench.js';
import type { ChildProcess } from '../frame/child-process.js';
import type * as publisherProcess from '../publisher/publisher.js';
import { FIRST, type PayloadShape } from '../publisher/payload-shape.js';
import type { ReceiverName } from './loaders.js';
import type * as receiverProcess from './receiver-process.js';

export interface Delivery {
  readonly receiver: ReceiverName;
  readonly decode: 'json' | 'text';
  readonly shape: PayloadShape;
  readonly count: number;
  /** How many are sent before, so that V8 has compiled what is measured. */
  readonly warmUp: number;
  readonly perStatement: number;
  readonly bufferSize?: number;
  /** @default 1 */
  readonly channels?: number;
  /** @default 1 */
  readonly consumers?: number;
  /** Counts how often the receiver parses JSON, which costs a little. @default false */
  readonly countDecodes?: boolean;
}

/** What the receiver measured, and when the sender's last statement was committed, on the same clock. */
export interface Delivered extends receiverProcess.Received {
  readonly committedAt: number;
}

/** Starts a receiver and a sender, each in its own process, warms them up and measures one burst. */
export async function deliver(bench: Bench, delivery: Delivery): Promise<Delivered> {
  const { receiver, decode, shape, count, warmUp, perStatement, bufferSize, channels, consumers } = delivery;
  const channel = bench.newChannel();
  const [child, publisher] = await Promise.all([startReceiver(bench), startPublisher(bench)]);
  if (delivery.countDecodes) await child.call('countDecodes');
  await child.call('start', { receiver, url: bench.url, channel, decode, bufferSize, channels, consumers });
  await child.call('expect', { first: FIRST, count: warmUp, channels });
  await publisher.call('burst', { channel, channels, first: FIRST, count: warmUp, perStatement: 1_000, shape });
  await child.call('finished');

  const first = FIRST + warmUp;
  await child.call('expect', { first, count, channels });
  const finished = child.call('finished');
  const [committedAt, received] = await Promise.all([
    publisher.call('burst', { channel, channels, first, count, perStatement, shape }),
    finished,
  ]);
  return { ...received, committedAt };
}

export function startReceiver(bench: Bench): Promise<ChildProcess<typeof receiverProcess>> {
  return bench.start<typeof receiverProcess>(new URL('receiver-process.js', import.meta.url));
}

/** A process that is connected and can send. */
export async function startPublisher(bench: Bench): Promise<ChildProcess<typeof publisherProcess>> {
  const module = new URL('../publisher/publisher.js', import.meta.url);
  const publisher = await bench.start<typeof publisherProcess>(module);
  await publisher.call('connect', bench.url);
  return publisher;
}
