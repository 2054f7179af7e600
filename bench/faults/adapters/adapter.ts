/** The two handlers that every peer gets for its one channel. */
export type HandlerName = 'first' | 'second';

/**
 * What a peer tells its application, other than notifications:
 *
 * - `gap`: it listens again, so something may have been missed (an event or a callback that the application can act on);
 * - `down`: it does not listen at the moment;
 * - `error`: something is wrong;
 * - `log`: a line for the log, which no code of the application sees.
 */
export type SignalKind = 'gap' | 'down' | 'error' | 'log';

export interface AdapterOptions {
  readonly url: string;
  readonly channel: string;
  /** More channels to listen to, on which nothing comes. */
  readonly otherChannels: readonly string[];
  /** The URL is that of a PgBouncer: the peer is used as its documentation says for that case. */
  readonly throughPooler: boolean;
  /** The body of the application's handler; it may throw, as such bodies do. */
  readonly handle: (handler: HandlerName, payload: unknown) => void;
  readonly signal: (kind: SignalKind, text: string) => void;
}

export interface Listening {
  stop(): Promise<unknown>;
}

/** Starts a peer the way its README does. Resolves when the peer says that it listens; rejects when it refuses to start. */
export type Adapter = (options: AdapterOptions) => Promise<Listening>;
