/** A notification as PostgreSQL sent it, before its text is decoded. */
export interface RawPgNotification {
  readonly channel: string;
  /** The payload's text; empty when the sender gave none. */
  readonly raw: string;
  /** The backend that sent it: informative only, any role may send on any channel. */
  readonly processId: number;
  /** When this process received it. Notifications that came in together share the object. */
  readonly receivedAt: Date;
}

/** A notification as handlers and streams receive it. Its payload is shared between them: treat it as read-only. */
export interface PgNotification<T = unknown> extends RawPgNotification {
  readonly payload: T;
}

/**
 * The one object that a notification is, from the socket to the methods that take it: made when it is read, and given its
 * payload when it is decoded.
 */
export class ReceivedNotification implements PgNotification {
  /** What the definition of the channel makes of the text; until it was decoded, undefined. */
  payload: unknown = undefined;

  constructor(
    readonly channel: string,
    readonly raw: string,
    readonly processId: number,
    readonly receivedAt: Date,
  ) {}

  /** The same notification for another definition of the channel, which may decode it differently. */
  again(): ReceivedNotification {
    return new ReceivedNotification(this.channel, this.raw, this.processId, this.receivedAt);
  }
}
