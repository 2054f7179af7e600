/** What a receiver is told. */
export interface ReceiverOptions {
  readonly url: string;
  readonly channel: string;
  /** How many channels there are, see `channelsOf()`; several only for `pg` and handlers. @default 1 */
  readonly channels?: number | undefined;
  /** Whether messages are handed over as text or as what the JSON says. */
  readonly decode: 'json' | 'text';
  /** How many handlers, subscribers, … the channel has. Each gets every message. @default 1 */
  readonly consumers?: number | undefined;
  /** For nest-pg-notify: how many notifications may wait for a handler. @default the library's default */
  readonly bufferSize?: number | undefined;
}

export interface Receiving {
  /** How many messages it says that it dropped. */
  dropped(): number;
  /** How many messages have come in, for receivers that hand none over. */
  received?(): number;
}

/**
 * Begins to receive, the way the README of the library says. Resolves when the server has acknowledged the LISTEN.
 * `onMessage` is called for each message by each consumer, from where an application's own code would be called.
 */
export type StartReceiver = (options: ReceiverOptions, onMessage: (payload: unknown) => void) => Promise<Receiving>;

/** For receivers that have no buffer of their own. */
export const DROPS_NOTHING: Receiving = { dropped: () => 0 };
