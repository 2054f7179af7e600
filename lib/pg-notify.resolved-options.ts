import type { ClientConfig, Pool, PoolClient } from 'pg';
import type { CurrentExecutor } from './executor/call-executor.js';
import { PgNotifyError } from './pg-notify.errors.js';
import type {
  PgNotifyConnection,
  PgNotifyDeliveryCheckOptions,
  PgNotifyHeartbeatOptions,
  PgNotifyModuleOptions,
  PgNotifyReconnectOptions,
  PgNotifyStartupMode,
  PgNotifyStartupOptions,
} from './pg-notify.options.js';

/** Where a session asks for its settings. */
export interface ConnectionSettings {
  /** The option that they come from, for messages. */
  readonly option: string;
  /** Called anew for every attempt. A function, so that what holds it can be printed without printing a password. */
  readonly read: () => ClientConfig | Promise<ClientConfig>;
}

/** A pool of the user's own, to borrow clients from. */
export interface PoolSettings {
  /** The option that it comes from, for messages. */
  readonly option: string;
  /** A function, so that what holds it can be printed without printing a password. */
  readonly connect: () => Promise<PoolClient>;
  /** Whether others wait for a client. */
  readonly isShort: () => boolean;
}

/** Where to connect to. */
export interface ResolvedPgNotifyConnections {
  readonly connection: ConnectionSettings;
  readonly publisherConnection: ConnectionSettings;
  /** Goes before `publisherConnection`. */
  readonly publisherPool?: PoolSettings;
}

/** The options with every default filled in, but for the connections: with a transport for tests there are none. */
export interface ResolvedPgNotifyOptions {
  readonly startup: Required<PgNotifyStartupOptions>;
  readonly reconnect: Required<PgNotifyReconnectOptions>;
  readonly connectTimeout: number;
  readonly heartbeat: Required<PgNotifyHeartbeatOptions>;
  readonly deliveryCheck: false | Required<PgNotifyDeliveryCheckOptions>;
  readonly publisher: {
    readonly timeout: number;
    readonly maxWaiting: number;
    readonly executor?: CurrentExecutor | undefined;
  };
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
  const { connection: own, pool } = publisher ?? {};
  if (pool !== undefined && own !== undefined) {
    throw invalid('publisher.pool', 'goes without publisher.connection: leave one out');
  }
  return {
    connection: settings,
    publisherConnection: own === undefined ? settings : settingsOf('publisher.connection', own),
    ...(pool !== undefined && { publisherPool: poolSettings('publisher.pool', pool) }),
  };
}

function poolSettings(option: string, pool: Pool): PoolSettings {
  // A Client can connect as well, once.
  const { connect, totalCount } = (pool ?? {}) as Partial<Pool>;
  if (typeof connect !== 'function' || typeof totalCount !== 'number') throw invalid(option, 'must be a Pool of pg');
  return { option, connect: () => pool.connect(), isShort: () => pool.waitingCount > 0 };
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
      maxDelay: checkMilliseconds('reconnect.maxDelay', reconnect.maxDelay ?? 5_000, 1),
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
      maxWaiting: checkCount('publisher.maxWaiting', publisher.maxWaiting ?? 100_000),
      executor: checkCurrentExecutor('publisher.executor', publisher.executor),
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
export function isConnectionString(text: string): boolean {
  return /^([a-z][a-z0-9+.-]*:\/\/|socket:|\/)/i.test(text);
}

function checkConnectionString(option: string, text: string): string {
  if (isConnectionString(text)) return text;
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

/** What is one executor for all would run every statement on one connection, whatever transaction it is in. */
function checkCurrentExecutor(option: string, value: CurrentExecutor | undefined): CurrentExecutor | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw invalid(option, "must be a function that returns the current transaction's executor, or undefined");
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
