import type { ClientConfig, Pool } from 'pg';
import type { PgExecutor } from './executor/pg-executor.js';

/**
 * How to reach PostgreSQL: directly, or through a pooler in session mode.
 *
 * A connection string, the settings of a `pg.Client`, or a function that returns either. The function is called for
 * every attempt to connect, so passwords and hosts may change while the application runs.
 *
 * Settings that `pg` would ignore or misread are refused: a misspelt setting, several hosts, a password that is not
 * encoded in a URL, or settings that contradict the `connectionString`.
 */
export type PgNotifyConnection = string | ClientConfig | (() => string | ClientConfig | Promise<string | ClientConfig>);

/** How the bootstrap behaves while PostgreSQL cannot be reached. */
export type PgNotifyStartupMode = 'wait' | 'fail' | 'background';

/** What the bootstrap of the application waits for. */
export interface PgNotifyStartupOptions {
  /**
   * - `wait`: transient failures are retried until the timeout; permanent ones (a wrong password, no such database,
   *   TLS refused) reject the bootstrap at once.
   * - `fail`: the first failure rejects the bootstrap.
   * - `background`: the application starts without a connection, and the status shows it.
   *
   * @default 'wait'
   */
  readonly mode?: PgNotifyStartupMode;
  /**
   * How long the bootstrap may wait for the connection, the first LISTENs and the first delivery check together, in
   * milliseconds. If only the check is unfinished then, and none of its notifications is missing, the application
   * starts.
   *
   * @default 30_000
   */
  readonly timeout?: number;
}

/** The delays between attempts to connect. */
export interface PgNotifyReconnectOptions {
  /**
   * The upper bound of the first delay, in milliseconds. Each delay is random between zero and its bound, and the bound
   * doubles after every failure.
   *
   * @default 100
   */
  readonly minDelay?: number;
  /**
   * The largest bound of a delay, in milliseconds. There is no limit on the number of attempts.
   *
   * @default 5_000
   */
  readonly maxDelay?: number;
  /**
   * How long a connection must have listened, in milliseconds, so that after its loss the delays start over.
   *
   * @default 10_000
   */
  readonly stableAfter?: number;
}

/** How a listening connection is asked whether it is alive and still listens to every channel. */
export interface PgNotifyHeartbeatOptions {
  /**
   * How long the listening connection may be quiet before a question checks that it is alive, in milliseconds. A
   * question is also sent every `compareInterval`. A delivery check under way postpones it by a twentieth at the most.
   *
   * @default 10_000
   */
  readonly interval?: number;
  /**
   * How long the server may be silent after a question before the connection counts as lost, in milliseconds. Every
   * received byte is a sign of life.
   *
   * @default 5_000
   */
  readonly timeout?: number;
  /**
   * The longest time between two questions, even while notifications arrive, in milliseconds. Each question compares
   * the channels and the role of the server with the expected ones, so a lost LISTEN or a demoted primary is found
   * within this time. Raise it together with `interval` for a server that should not be asked.
   *
   * @default 60_000
   */
  readonly compareInterval?: number;
}

/** How it is proved that notifications arrive. */
export interface PgNotifyDeliveryCheckOptions {
  /**
   * The time between the arrival of a notification and the next check, in milliseconds. Notifications of other sessions
   * count unless there is a pooler, so a busy listener is not checked again.
   *
   * @default 60_000
   */
  readonly interval?: number;
  /**
   * How long a notification may take from its commit to its arrival, in milliseconds. If three in a row take longer,
   * the check fails.
   *
   * @default 3_000
   */
  readonly timeout?: number;
  /**
   * What a failed check at the start of the application does: reject the bootstrap, or warn. Later failures warn and
   * set the status.
   *
   * @default 'fail'
   */
  readonly onStartFailure?: 'fail' | 'warn';
}

/** How notifications are sent. */
export interface PgNotifyPublisherOptions {
  /**
   * How to reach PostgreSQL for sending, if it differs from the listener's `connection`.
   *
   * @default the registration's `connection`
   */
  readonly connection?: PgNotifyConnection;
  /**
   * Your own pool for sending, in place of a connection of this module. A client is borrowed while there are
   * notifications to send and no other user waits for it, and for delivery checks. A client that was returned during a
   * transaction is replaced. You remain the owner of the pool: end it after the application has been closed, because
   * notifications that are still to be sent would be refused.
   */
  readonly pool?: Pool;
  /**
   * How long one statement may take, in milliseconds.
   *
   * @default 10_000
   */
  readonly timeout?: number;
  /**
   * The number of notifications that may wait to be sent while a statement is on its way. More are refused with the
   * outcome `not-sent`. The array of a `notifyMany()` counts as one per thousand while it waits, and is taken as a
   * whole.
   *
   * @default 100_000
   */
  readonly maxWaiting?: number;
  /**
   * Returns the transaction in which `notify()` is called, for applications that keep it in async context (nestjs-cls).
   * It is called synchronously at each call. If it returns `undefined`, there is no transaction, and the notification
   * is sent on the registration's own connection. A call's `executor` takes precedence.
   *
   * @default no transaction, unless a call names one
   */
  readonly executor?: () => PgExecutor | undefined;
}

/** Defaults for all decorated methods of a registration. */
export interface PgNotifyHandlersOptions {
  /**
   * The number of notifications that may wait for a handler; a decorator's `bufferSize` takes precedence. When more
   * come, the oldest are dropped and announced as an `overflow` gap.
   *
   * @default 10_000
   */
  readonly bufferSize?: number;
  /**
   * How long one run of a handler may take, in milliseconds; a decorator's `timeout` takes precedence. A run that takes
   * longer counts as failed, and its context's signal is aborted. The queue goes on when the run has ended.
   *
   * @default no limit
   */
  readonly timeout?: number;
  /**
   * Whether the application's global guards, interceptors, pipes and filters also run for handlers. Most are written
   * for HTTP.
   *
   * @default false
   */
  readonly globalEnhancers?: boolean;
}

/** The options of one registration: `PgNotifyModule.forRoot(options)`. */
export interface PgNotifyModuleOptions {
  /**
   * How to reach PostgreSQL. This module sets its `connectionTimeoutMillis`, `keepAlive` and `types`, and by default
   * `keepAliveInitialDelayMillis` to 10 s.
   */
  readonly connection: PgNotifyConnection;
  readonly startup?: PgNotifyStartupOptions;
  readonly reconnect?: PgNotifyReconnectOptions;
  /**
   * How long an attempt to connect may take, including name resolution, TCP, TLS and login, in milliseconds.
   *
   * @default 10_000
   */
  readonly connectTimeout?: number;
  readonly heartbeat?: PgNotifyHeartbeatOptions;
  /**
   * Proves that notifications arrive: one is sent from a second connection, and must come back. `false` turns it off; a
   * transaction pooler is then not noticed.
   */
  readonly deliveryCheck?: false | PgNotifyDeliveryCheckOptions;
  readonly publisher?: PgNotifyPublisherOptions;
  /** How decorated methods are run. `false` ignores them, for migration scripts and REPLs. */
  readonly handlers?: false | PgNotifyHandlersOptions;
  /**
   * Whether to connect at all. Without a connection nothing is received, no handler runs, live queries poll, and
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
