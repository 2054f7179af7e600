import { decodePayload } from '../channel/payload-codec.js';
import { applySchema } from '../channel/payload-schema.js';
import type { PgChannel } from '../channel/pg-channel.js';
import type { PgGap } from '../channel/pg-gap.js';
import type { PgNotification, RawPgNotification } from '../channel/pg-notification.js';
import { RoundingWatch } from '../channel/rounded-integers.js';
import { isThenable } from '../channel/thenable.js';
import type { ChannelConsumer } from '../listener/channel-registry.js';
import { MemberList } from '../listener/member-list.js';
import type { PgNotifyAsyncContext } from '../pg-notify.async-context.js';
import type { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { Clock } from '../time/clock.js';
import type { ListeningTransport } from '../transport/pg-notify-transport.js';
import { LaneBacklog } from './lane-backlog.js';
import type { WaitingRaw } from './lane-backlog.js';
import type { TurnBudget } from './turn-budget.js';

/** What takes the decoded notifications and the gaps of one channel. A part that is left out is not of interest. */
export interface DeliverySink<T = unknown> {
  readonly notification?: (notification: PgNotification<T>) => void;
  readonly gap?: (gap: PgGap) => void;
  /** Nothing comes any more: the registration was closed, or the sink was detached and has got all that was received before. */
  readonly complete?: () => void;
}

/** What all lanes of a registration share. */
export interface DecodeLaneParts {
  readonly listener: ListeningTransport;
  /** How many notifications of a lane may wait for an asynchronous schema. */
  readonly bufferSize: number;
  readonly clock: Clock;
  readonly budget: TurnBudget;
  readonly diagnostics: PgNotifyDiagnostics;
  readonly context: PgNotifyAsyncContext;
  readonly onError: (error: unknown) => void;
}

export interface DecodeLaneOptions extends DecodeLaneParts {
  readonly channel: PgChannel;
  /** Told at the first of several drops, not at each. */
  readonly onOverflow: () => void;
  /** Called once, when decoding has rounded an integer. */
  readonly onRounded: () => void;
  /** The last consumer has left: nothing is received any more. */
  readonly onEmpty: () => void;
}

interface Attachment {
  readonly sink: DeliverySink;
  /** The acknowledgement up to which this sink has been told of gaps; the same Date as in the gap's `until`. */
  coveredSince: Date | undefined;
  isEnded: boolean;
}

/** How a consumer leaves a lane. */
export interface Detachment {
  /** At once. */
  readonly detach: () => void;
  /** As soon as it was given what has been received; its sink is completed then. */
  readonly end: () => void;
}

/** How long a schema may take for one payload, in milliseconds: the lane must not wait for ever. */
const SCHEMA_TIMEOUT = 30_000;

/**
 * All consumers of one definition of a channel. Each notification is decoded once for all of them, and each of them
 * begins with a `start` gap of its own. As long as the schema answers at once, nothing waits; once it has returned a
 * promise, whatever comes later waits its turn behind it, gaps too.
 */
export class DecodeLane implements ChannelConsumer {
  private attachments = new MemberList<Attachment>();
  private readonly backlog: LaneBacklog<Attachment>;
  private readonly rounding: RoundingWatch;
  /** Whether the schema has returned a promise, and whatever comes now has to wait. */
  private isDecoding = false;
  /** Ends the wait for an answer of the schema. */
  private answering: AbortController | undefined;
  private isCompleted = false;
  private readonly unsubscribe: () => void;
  /** How many notifications were dropped, because the schema did not keep up. */
  dropped = 0;

  constructor(private readonly options: DecodeLaneOptions) {
    this.backlog = new LaneBacklog({
      bufferSize: options.bufferSize,
      onDrop: (isFirst) => this.countDrop(isFirst),
    });
    this.rounding = new RoundingWatch(options.onRounded);
    this.unsubscribe = options.listener.subscribe(options.channel.name, this);
  }

  attach(sink: DeliverySink): Detachment {
    const { listener, channel } = this.options;
    if (listener.isStopping) {
      sink.complete?.();
      return { detach: () => undefined, end: () => undefined };
    }
    const until = listener.coveredSince(channel.name);
    const attachment: Attachment = { sink, coveredSince: until, isEnded: false };
    this.attachments.add(attachment);
    if (until) this.guarded(() => sink.gap?.({ channel: channel.name, reason: 'start', until }));
    return { detach: () => this.detach(attachment), end: () => this.end(attachment) };
  }

  /** The name of its channel. */
  get channel(): string {
    return this.options.channel.name;
  }

  /** Whether the schema owes an answer. */
  get isWaiting(): boolean {
    return this.isDecoding;
  }

  /** Resolves when nothing waits for the schema that has been received by now. */
  async settled(): Promise<void> {
    if (this.isDecoding) await new Promise<void>((reached) => this.backlog.push({ reached }));
  }

  notification(raw: RawPgNotification): void {
    const to = this.attachments.all;
    if (!to.some(takesNotifications)) return;
    if (this.isDecoding) {
      this.backlog.push({ raw, to });
      return;
    }
    try {
      const payload = this.decode(raw);
      if (isThenable(payload))
        void this.decodeInTurn({ raw, to }, payload); // Never rejects.
      else this.deliver({ ...raw, payload }, to);
    } catch (error) {
      this.options.onError(error);
    }
  }

  gap(gap: PgGap): void {
    const to = this.attachments.all;
    if (this.isDecoding) this.backlog.push({ gap, to });
    else this.tell(gap, to);
  }

  complete(): void {
    this.isCompleted = true;
    this.answering?.abort();
    const { all: attachments } = this.attachments;
    this.attachments = new MemberList();
    for (let next = this.backlog.shift(); next; next = this.backlog.shift()) {
      if ('end' in next) this.finish(next.end);
      else if ('reached' in next) next.reached();
    }
    for (const attachment of attachments) this.finish(attachment);
  }

  private decode(raw: RawPgNotification): unknown {
    const { channel, context } = this.options;
    const payload = decodePayload(channel.name, channel.codec, raw.raw);
    if (typeof payload !== 'string') this.rounding.look(raw.raw); // What stays text has all of its digits.
    return channel.schema ? context.run(() => applySchema(channel, payload)) : payload;
  }

  private async decodeInTurn({ raw, to }: WaitingRaw<Attachment>, first: PromiseLike<unknown>): Promise<void> {
    this.isDecoding = true;
    await this.deliverWhenDecoded(raw, to, () => first);
    for (let next = this.backlog.shift(); next; next = this.backlog.shift()) {
      if ('gap' in next) this.tell(next.gap, next.to);
      else if ('end' in next) this.finish(next.end);
      else if ('reached' in next) next.reached();
      else await this.takeTurn(next);
    }
    this.isDecoding = false;
  }

  private async takeTurn({ raw, to }: WaitingRaw<Attachment>): Promise<void> {
    if (!to.some(takesNotifications)) return; // They have left meanwhile.
    // A schema that answers in microtasks must not keep timers and sockets waiting for all that waits.
    const { budget } = this.options;
    while (!budget.spend()) await new Promise<void>((resolve) => budget.later(resolve));
    if (!this.isCompleted) await this.deliverWhenDecoded(raw, to, () => this.decode(raw));
  }

  private async deliverWhenDecoded(
    raw: RawPgNotification,
    to: readonly Attachment[],
    decode: () => unknown,
  ): Promise<void> {
    try {
      const decoded = decode();
      const payload = isThenable(decoded) ? await this.answerOf(decoded) : decoded;
      if (!this.isCompleted) this.deliver({ ...raw, payload }, to);
    } catch (error) {
      if (!this.isCompleted) this.options.onError(error);
    }
  }

  /** Rejects when the schema takes too long, or the lane is completed first. What it answers later, nobody hears. */
  private async answerOf(decoded: PromiseLike<unknown>): Promise<unknown> {
    const { channel, clock } = this.options;
    const answering = new AbortController();
    this.answering = answering;
    const tooLong = async (): Promise<never> => {
      await clock.sleep(SCHEMA_TIMEOUT, answering.signal); // Rejects when it is ended early.
      throw new PgNotifyError(
        'payload',
        `The schema of channel ${JSON.stringify(channel.name)} did not answer within ${SCHEMA_TIMEOUT} ms: the notification is left out.`,
        { channel: channel.name },
      );
    };
    try {
      return await Promise.race([decoded, tooLong()]);
    } finally {
      answering.abort();
      this.answering = undefined;
    }
  }

  private deliver(notification: PgNotification, to: readonly Attachment[]): void {
    for (const attachment of to) {
      if (takesNotifications(attachment)) this.guarded(() => attachment.sink.notification?.(notification));
    }
  }

  private tell(gap: PgGap, to: readonly Attachment[]): void {
    const { channel, until } = gap;
    for (const attachment of to) {
      if (attachment.isEnded) continue;
      let own = gap;
      if (gap.reason !== 'overflow') {
        if (attachment.coveredSince === until) continue; // Attached meanwhile, and told already.
        if (!attachment.coveredSince) own = { channel, reason: 'start', until };
        attachment.coveredSince = until;
      }
      this.guarded(() => attachment.sink.gap?.(own));
    }
  }

  private countDrop(isFirst: boolean): void {
    const { diagnostics, channel, onOverflow } = this.options;
    this.dropped += 1;
    diagnostics.publish('nest-pg-notify.dropped', { channel: channel.name, count: 1 });
    if (isFirst) onOverflow();
  }

  private end(attachment: Attachment): void {
    if (attachment.isEnded) return;
    if (this.isDecoding) this.backlog.push({ end: attachment });
    this.leave(attachment);
    if (!this.isDecoding) this.finish(attachment);
  }

  private detach(attachment: Attachment): void {
    attachment.isEnded = true;
    this.leave(attachment);
  }

  private leave(attachment: Attachment): void {
    if (!this.attachments.delete(attachment) || this.attachments.size > 0) return;
    this.unsubscribe();
    this.options.onEmpty();
  }

  private finish(attachment: Attachment): void {
    if (attachment.isEnded) return;
    attachment.isEnded = true;
    this.guarded(() => attachment.sink.complete?.());
  }

  /** One sink that throws must not keep the notification from the others. */
  private guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.options.onError(error);
    }
  }
}

function takesNotifications({ sink, isEnded }: Attachment): boolean {
  return sink.notification !== undefined && !isEnded;
}
