import type { PgChannel } from '../channel/pg-channel.js';
import type { ListeningTransport } from '../transport/pg-notify-transport.js';
import type { ConsumerContext } from './consumer-context.js';
import { DecodedChannel } from './decoded-channel.js';
import type { ChannelSubscriber, DecodedChannelParts } from './decoded-channel.js';
import { GapSequence } from './gap-sequence.js';

/** The channels of one registration that have subscribers: one for each definition. */
export class DecodedChannels {
  /** Keyed by definition. A plain name stands for the default definition of its channel. */
  private readonly channels = new Map<string | PgChannel, DecodedChannel>();
  /** The channels whose rounded integers were logged. */
  private readonly rounded = new Set<string>();
  private readonly parts: DecodedChannelParts;

  constructor(
    private readonly listener: ListeningTransport,
    private readonly context: ConsumerContext,
  ) {
    const onRounded = (name: string): void => this.announceRounded(name);
    const onEmpty = (definition: string | PgChannel): void => void this.channels.delete(definition);
    this.parts = { listener, context, onRounded, onEmpty };
  }

  /**
   * Adds a subscriber to a channel, and returns a function that removes it. LISTEN is sent for the first subscriber of
   * a channel, and UNLISTEN after the last.
   */
  subscribe<T>(channel: string | PgChannel<T, unknown>, subscriber: ChannelSubscriber<T>): () => void {
    // Statements for one subscriber serve all of them, so they must not run in the async context of the first.
    return this.context.async.runOwn(() => {
      const decoded = this.channels.get(channel) ?? this.open(channel);
      return decoded.subscribe(subscriber as ChannelSubscriber);
    });
  }

  /** Adds a subscriber to the gaps of all channels. It begins with a `start` gap for each covered channel. */
  subscribeToGaps({ gap: take, complete }: Required<Pick<ChannelSubscriber, 'gap' | 'complete'>>): () => void {
    const { listener } = this;
    const sequences = new Map<string, GapSequence>();
    const sequenceOf = (channel: string): GapSequence => {
      const sequence = sequences.get(channel) ?? new GapSequence(take);
      sequences.set(channel, sequence);
      return sequence;
    };
    const unsubscribe = listener.observeGaps({
      gap: (gap, acknowledgement) => sequenceOf(gap.channel).next(gap, acknowledgement),
      complete,
    });
    for (const channel of listener.coveredChannels) {
      sequenceOf(channel).begin(channel, listener.acknowledgementOf(channel));
    }
    return unsubscribe;
  }

  private open(definition: string | PgChannel): DecodedChannel {
    const decoded = new DecodedChannel(definition, this.parts);
    this.channels.set(definition, decoded);
    return decoded;
  }

  private announceRounded(channel: string): void {
    if (this.rounded.has(channel)) return;
    this.rounded.add(channel);
    this.context.logger.warn(
      `A notification of the channel ${JSON.stringify(channel)} has an integer beyond 2^53, which JSON.parse() has rounded. ` +
        `Send it as text (id::text in SQL), or read it from raw. This is logged once for each channel.`,
    );
  }
}
