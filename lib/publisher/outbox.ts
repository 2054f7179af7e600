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

/** Who wants to know what became of a message. */
export interface Sender {
  resolve(): void;
  reject(error: PgNotifyError): void;
}

/** A notification that waits, or is on its way. */
export interface OutboxMessage extends OutgoingNotification {
  readonly size: number;
  readonly senders: Sender[];
}

/** What is to be sent, in the order of the calls. */
export class Outbox {
  private messages: OutboxMessage[] = [];
  /** How many at the front have been taken. */
  private taken = 0;
  /** Those that wait and may be folded, by channel and payload. */
  private readonly foldable = new Map<string, OutboxMessage>();

  get size(): number {
    return this.messages.length - this.taken;
  }

  push(notification: OutgoingNotification, sender: Sender): void {
    const { channel, raw, fold } = notification;
    const known = fold ? this.foldable.get(keyOf(notification)) : undefined;
    if (known) {
      known.senders.push(sender);
      return;
    }
    const message = { channel, raw, fold, size: Buffer.byteLength(raw), senders: [sender] };
    this.messages.push(message);
    if (fold) this.foldable.set(keyOf(message), message);
  }

  /**
   * Takes what one statement may carry. It ends before a repeated message: equal ones in one transaction PostgreSQL
   * delivers once, and two calls deliver two.
   */
  takeBatch(): readonly OutboxMessage[] {
    const keys = new Set<string>();
    let size = 0;
    let end = this.taken;
    for (; end < this.messages.length && end - this.taken < MAX_MESSAGES; end += 1) {
      const message = this.messages[end]!;
      const key = keyOf(message);
      if (keys.has(key) || (keys.size > 0 && size + message.size > MAX_BYTES)) break;
      keys.add(key);
      size += message.size;
      if (message.fold) this.foldable.delete(key);
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
    return all;
  }
}

/** Tells all who sent them that they are committed. */
export function resolveAll(messages: readonly OutboxMessage[]): void {
  for (const { senders } of messages) for (const sender of senders) sender.resolve();
}

/** Tells all who sent them why they are not: one error for each channel, because the stacks of thousands take their time. */
export function rejectAll(messages: readonly OutboxMessage[], errorFor: (channel: string) => PgNotifyError): void {
  const errors = new Map<string, PgNotifyError>();
  for (const { channel, senders } of messages) {
    const error = errors.get(channel) ?? errorFor(channel);
    errors.set(channel, error);
    for (const sender of senders) sender.reject(error);
  }
}

/** A channel has no NUL, so the two cannot run into each other. */
function keyOf({ channel, raw }: Pick<OutgoingNotification, 'channel' | 'raw'>): string {
  return `${channel}\0${raw}`;
}
