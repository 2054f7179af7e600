import type { PgNotifyError } from '../pg-notify.errors.js';

/** The most messages in one statement. PostgreSQL's work grows with their number, and more bring no gain (measured). */
const MAX_MESSAGES = 1_000;
/** The size limit of the payloads in one statement, in bytes, so that the next statement need not wait for long. */
const MAX_BYTES = 1_000_000;

export interface OutgoingNotification {
  readonly channel: string;
  readonly raw: string;
  /** Whether equal messages that wait become one. */
  readonly fold: boolean;
}

/** The sender of messages, which gets their outcomes. `place` identifies one of several messages. */
export interface Sender {
  resolve(place: number): void;
  reject(error: PgNotifyError, place: number): void;
}

/** A notification that waits or is on its way. It is a single object, because there may be very many. */
export interface OutboxMessage extends OutgoingNotification {
  readonly size: number;
  readonly sender: Sender;
  readonly place: number;
  /** Later senders of an equal message that was folded into this one. */
  others?: Pick<OutboxMessage, 'sender' | 'place'>[];
}

/** The messages to send, in the order of the calls. */
export class Outbox {
  private messages: OutboxMessage[] = [];
  /** The number of messages at the front that were taken. */
  private taken = 0;
  /** The waiting messages that may be folded, by channel and payload. */
  private readonly foldable = new Map<string, OutboxMessage>();
  /** The number of senders whose messages were folded into waiting ones. */
  private sharing = 0;

  get size(): number {
    return this.messages.length - this.taken;
  }

  /** The number of waiting senders, including those that share a message. */
  get waiting(): number {
    return this.size + this.sharing;
  }

  push({ channel, raw, fold }: OutgoingNotification, sender: Sender, place = 0): void {
    const known = fold ? this.foldable.get(keyOf(channel, raw)) : undefined;
    if (known) {
      (known.others ??= []).push({ sender, place });
      this.sharing += 1;
      return;
    }
    const message = { channel, raw, fold, size: Buffer.byteLength(raw), sender, place };
    this.messages.push(message);
    if (fold) this.foldable.set(keyOf(channel, raw), message);
  }

  /**
   * Takes the messages of the next statement. It ends before a repeated message: PostgreSQL delivers equal ones of a
   * transaction once, but two calls must deliver two.
   */
  takeBatch(): readonly OutboxMessage[] {
    const taken = new Map<string, Set<string>>();
    let current = { channel: '', raws: new Set<string>() };
    let size = 0;
    let end = this.taken;
    for (; end < this.messages.length && end - this.taken < MAX_MESSAGES; end += 1) {
      const message = this.messages[end]!;
      const { channel, raw } = message;
      if (channel !== current.channel) {
        current = { channel, raws: taken.get(channel) ?? new Set() };
        taken.set(channel, current.raws);
      }
      if (current.raws.has(raw) || (end > this.taken && size + message.size > MAX_BYTES)) break;
      current.raws.add(raw);
      size += message.size;
      if (!message.fold) continue;
      this.foldable.delete(keyOf(channel, raw));
      this.sharing -= message.others?.length ?? 0;
    }
    const batch = this.messages.slice(this.taken, end);
    this.taken = end;
    if (this.taken * 2 > this.messages.length) {
      this.messages = this.messages.slice(this.taken);
      this.taken = 0;
    }
    return batch;
  }

  /** Takes all waiting messages. */
  takeAll(): readonly OutboxMessage[] {
    const all = this.messages.slice(this.taken);
    this.messages = [];
    this.taken = 0;
    this.foldable.clear();
    this.sharing = 0;
    return all;
  }
}

/** Resolves the calls of all senders: the messages are committed. */
export function resolveAll(messages: readonly OutboxMessage[]): void {
  for (const { sender, place, others = [] } of messages) {
    sender.resolve(place);
    for (const other of others) other.sender.resolve(other.place);
  }
}

/**
 * Rejects the calls of all senders, with one error for each channel, because the stacks of thousands would take long.
 */
export function rejectAll(messages: readonly OutboxMessage[], errorFor: (channel: string) => PgNotifyError): void {
  const errors = new Map<string, PgNotifyError>();
  for (const { channel, sender, place, others = [] } of messages) {
    const error = errors.get(channel) ?? errorFor(channel);
    errors.set(channel, error);
    sender.reject(error, place);
    for (const other of others) other.sender.reject(error, other.place);
  }
}

/** A channel contains no NUL, so different pairs have different keys. */
function keyOf(channel: string, raw: string): string {
  return `${channel}\0${raw}`;
}
