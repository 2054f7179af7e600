/** A notification as PostgreSQL sent it, before its text is decoded. */
export interface RawPgNotification {
  readonly channel: string;
  /** The payload's text; empty if the sender gave none. */
  readonly raw: string;
  /** The pid of the backend that sent it. It proves nothing: any role may send on any channel. */
  readonly processId: number;
  /** When this process received it. Notifications that were received together share this object. */
  readonly receivedAt: Date;
}

/** A notification as handlers and streams receive it. Its payload is shared between them: treat it as read-only. */
export interface PgNotification<T = unknown> extends RawPgNotification {
  readonly payload: T;
}

/**
 * The one object of a notification, from the socket to the methods that handle it. It is made when the notification is
 * read, and gets its payload when that is decoded.
 */
export class ReceivedNotification implements PgNotification {
  /** The decoded payload; undefined until it is decoded. */
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
