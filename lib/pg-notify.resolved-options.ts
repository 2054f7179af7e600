import type { ClientConfig, Pool, PoolClient } from 'pg';
import type { CurrentExecutor } from './executor/call-executor.js';
import {
  checkedElsewhere,
  count,
  flag,
  group,
  groupOrFalse,
  invalidOption,
  milliseconds,
  oneOf,
  optional,
  orElse,
  readOptions,
} from './option-checks.js';
import type { Checked, ChecksOf, OptionCheck } from './option-checks.js';
import { PgNotifyError } from './pg-notify.errors.js';
import type {
  PgNotifyConnection,
  PgNotifyDeliveryCheckOptions,
  PgNotifyHandlersOptions,
  PgNotifyHeartbeatOptions,
  PgNotifyModuleOptions,
  PgNotifyPublisherOptions,
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

/** How many notifications may wait for a handler, unless it is said otherwise. */
export const DEFAULT_BUFFER_SIZE = 10_000;

/** What takes these options, for messages. */
const OWNER = 'PgNotifyModule';

/** What is one executor for all would run every statement on one connection, whatever transaction it is in. */
const currentExecutor: OptionCheck<CurrentExecutor> = (given, place) => {
  if (typeof given === 'function') return given as CurrentExecutor;
  throw invalidOption(place, "must be a function that returns the current transaction's executor, or undefined");
};

const STARTUP_MODES: readonly PgNotifyStartupMode[] = ['wait', 'fail', 'background'];

const STARTUP = {
  mode: orElse('wait', oneOf(STARTUP_MODES)),
  timeout: orElse(30_000, milliseconds()),
} satisfies ChecksOf<PgNotifyStartupOptions>;

const RECONNECT = {
  minDelay: orElse(100, milliseconds({ least: 1 })),
  maxDelay: orElse(5_000, milliseconds({ least: 1 })),
  stableAfter: orElse(10_000, milliseconds()),
} satisfies ChecksOf<PgNotifyReconnectOptions>;

const HEARTBEAT = {
  interval: orElse(10_000, milliseconds({ least: 1 })),
  timeout: orElse(5_000, milliseconds({ least: 1 })),
} satisfies ChecksOf<PgNotifyHeartbeatOptions>;

const DELIVERY_CHECK = {
  interval: orElse(60_000, milliseconds({ least: 1 })),
  timeout: orElse(3_000, milliseconds({ least: 1 })),
  onStartFailure: orElse('fail', oneOf(['fail', 'warn'])),
} satisfies ChecksOf<PgNotifyDeliveryCheckOptions>;

const PUBLISHER = {
  connection: checkedElsewhere,
  pool: checkedElsewhere,
  timeout: orElse(10_000, milliseconds({ least: 1 })),
  maxWaiting: orElse(100_000, count()),
  executor: optional(currentExecutor),
} satisfies ChecksOf<PgNotifyPublisherOptions>;

const HANDLERS = {
  bufferSize: orElse(DEFAULT_BUFFER_SIZE, count()),
  timeout: optional(milliseconds({ least: 1 })),
  globalEnhancers: orElse(false, flag),
} satisfies ChecksOf<PgNotifyHandlersOptions>;

const OPTIONS = {
  // With a transport for tests there is none: see resolveConnections().
  connection: checkedElsewhere,
  startup: group(STARTUP),
  reconnect: group(RECONNECT),
  connectTimeout: orElse(10_000, milliseconds({ least: 1 })),
  heartbeat: group(HEARTBEAT),
  deliveryCheck: groupOrFalse(DELIVERY_CHECK),
  publisher: group(PUBLISHER),
  handlers: groupOrFalse(HANDLERS),
  enabled: orElse(true, flag),
  shutdownTimeout: orElse(10_000, milliseconds()),
} satisfies ChecksOf<PgNotifyModuleOptions>;

/** The options with every default filled in, without the connections. */
export type ResolvedPgNotifyOptions = Checked<typeof OPTIONS>;

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
  if ('name' in options) {
    throw invalidOption(
      { owner: 'PgNotifyModule.forRootAsync()', path: 'name' },
      'must stand beside useFactory, not among the options that it returns: a name is fixed before they are known',
    );
  }
  const resolved = readOptions(OWNER, options, OPTIONS);
  const { minDelay, maxDelay } = resolved.reconnect;
  if (minDelay > maxDelay) {
    const problem = `(${minDelay} ms) is larger than reconnect.maxDelay (${maxDelay} ms): set both`;
    throw invalid('reconnect.minDelay', problem);
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

function invalid(path: string, problem: string): PgNotifyError {
  return invalidOption({ owner: OWNER, path }, problem);
}
