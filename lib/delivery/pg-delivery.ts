import type { PgChannel } from '../channel/pg-channel.js';
import { toPgChannel } from '../channel/pg-channel.js';
import type { PgGap } from '../channel/pg-gap.js';
import type { PgListener } from '../listener/pg-listener.js';
import { DecodeLane } from './decode-lane.js';
import type { DeliverySink } from './decode-lane.js';
import { SerialQueue } from './serial-queue.js';

/** What the consumers of one registration share: the decode lanes and the queues. */
export class PgDelivery {
  /** By definition; a plain name stands for the default definition of its channel. */
  private readonly lanes = new Map<string | PgChannel, DecodeLane>();
  private readonly queues = new Set<Pick<SerialQueue<unknown>, 'label' | 'isIdle' | 'settled' | 'stop'>>();

  constructor(
    private readonly listener: PgListener,
    private readonly onError: (error: unknown) => void,
  ) {}

  /**
   * Adds a consumer of a channel; returns the function that removes it. The server is told of the first and of the
   * last consumer of a channel.
   */
  attach<T>(channel: string | PgChannel<T>, sink: DeliverySink<T>): () => void {
    const lane = this.lanes.get(channel) ?? this.openLane(channel);
    const detach = lane.attach(sink as DeliverySink);
    return () => {
      detach();
      if (lane.isEmpty && this.lanes.get(channel) === lane) this.lanes.delete(channel);
    };
  }

  /** Adds a consumer of the gaps of all channels; it begins with a `start` gap for each channel that is covered. */
  attachGaps({ gap: onGap, complete }: Required<Pick<DeliverySink, 'gap' | 'complete'>>): () => void {
    const told = new Map<string, Date>();
    const tell = (gap: PgGap): void => {
      const { channel, until } = gap;
      if (told.get(channel) === until) return;
      const own: PgGap = told.has(channel) ? gap : { channel, reason: 'start', until };
      told.set(channel, until);
      onGap(own);
    };
    const detach = this.listener.observeGaps({ gap: tell, complete });
    for (const channel of this.listener.coveredChannels) {
      const until = this.listener.coveredSince(channel);
      if (until) tell({ channel, reason: 'start', until });
    }
    return detach;
  }

  /** A queue that a shutdown waits for. */
  createQueue<T>(label: string, run: (item: T) => Promise<void> | void): SerialQueue<T> {
    const queue = new SerialQueue(label, run);
    this.queues.add(queue);
    return queue;
  }

  /** Resolves when all queues are empty. */
  async settled(): Promise<void> {
    await Promise.all([...this.queues].map((queue) => queue.settled()));
  }

  /** Drops what waits in the queues; returns what was not finished, for a message: the owner, and how many waited. */
  abandon(): readonly string[] {
    const busy = [...this.queues].filter((queue) => !queue.isIdle);
    return busy.map((queue) => {
      const waiting = queue.stop();
      return waiting === 0 ? queue.label : `${queue.label} (and ${waiting} that waited)`;
    });
  }

  private openLane(channel: string | PgChannel): DecodeLane {
    const lane = new DecodeLane(toPgChannel(channel), this.listener, this.onError);
    this.lanes.set(channel, lane);
    return lane;
  }
}
