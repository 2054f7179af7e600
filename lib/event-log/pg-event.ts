/** One event of the log, as its consumers get it. Read-only. */
export interface PgEvent<Payload = unknown> {
  /** A UUID made at publication. It is the same at every delivery, so it identifies repeats. */
  readonly id: string;
  /** Its position in the log: a `bigint` as text. Gaps between positions do not mean that events are missing. */
  readonly position: string;
  readonly channel: string;
  /** Events of one key are delivered in their order. Undefined for an event without one. */
  readonly key: string | undefined;
  /** Decoded by the channel's codec and validated by its schema. */
  readonly payload: Payload;
  /** As published; `{}` if the event has no headers. */
  readonly headers: Readonly<Record<string, string>>;
  /** When the publishing statement ran, by the database's clock. The transaction may have committed later. */
  readonly publishedAt: Date;
}

/** A handler throws it if a further attempt would not help: the event becomes a dead letter at once. */
export class PgEventRejection extends Error {
  /** Also true for errors of another copy of this package, which a dependency may have installed. */
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
