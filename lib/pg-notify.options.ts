import type { ClientConfig } from 'pg';
import { PgNotifyError } from './pg-notify.errors.js';

/**
 * How to reach PostgreSQL: directly, or through a pooler in session mode.
 *
 * A connection string, the settings of a `pg.Client`, or a function that returns either. The function is asked anew for every attempt to connect, so passwords and hosts may change while the application runs.
 */
export type PgNotifyConnection = string | ClientConfig | (() => string | ClientConfig | Promise<string | ClientConfig>);

/** What bootstrap does while PostgreSQL cannot be reached. */
export type PgNotifyStartupMode = 'wait' | 'fail' | 'background';

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
   * @default 30_000
   */
  readonly maxDelay?: number;
  /**
   * How long a connection must have listened, in milliseconds, before its loss starts the delays over.
   *
   * @default 10_000
   */
  readonly stableAfter?: number;
}

export interface PgNotifyHeartbeatOptions {
  /**
   * How long the listening connection may be quiet before it is asked whether it is alive, in milliseconds. At least
   * once a minute it is asked in any case, and compared with what it should be.
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
}

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

export interface PgNotifyPublisherOptions {
  /**
   * How to reach PostgreSQL for sending, where it differs from the listener's `connection`.
   *
   * @default the registration's `connection`
   */
  readonly connection?: PgNotifyConnection;
  /**
   * How long one statement may take, in milliseconds.
   *
   * @default 10_000
   */
  readonly timeout?: number;
}

export interface PgNotifyHandlersOptions {
  /**
   * How many notifications may wait for a handler; `bufferSize` of a decorator goes before it. What does not fit is
   * dropped, oldest first, and announced as an `overflow` gap.
   *
   * @default 10_000
   */
  readonly bufferSize?: number;
  /**
   * How long one run of a handler may take, in milliseconds; `timeout` of a decorator goes before it. A run that takes
   * longer counts as failed, its context's signal is aborted, and the queue goes on.
   *
   * @default as long as it likes
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

/** Where a session asks for its settings. */
export interface ConnectionSettings {
  /** The option that they come from, for messages. */
  readonly option: string;
  /** Called anew for every attempt. A function, so that what holds it can be printed without printing a password. */
  readonly read: () => ClientConfig | Promise<ClientConfig>;
}

/** Where to connect to. */
export interface ResolvedPgNotifyConnections {
  readonly connection: ConnectionSettings;
  readonly publisherConnection: ConnectionSettings;
}

/** The options with every default filled in, but for the connections: with a transport for tests there are none. */
export interface ResolvedPgNotifyOptions {
  readonly startup: Required<PgNotifyStartupOptions>;
  readonly reconnect: Required<PgNotifyReconnectOptions>;
  readonly connectTimeout: number;
  readonly heartbeat: Required<PgNotifyHeartbeatOptions>;
  readonly deliveryCheck: false | Required<PgNotifyDeliveryCheckOptions>;
  readonly publisher: { readonly timeout: number };
  readonly handlers:
    false | { readonly bufferSize: number; readonly timeout: number | undefined; readonly globalEnhancers: boolean };
  readonly enabled: boolean;
  readonly shutdownTimeout: number;
}

const STARTUP_MODES: readonly PgNotifyStartupMode[] = ['wait', 'fail', 'background'];

/** How many notifications may wait for a handler, unless it is said otherwise. */
export const DEFAULT_BUFFER_SIZE = 10_000;

/**
 * Checks where the user wants to connect to.
 *
 * @throws PgNotifyError of kind `configuration` that names the option and what it takes.
 */
export function resolveConnections({ connection, publisher }: PgNotifyModuleOptions): ResolvedPgNotifyConnections {
  const settings = settingsOf('connection', connection);
  const own = publisher?.connection;
  return {
    connection: settings,
    publisherConnection: own === undefined ? settings : settingsOf('publisher.connection', own),
  };
}

/**
 * Checks the options where the user wrote them and fills in the defaults.
 *
 * @throws PgNotifyError of kind `configuration` that names the option and what it takes.
 */
export function resolveOptions(options: PgNotifyModuleOptions): ResolvedPgNotifyOptions {
  if (typeof options !== 'object' || options === null) {
    throw new PgNotifyError('configuration', 'PgNotifyModule got no options: it needs at least { connection }.');
  }
  const startup = checkGroup('startup', options.startup ?? {});
  const reconnect = checkGroup('reconnect', options.reconnect ?? {});
  const heartbeat = checkGroup('heartbeat', options.heartbeat ?? {});
  const deliveryCheck = checkGroupOrFalse('deliveryCheck', options.deliveryCheck ?? {});
  const publisher = checkGroup('publisher', options.publisher ?? {});
  const handlers = checkGroupOrFalse('handlers', options.handlers ?? {});
  const resolved: ResolvedPgNotifyOptions = {
    startup: {
      mode: checkChoice('startup.mode', startup.mode ?? 'wait', STARTUP_MODES),
      timeout: checkMilliseconds('startup.timeout', startup.timeout ?? 30_000),
    },
    reconnect: {
      minDelay: checkMilliseconds('reconnect.minDelay', reconnect.minDelay ?? 100, 1),
      maxDelay: checkMilliseconds('reconnect.maxDelay', reconnect.maxDelay ?? 30_000, 1),
      stableAfter: checkMilliseconds('reconnect.stableAfter', reconnect.stableAfter ?? 10_000),
    },
    connectTimeout: checkMilliseconds('connectTimeout', options.connectTimeout ?? 10_000, 1),
    heartbeat: {
      interval: checkMilliseconds('heartbeat.interval', heartbeat.interval ?? 10_000, 1),
      timeout: checkMilliseconds('heartbeat.timeout', heartbeat.timeout ?? 5_000, 1),
    },
    deliveryCheck: deliveryCheck && {
      interval: checkMilliseconds('deliveryCheck.interval', deliveryCheck.interval ?? 60_000, 1),
      timeout: checkMilliseconds('deliveryCheck.timeout', deliveryCheck.timeout ?? 3_000, 1),
      onStartFailure: checkChoice('deliveryCheck.onStartFailure', deliveryCheck.onStartFailure ?? 'fail', [
        'fail',
        'warn',
      ]),
    },
    publisher: {
      timeout: checkMilliseconds('publisher.timeout', publisher.timeout ?? 10_000, 1),
    },
    handlers: handlers && {
      bufferSize: checkCount('handlers.bufferSize', handlers.bufferSize ?? DEFAULT_BUFFER_SIZE),
      timeout: handlers.timeout === undefined ? undefined : checkMilliseconds('handlers.timeout', handlers.timeout, 1),
      globalEnhancers: checkSwitch('handlers.globalEnhancers', handlers.globalEnhancers ?? false),
    },
    enabled: checkSwitch('enabled', options.enabled ?? true),
    shutdownTimeout: checkMilliseconds('shutdownTimeout', options.shutdownTimeout ?? 10_000),
  };
  if (resolved.reconnect.minDelay > resolved.reconnect.maxDelay) {
    const { minDelay, maxDelay } = resolved.reconnect;
    throw invalid(
      'reconnect.minDelay',
      `(${minDelay} ms) is larger than reconnect.maxDelay (${maxDelay} ms): set both`,
    );
  }
  return resolved;
}

function settingsOf(option: string, connection: PgNotifyConnection): ConnectionSettings {
  if (typeof connection === 'function') {
    return { option, read: async () => clientConfig(option, await connection()) };
  }
  const settings = clientConfig(option, connection);
  return { option, read: () => settings };
}

/**
 * An absent connection string would make `pg` connect to its defaults, silently: the usual cause is an environment
 * variable that is not set.
 */
function clientConfig(option: string, given: string | ClientConfig): ClientConfig {
  const empty = 'is empty or undefined. Is the environment variable that it comes from set?';
  if (given === undefined || given === '') throw invalid(option, empty);
  if (typeof given === 'string') return { connectionString: checkConnectionString(option, given) };
  if (typeof given !== 'object' || given === null) {
    throw invalid(option, 'must be a connection string, the settings of a pg.Client, or a function that returns them');
  }
  if ('connectionString' in given) {
    if (!given.connectionString) throw invalid(`${option}.connectionString`, empty);
    checkConnectionString(`${option}.connectionString`, given.connectionString);
  }
  return given;
}

/** `pg` takes URLs and folders of sockets; anything else it would take for the name of a host called "base". */
function checkConnectionString(option: string, text: string): string {
  if (/^([a-z][a-z0-9+.-]*:\/\/|socket:|\/)/i.test(text)) return text;
  throw invalid(option, 'must be a URL (postgres://user:password@host:5432/database) or the folder of a Unix socket');
}

/** Node's timers count in 32 bits: a longer delay would fire at once. */
const MAX_MILLISECONDS = 2 ** 31 - 1;

/** @param option What it is called in the message. */
export function checkMilliseconds(option: string, value: number, least = 0): number {
  if (typeof value !== 'number' || !(value >= least && value <= MAX_MILLISECONDS)) {
    throw invalid(
      option,
      `must be a number of milliseconds from ${least} to ${MAX_MILLISECONDS}, not ${JSON.stringify(value)}`,
    );
  }
  return value;
}

function checkCount(option: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw invalid(option, `must be a whole number from 1 on, not ${JSON.stringify(value)}`);
}

function checkGroup<T extends object>(option: string, value: T): T {
  if (typeof value === 'object') return value;
  throw invalid(option, 'must be an object'); // What it is instead may be a connection string.
}

/** A text such as 'false', from an environment variable, would leave it on. */
function checkGroupOrFalse<T extends object>(option: string, value: false | T): false | T {
  if (value === false || typeof value === 'object') return value;
  throw invalid(option, `must be false or an object, not ${JSON.stringify(value)}`);
}

/** A text such as 'false', from an environment variable, would be true. */
function checkSwitch(option: string, value: boolean): boolean {
  if (typeof value === 'boolean') return value;
  throw invalid(option, `must be true or false, not ${JSON.stringify(value)}`);
}

/** @param option What it is called in the message. */
export function checkChoice<T extends string>(option: string, value: T, choices: readonly T[]): T {
  if (!choices.includes(value)) {
    const listed = choices.map((choice) => `'${choice}'`).join(', ');
    throw invalid(option, `must be one of ${listed}, not ${JSON.stringify(value)}`);
  }
  return value;
}

function invalid(option: string, problem: string): PgNotifyError {
  return new PgNotifyError(
    'configuration',
    `The option ${option} of PgNotifyModule ${problem.replace(/[^?]$/, '$&.')}`,
    { permanent: true },
  );
}
