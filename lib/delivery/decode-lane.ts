import { decodePayload } from '../channel/payload-codec.js';
import type { PgChannel } from '../channel/pg-channel.js';
import type { PgGap } from '../channel/pg-gap.js';
import type { PgNotification, RawPgNotification } from '../channel/pg-notification.js';
import type { ChannelConsumer } from '../listener/channel-registry.js';
import type { PgListener } from '../listener/pg-listener.js';

/** What takes the decoded notifications and the gaps of one channel. A part that is left out is not of interest. */
export interface DeliverySink<T = unknown> {
  readonly notification?: (notification: PgNotification<T>) => void;
  readonly gap?: (gap: PgGap) => void;
  /** Nothing comes any more: the registration was closed. */
  readonly complete?: () => void;
}

interface Attachment {
  readonly sink: DeliverySink;
  /** The acknowledgement up to which this sink has been told of gaps; the same Date as in the gap's `until`. */
  coveredSince: Date | undefined;
}

/**
 * All consumers of one definition of a channel. Each notification is decoded once for all of them, and each of them
 * begins with a `start` gap of its own.
 */
export class DecodeLane implements ChannelConsumer {
  /** Replaced, never changed, so that it can be walked while sinks come and go. */
  private attachments: readonly Attachment[] = [];
  private readonly unsubscribe: () => void;

  constructor(
    private readonly channel: PgChannel,
    private readonly listener: PgListener,
    private readonly onError: (error: unknown) => void,
  ) {
    this.unsubscribe = listener.subscribe(channel.name, this);
  }

  attach(sink: DeliverySink): () => void {
    if (this.listener.isStopping) {
      sink.complete?.();
      return () => undefined;
    }
    const until = this.listener.coveredSince(this.channel.name);
    const attachment: Attachment = { sink, coveredSince: until };
    this.attachments = [...this.attachments, attachment];
    if (until) sink.gap?.({ channel: this.channel.name, reason: 'start', until });
    return () => this.detach(attachment);
  }

  get isEmpty(): boolean {
    return this.attachments.length === 0;
  }

  notification(raw: RawPgNotification): void {
    let decoded: PgNotification | undefined;
    for (const { sink } of this.attachments) {
      if (!sink.notification) continue;
      try {
        decoded ??= { ...raw, payload: decodePayload(raw.channel, this.channel.codec, raw.raw) };
      } catch (error) {
        return this.onError(error);
      }
      const notification = decoded;
      this.guarded(() => sink.notification?.(notification));
    }
  }

  gap(gap: PgGap): void {
    const { channel, until } = gap;
    for (const attachment of this.attachments) {
      if (attachment.coveredSince === until) continue; // Attached meanwhile, and told already.
      const own: PgGap = attachment.coveredSince ? gap : { channel, reason: 'start', until };
      attachment.coveredSince = until;
      this.guarded(() => attachment.sink.gap?.(own));
    }
  }

  complete(): void {
    for (const { sink } of this.attachments) this.guarded(() => sink.complete?.());
    this.attachments = [];
  }

  private detach(attachment: Attachment): void {
    this.attachments = this.attachments.filter((other) => other !== attachment);
    if (this.isEmpty) this.unsubscribe();
  }

  /** One sink that throws must not keep the notification from the others. */
  private guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.onError(error);
    }
  }
}
