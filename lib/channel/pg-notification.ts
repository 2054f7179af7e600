/** A notification as PostgreSQL sent it, before its text is decoded. */
export interface RawPgNotification {
  readonly channel: string;
  /** The payload's text; empty when the sender gave none. */
  readonly raw: string;
  /** The backend that sent it: informative only, any role may send on any channel. */
  readonly processId: number;
  /** When this process received it. */
  readonly receivedAt: Date;
}

/** A notification as handlers and streams receive it. Its payload is shared between them: treat it as read-only. */
export interface PgNotification<T = unknown> extends RawPgNotification {
  readonly payload: T;
}
