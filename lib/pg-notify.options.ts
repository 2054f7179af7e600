import type { ClientConfig, Pool } from 'pg';
import type { PgExecutor } from './executor/pg-executor.js';

/**
 * How to reach PostgreSQL: directly, or through a pooler in session mode.
 *
 * A connection string, the settings of a `pg.Client`, or a function that returns either. The function is asked anew for every attempt to connect, so passwords and hosts may change while the application runs.
 *
 * What `pg` would ignore, or take for something else, is refused: a misspelt setting, several hosts, a password that is
 * not encoded in a URL, settings beside a `connectionString` that contradict it.
 */
export type PgNotifyConnection = string | ClientConfig | (() => string | ClientConfig | Promise<string | ClientConfig>);

/** What bootstrap does while PostgreSQL cannot be reached. */
export type PgNotifyStartupMode = 'wait' | 'fail' | 'background';

/** What the bootstrap of the application waits for. */
export interface PgNotifyStartupOptions {
  /**
   * - `wait`: transient failures are retried until the timeout; permanent ones (a wrong password, no such database,
   *   TLS refused) reject the bootstrap at once.
   * - `fail`: the first failure rejects the bootstrap.
   * - `background`: the application boots, and the status tells.
   *
   * @default 'wait'
   */
  readonly mode?: PgNotifyStartupMode;
  /**
   * How long bootstrap may wait for the connection, the first LISTENs and the first delivery check together, in
   * milliseconds. When the check is not over then, and nothing that it sent is missing, the application starts.
   *
   * @default 30_000
   */
  readonly timeout?: number;
}

/** The delays between attempts to connect. */
export interface PgNotifyReconnectOptions {
  /**
   * The upper bound of the first delay, in milliseconds. Each delay is drawn at random between zero and its bound, and
   * the bound doubles after every failure.
   *
   * @default 100
   */
  readonly minDelay?: number;
  /**
   * The largest bound of a delay, in milliseconds. Attempts go on without end.
   *
   * @default 5_000
   */
  readonly maxDelay?: number;
  /**
   * How long a connection must have listened, in milliseconds, before its loss starts the delays over.
   *
   * @default 10_000
   */
  readonly stableAfter?: number;
}

/** How a listening connection is asked whether it is alive and still listens to every channel. */
export interface PgNotifyHeartbeatOptions {
  /**
   * How long the listening connection may be quiet before it is asked whether it is alive, in milliseconds. It is also
   * asked as often as `compareInterval` says.
   *
   * @default 10_000
   */
  readonly interval?: number;
  /**
   * How long the server may be silent after the question before the connection counts as lost, in milliseconds. Every
   * received byte is a sign of life.
   *
   * @default 5_000
   */
  readonly timeout?: number;
  /**
   * How long after a question the next one is asked at the latest, also while notifications arrive, in milliseconds. Each
   * compares the channels and the role of the server with what they should be: a lost LISTEN or a demoted primary is
   * found no later. Raise it together with `interval` for a server that should not be asked.
   *
   * @default 60_000
   */
  readonly compareInterval?: number;
}

/** How it is proved that notifications arrive. */
export interface PgNotifyDeliveryCheckOptions {
  /**
   * How long after a notification has arrived the next one is sent as a check, in milliseconds. Traffic of others
   * counts, unless there is a pooler in between: a busy listener is not checked again.
   *
   * @default 60_000
   */
  readonly interval?: number;
  /**
   * How long a notification may take from its commit to its arrival, in milliseconds. Three in a row that take longer
   * make the check fail.
   *
   * @default 3_000
   */
  readonly timeout?: number;
  /**
   * What a check that fails at the start of the application does: reject the bootstrap, or warn. Later failures warn
   * and set the status.
   *
   * @default 'fail'
   */
  readonly onStartFailure?: 'fail' | 'warn';
}

/** How notifications are sent. */
export interface PgNotifyPublisherOptions {
  /**
   * How to reach PostgreSQL for sending, where it differs from the listener's `connection`.
   *
   * @default the registration's `connection`
   */
  readonly connection?: PgNotifyConnection;
  /**
   * A pool of your own to send with, in place of a connection of this module: a client is borrowed while there is something
   * to send and nobody else waits for it, and for delivery checks. One that was given back in the middle of a transaction is
   * replaced. The pool stays yours: end it after the application has been closed, or what is still to be
   * sent then is refused.
   */
  readonly pool?: Pool;
  /**
   * How long one statement may take, in milliseconds.
   *
   * @default 10_000
   */
  readonly timeout?: number;
  /**
   * How many notifications may wait to be sent while a statement is on its way. More are refused, with the outcome
   * `not-sent`; the array of a `notifyMany()` counts as one for each thousand while it waits, and is taken as a whole.
   *
   * @default 100_000
   */
  readonly maxWaiting?: number;
  /**
   * Tells the transaction that `notify()` is called in, for applications that keep it in async context (nestjs-cls). It
   * is asked at every call, at once; where it returns `undefined` there is no transaction, and the notification goes by
   * the registration's own connection. A call's `executor` takes precedence.
   *
   * @default no transaction, unless a call names one
   */
  readonly executor?: () => PgExecutor | undefined;
}

/** Defaults for all decorated methods of a registration. */
export interface PgNotifyHandlersOptions {
  /**
   * How many notifications may wait for a handler; a decorator's `bufferSize` takes precedence. What does not fit is
   * dropped, oldest first, and announced as an `overflow` gap.
   *
   * @default 10_000
   */
  readonly bufferSize?: number;
  /**
   * How long one run of a handler may take, in milliseconds; a decorator's `timeout` takes precedence. A run that takes
   * longer counts as failed, its context's signal is aborted, and the queue goes on.
   *
   * @default no limit
   */
  readonly timeout?: number;
  /**
   * Whether the application's global guards, interceptors, pipes and filters run for handlers too. Most are written for
   * HTTP.
   *
   * @default false
   */
  readonly globalEnhancers?: boolean;
}

/** The options of one registration: `PgNotifyModule.forRoot(options)`. */
export interface PgNotifyModuleOptions {
  /**
   * How to reach PostgreSQL. Its `connectionTimeoutMillis`, `keepAlive` and `types` are set by this module;
   * `keepAliveInitialDelayMillis` is 10 s, unless it says something else.
   */
  readonly connection: PgNotifyConnection;
  readonly startup?: PgNotifyStartupOptions;
  readonly reconnect?: PgNotifyReconnectOptions;
  /**
   * How long one attempt to connect may take, in milliseconds: name resolution, TCP, TLS and login together.
   *
   * @default 10_000
   */
  readonly connectTimeout?: number;
  readonly heartbeat?: PgNotifyHeartbeatOptions;
  /**
   * The proof that notifications arrive: one is sent from a second connection and must come back. `false` turns it off:
   * then nothing notices a transaction pooler.
   */
  readonly deliveryCheck?: false | PgNotifyDeliveryCheckOptions;
  readonly publisher?: PgNotifyPublisherOptions;
  /** How decorated methods are run. `false` leaves them alone: for migration scripts and REPLs. */
  readonly handlers?: false | PgNotifyHandlersOptions;
  /**
   * Whether there is a connection at all. Without one nothing is received, no handler runs, live queries poll, and
   * `notify()` rejects.
   *
   * @default true
   */
  readonly enabled?: boolean;
  /**
   * How long running handlers may take to finish when the application shuts down, in milliseconds.
   *
   * @default 10_000
   */
  readonly shutdownTimeout?: number;
}
