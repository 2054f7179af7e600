/** One event of the log, as its consumers get it. Read-only. */
export interface PgEvent<Payload = unknown> {
  /** A UUID, made when the event was published; the same at every delivery. Tell repeats by it. */
  readonly id: string;
  /** Where it stands in the log: a `bigint`, as text. Gaps in the numbers mean nothing. */
  readonly position: string;
  readonly channel: string;
  /** Events of one key are delivered in their order. Undefined for an event without one. */
  readonly key: string | undefined;
  /** What the channel's codec and schema have made of it. */
  readonly payload: Payload;
  /** As they were published; empty without any. */
  readonly headers: Readonly<Record<string, string>>;
  /** By the clock of the database, when the statement that published it ran: not when its transaction committed. */
  readonly publishedAt: Date;
}

/** What a handler throws to say that no further attempt would help: its event is dead at once. */
export class PgEventRejection extends Error {
  /** True for the errors of another copy of this package as well, which some dependency may have brought along. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== PgEventRejection) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && REJECTION in value;
  }

  override get name(): string {
    return 'PgEventRejection';
  }
}

const REJECTION = Symbol.for('nest-pg-notify:event-rejection');
Object.defineProperty(PgEventRejection.prototype, REJECTION, { value: true });
