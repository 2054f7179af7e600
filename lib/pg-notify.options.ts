import type { ClientConfig } from 'pg';
import { PgNotifyError } from './pg-notify.errors.js';

/**
 * How to reach PostgreSQL: directly, or through a pooler in session mode.
 *
 * A connection string, the settings of a `pg.Client`, or a function that returns such settings. The function is
 * asked anew for every attempt to connect, so passwords and hosts may change while the application runs.
 */
export type PgNotifyConnection = string | ClientConfig | (() => ClientConfig | Promise<ClientConfig>);

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
   * How long bootstrap may wait for the connection and for the first LISTENs together, in milliseconds.
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

/** The options of one registration: `PgNotifyModule.forRoot(options)`. */
export interface PgNotifyModuleOptions {
  /** How to reach PostgreSQL. Its `connectionTimeoutMillis` and `keepAlive` are set by this module. */
  readonly connection: PgNotifyConnection;
  readonly startup?: PgNotifyStartupOptions;
  readonly reconnect?: PgNotifyReconnectOptions;
  /**
   * How long one attempt to connect may take, in milliseconds: name resolution, TCP, TLS and login together.
   *
   * @default 10_000
   */
  readonly connectTimeout?: number;
  readonly publisher?: PgNotifyPublisherOptions;
  /**
   * How long running handlers may take to finish when the application shuts down, in milliseconds.
   *
   * @default 10_000
   */
  readonly shutdownTimeout?: number;
}

/**
 * Where a session asks for its settings, anew for every attempt. Always a function: whatever holds one can be printed
 * without printing a password.
 */
export type ConnectionSettings = () => ClientConfig | Promise<ClientConfig>;

/** The options with every default filled in. */
export interface ResolvedPgNotifyOptions {
  readonly connection: ConnectionSettings;
  readonly startup: Required<PgNotifyStartupOptions>;
  readonly reconnect: Required<PgNotifyReconnectOptions>;
  readonly connectTimeout: number;
  readonly publisher: { readonly connection: ConnectionSettings; readonly timeout: number };
  readonly shutdownTimeout: number;
}

const STARTUP_MODES: readonly PgNotifyStartupMode[] = ['wait', 'fail', 'background'];

/**
 * Checks the options where the user wrote them and fills in the defaults.
 *
 * @throws PgNotifyError of kind `configuration` that names the option and what it takes.
 */
export function resolveOptions(options: PgNotifyModuleOptions): ResolvedPgNotifyOptions {
  if (typeof options !== 'object' || options === null) {
    throw new PgNotifyError('configuration', 'PgNotifyModule got no options: it needs at least { connection }.');
  }
  const { startup = {}, reconnect = {}, publisher = {} } = options;
  const connection = settingsOf('connection', options.connection);
  const resolved: ResolvedPgNotifyOptions = {
    connection,
    startup: {
      mode: checkChoice('startup.mode', startup.mode ?? 'wait', STARTUP_MODES),
      timeout: checkMilliseconds('startup.timeout', startup.timeout ?? 30_000),
    },
    reconnect: {
      minDelay: checkMilliseconds('reconnect.minDelay', reconnect.minDelay ?? 100),
      maxDelay: checkMilliseconds('reconnect.maxDelay', reconnect.maxDelay ?? 30_000),
      stableAfter: checkMilliseconds('reconnect.stableAfter', reconnect.stableAfter ?? 10_000),
    },
    connectTimeout: checkMilliseconds('connectTimeout', options.connectTimeout ?? 10_000),
    publisher: {
      connection: publisher.connection ? settingsOf('publisher.connection', publisher.connection) : connection,
      timeout: checkMilliseconds('publisher.timeout', publisher.timeout ?? 10_000),
    },
    shutdownTimeout: checkMilliseconds('shutdownTimeout', options.shutdownTimeout ?? 10_000),
  };
  if (resolved.reconnect.minDelay > resolved.reconnect.maxDelay) {
    throw invalid('reconnect.minDelay', `is larger than reconnect.maxDelay (${resolved.reconnect.maxDelay})`);
  }
  return resolved;
}

function settingsOf(option: string, connection: PgNotifyConnection): ConnectionSettings {
  if (typeof connection === 'function') {
    return async () => {
      const settings = await connection();
      checkSettings(option, settings);
      return settings;
    };
  }
  if (typeof connection === 'string') {
    const settings = { connectionString: connection };
    if (connection === '') throw invalid(option, EMPTY);
    return () => settings;
  }
  checkSettings(option, connection);
  return () => connection;
}

const EMPTY = 'is empty or undefined. Is the environment variable that it comes from set?';

/**
 * An absent connection string would make `pg` connect to its defaults, silently: the usual cause is an environment
 * variable that is not set.
 */
function checkSettings(option: string, settings: ClientConfig): void {
  if (typeof settings !== 'object' || settings === null) {
    throw invalid(option, 'must be a connection string, the settings of a pg.Client, or a function that returns them');
  }
  if ('connectionString' in settings && !settings.connectionString) throw invalid(`${option}.connectionString`, EMPTY);
}

/** Node's timers count in 32 bits: a longer delay would fire at once. */
const MAX_MILLISECONDS = 2 ** 31 - 1;

function checkMilliseconds(option: string, value: number): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= MAX_MILLISECONDS)) {
    throw invalid(option, `must be a number of milliseconds from 0 to ${MAX_MILLISECONDS}, not ${String(value)}`);
  }
  return value;
}

function checkChoice<T extends string>(option: string, value: T, choices: readonly T[]): T {
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
