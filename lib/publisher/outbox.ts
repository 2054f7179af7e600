import type { PgNotifyError } from '../pg-notify.errors.js';

/** PostgreSQL's own work grows with the number of messages; more than these bring nothing. Measured: 1,000 in a statement. */
const MAX_MESSAGES = 1_000;
/** The size of the payloads in one statement, in bytes: a statement must not keep those behind it waiting for long. */
const MAX_BYTES = 1_000_000;

export interface OutgoingNotification {
  readonly channel: string;
  readonly raw: string;
  /** Whether one is enough, where several that are equal wait. */
  readonly fold: boolean;
}

/** Who wants to know what became of a message; `place` is what tells several of one sender apart. */
export interface Sender {
  resolve(place: number): void;
  reject(error: PgNotifyError, place: number): void;
}

/** A notification that waits, or is on its way. One object: there may be a great many. */
export interface OutboxMessage extends OutgoingNotification {
  readonly size: number;
  readonly sender: Sender;
  readonly place: number;
  /** Those that sent the same later, where it is folded. */
  others?: Pick<OutboxMessage, 'sender' | 'place'>[];
}

/** What is to be sent, in the order of the calls. */
export class Outbox {
  private messages: OutboxMessage[] = [];
  /** How many at the front have been taken. */
  private taken = 0;
  /** Those that wait and may be folded, by channel and payload. */
  private readonly foldable = new Map<string, OutboxMessage>();
  /** How many were folded into those that wait. */
  private sharing = 0;

  get size(): number {
    return this.messages.length - this.taken;
  }

  /** How many senders wait, those that share a message among them. */
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
   * Takes what one statement may carry. It ends before a repeated message: equal ones in one transaction PostgreSQL
   * delivers once, and two calls deliver two.
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

  /** Takes all that waits. */
  takeAll(): readonly OutboxMessage[] {
    const all = this.messages.slice(this.taken);
    this.messages = [];
    this.taken = 0;
    this.foldable.clear();
    this.sharing = 0;
    return all;
  }
}

/** Tells all who sent them that they are committed. */
export function resolveAll(messages: readonly OutboxMessage[]): void {
  for (const { sender, place, others = [] } of messages) {
    sender.resolve(place);
    for (const other of others) other.sender.resolve(other.place);
  }
}

/** Tells all who sent them why they are not: one error for each channel, because the stacks of thousands take their time. */
export function rejectAll(messages: readonly OutboxMessage[], errorFor: (channel: string) => PgNotifyError): void {
  const errors = new Map<string, PgNotifyError>();
  for (const { channel, sender, place, others = [] } of messages) {
    const error = errors.get(channel) ?? errorFor(channel);
    errors.set(channel, error);
    sender.reject(error, place);
    for (const other of others) other.sender.reject(error, other.place);
  }
}

/** A channel has no NUL, so the two cannot run into each other. */
function keyOf(channel: string, raw: string): string {
  return `${channel}\0${raw}`;
}
