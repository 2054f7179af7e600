import { decodePayload } from '../channel/payload-codec.js';
import { applySchema } from '../channel/payload-schema.js';
import { channelProperties } from '../channel/pg-channel.js';
import type { ChannelProperties, PgChannel } from '../channel/pg-channel.js';
import type { PgGap } from '../channel/pg-gap.js';
import type { PgNotification, ReceivedNotification } from '../channel/pg-notification.js';
import { RoundingWatch } from '../channel/rounded-integers.js';
import type { Acknowledgement } from '../listener/acknowledgement.js';
import type { ChannelConsumer } from '../listener/channel-registry.js';
import { MemberList } from '../listener/member-list.js';
import type { ListeningTransport } from '../transport/pg-notify-transport.js';
import type { ConsumerContext } from './consumer-context.js';
import { GapSequence } from './gap-sequence.js';

/** A subscriber to one channel. It is not called for what it leaves out. */
export interface ChannelSubscriber<T = unknown> {
  /** Takes each decoded notification. */
  readonly notification?: (notification: PgNotification<T>) => void;
  /** Called for each notification, without its payload: if no subscriber wants payloads, they are not decoded. */
  readonly arrival?: () => void;
  readonly gap?: (gap: PgGap) => void;
  /** The registration was closed; nothing follows. */
  readonly complete?: () => void;
}

/** What all decoded channels of a registration share. */
export interface DecodedChannelParts {
  readonly listener: ListeningTransport;
  readonly context: Pick<ConsumerContext, 'async' | 'errors'>;
  /** Called when decoding has rounded an integer of this channel, once for each of its definitions. */
  readonly onRounded: (name: string) => void;
  /** Called when the last subscriber to this definition has left. */
  readonly onEmpty: (definition: string | PgChannel) => void;
}

/** One subscriber, until it leaves. */
class Subscription {
  hasLeft = false;

  constructor(
    readonly subscriber: ChannelSubscriber,
    /** Undefined if it takes no gaps. */
    readonly gaps: GapSequence | undefined,
  ) {}
}

/**
 * All subscribers to one definition of a channel. Each notification is decoded once for all of them, and each of them
 * begins with a `start` gap of its own.
 */
export class DecodedChannel implements ChannelConsumer {
  private readonly subscriptions = new MemberList<Subscription>();
  private readonly rounding = new RoundingWatch();
  private readonly channel: ChannelProperties;
  private readonly unsubscribe: () => void;
  /** How many subscribers want the payload. */
  private readers = 0;

  /** @throws PgNotifyError of kind `channel` for a name that PostgreSQL cannot carry. */
  constructor(
    private readonly definition: string | PgChannel,
    private readonly parts: DecodedChannelParts,
  ) {
    this.channel = channelProperties(definition);
    this.unsubscribe = parts.listener.subscribe(this.channel.name, this);
  }

  /** Returns a function that ends the subscription at once. */
  subscribe(subscriber: ChannelSubscriber): () => void {
    const { listener } = this.parts;
    const { name } = this.channel;
    if (listener.isStopping) {
      subscriber.complete?.();
      return () => undefined;
    }
    const gaps = subscriber.gap && new GapSequence((gap) => this.guarded(() => subscriber.gap!(gap)));
    const subscription = new Subscription(subscriber, gaps);
    this.subscriptions.add(subscription);
    if (subscriber.notification) this.readers += 1;
    gaps?.begin(name, listener.acknowledgementOf(name));
    return () => this.leave(subscription);
  }

  notification(notification: ReceivedNotification): void {
    if (this.readers > 0 && !this.decode(notification)) return;
    for (const { subscriber, hasLeft } of this.subscriptions.all) {
      if (hasLeft) continue;
      try {
        if (subscriber.notification) subscriber.notification(notification);
        else subscriber.arrival?.();
      } catch (error) {
        this.parts.context.errors.report(error); // The other subscribers still get it.
      }
    }
  }

  gap(gap: PgGap, acknowledgement: Acknowledgement): void {
    for (const { gaps, hasLeft } of this.subscriptions.all) {
      if (!hasLeft) gaps?.next(gap, acknowledgement);
    }
  }

  complete(): void {
    for (const subscription of this.subscriptions.all) {
      if (subscription.hasLeft) continue;
      subscription.hasLeft = true;
      this.guarded(() => subscription.subscriber.complete?.());
    }
  }

  /**
   * Decodes the payload into the notification. Returns false for a payload that cannot be decoded or does not match the
   * schema: it is reported, and delivered to nobody.
   */
  private decode(notification: ReceivedNotification): boolean {
    const { channel } = this;
    const { context, onRounded } = this.parts;
    const { raw } = notification;
    try {
      const payload = decodePayload(channel.name, channel.codec, raw);
      // Text keeps all of its digits.
      if (typeof payload !== 'string' && this.rounding.finds(raw)) onRounded(channel.name);
      notification.payload = channel.schema ? context.async.run(() => applySchema(channel, payload)) : payload;
      return true;
    } catch (error) {
      context.errors.report(error);
      return false;
    }
  }

  private leave(subscription: Subscription): void {
    if (!this.subscriptions.delete(subscription)) return;
    subscription.hasLeft = true;
    if (subscription.subscriber.notification) this.readers -= 1;
    if (this.subscriptions.size > 0) return;
    this.unsubscribe();
    this.parts.onEmpty(this.definition);
  }

  private guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.parts.context.errors.report(error);
    }
  }
}
