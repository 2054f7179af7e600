import type { PgGap, PgGapReason } from '../channel/pg-gap.js';
import type { ReceivedNotification } from '../channel/pg-notification.js';
import type { Watch } from '../pg-notify.diagnostics.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { Acknowledgement } from './acknowledgement.js';
import { MemberList } from './member-list.js';

/** Takes the notifications and gaps of one channel, in their order. */
export interface ChannelConsumer {
  /** It owns the object, and may decode its payload. */
  notification(notification: ReceivedNotification): void;
  /** @param acknowledgement The one that the gap announces. */
  gap(gap: PgGap, acknowledgement: Acknowledgement): void;
  /** The listener was stopped; nothing follows. */
  complete(): void;
}

/** Takes the gaps of all channels. */
export type GapObserver = Pick<ChannelConsumer, 'gap' | 'complete'>;

/** Why a channel is not covered now, and when it was covered last. */
interface Interruption {
  readonly reason: PgGapReason;
  readonly since?: Date;
}

/** The desired channels and their consumers. It gives each consumer its notifications, its gaps and the end. */
export class ChannelRegistry {
  private readonly consumers = new Map<string, MemberList<ChannelConsumer>>();
  private readonly interruptions = new Map<string, Interruption>();
  private readonly observers = new Set<GapObserver>();
  private announced = 0;
  private dispatched = 0;
  private discarded = 0;
  private readonly ofReceived: Watch;
  private ownChannel: string | undefined;

  constructor(private readonly context: Pick<RegistrationContext, 'errors' | 'diagnostics'>) {
    this.ofReceived = context.diagnostics.watch('nest-pg-notify.received');
  }

  /** Reserves a channel for the listener itself. It is always wanted, and has no consumers. */
  reserve(channel: string): void {
    this.ownChannel = channel;
    this.consumers.set(channel, new MemberList());
  }

  /** The desired channels. */
  get wanted(): ReadonlyMap<string, unknown> {
    return this.consumers;
  }

  /** The number of channels with a consumer. */
  get size(): number {
    const hasOwn = this.ownChannel !== undefined && this.consumers.has(this.ownChannel);
    return hasOwn ? this.consumers.size - 1 : this.consumers.size;
  }

  /** The number of announced gaps. */
  get gapCount(): number {
    return this.announced;
  }

  /** The number of notifications received for consumers. */
  get receivedCount(): number {
    return this.dispatched;
  }

  /** The number of notifications received for consumers, but withheld from them. */
  get discardedCount(): number {
    return this.discarded;
  }

  withoutOwn(channels: readonly string[]): readonly string[] {
    return channels.filter((channel) => channel !== this.ownChannel);
  }

  add(channel: string, consumer: ChannelConsumer): void {
    const consumers = this.consumers.get(channel) ?? new MemberList();
    consumers.add(consumer);
    this.consumers.set(channel, consumers);
  }

  /** Returns whether the channel is no longer wanted. */
  remove(channel: string, consumer: ChannelConsumer): boolean {
    const consumers = this.consumers.get(channel);
    consumers?.delete(consumer);
    if (consumers && consumers.size > 0) return false;
    this.interruptions.delete(channel);
    return this.consumers.delete(channel);
  }

  /** Adds an observer of all gaps. It is called after the consumers of a gap's channel. */
  observe(observer: GapObserver): () => void {
    this.observers.add(observer);
    return () => void this.observers.delete(observer);
  }

  /** Records that channels were covered until `since`, and are not covered now. */
  interrupt(channels: readonly string[], interruption: Interruption): void {
    for (const channel of channels) {
      if (this.consumers.has(channel)) this.interruptions.set(channel, interruption);
    }
  }

  /**
   * Announces a gap for channels that are covered from now on. Its reason is that of their interruption, or `start`.
   */
  cover(channels: readonly string[], acknowledgement: Acknowledgement): void {
    for (const channel of this.withoutOwn(channels)) {
      const interruption = this.interruptions.get(channel);
      this.interruptions.delete(channel);
      this.announce(gapOf(channel, interruption ?? { reason: 'start' }, acknowledgement.at), acknowledgement);
    }
  }

  dispatch(notification: ReceivedNotification): void {
    const { channel } = notification;
    if (channel === this.ownChannel) return;
    this.dispatched += 1;
    if (this.ofReceived.hasSubscribers) {
      this.context.diagnostics.publish('nest-pg-notify.received', { channel, size: notification.raw.length });
    }
    const consumers = this.consumers.get(channel)?.all;
    if (!consumers) return;
    let own: ReceivedNotification | undefined = notification;
    for (const consumer of consumers) {
      try {
        consumer.notification(own ?? notification.again());
      } catch (error) {
        this.context.errors.report(error); // In `pg` it would make the parser deliver notifications again.
      }
      own = undefined;
    }
  }

  /** Counts a notification that is withheld from its consumers. */
  discard({ channel }: ReceivedNotification): void {
    if (channel !== this.ownChannel && this.consumers.has(channel)) this.discarded += 1;
  }

  /** Completes all consumers and observers, and removes them. */
  complete(): void {
    const all = [...[...this.consumers.values()].flatMap(({ all: consumers }) => consumers), ...this.observers];
    this.consumers.clear();
    this.observers.clear();
    for (const consumer of all) this.guarded(() => consumer.complete());
  }

  private announce(gap: PgGap, acknowledgement: Acknowledgement): void {
    const consumers = this.consumers.get(gap.channel)?.all;
    if (!consumers) return;
    this.announced += 1;
    this.context.diagnostics.publish('nest-pg-notify.gap', { channel: gap.channel, reason: gap.reason });
    for (const consumer of consumers) this.guarded(() => consumer.gap(gap, acknowledgement));
    for (const observer of this.observers) this.guarded(() => observer.gap(gap, acknowledgement));
  }

  private guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.context.errors.report(error);
    }
  }
}

/** The wall clock may have been set back meanwhile: a gap must not end before it begins. */
function gapOf(channel: string, { reason, since }: Interruption, until: Date): PgGap {
  if (!since) return { channel, reason, until };
  return { channel, reason, since: since > until ? until : since, until };
}
