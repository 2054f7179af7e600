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
  PgNotifyDeliveryCheckOptions,
  PgNotifyHandlersOptions,
  PgNotifyHeartbeatOptions,
  PgNotifyModuleOptions,
  PgNotifyPublisherOptions,
  PgNotifyReconnectOptions,
  PgNotifyStartupMode,
  PgNotifyStartupOptions,
} from './pg-notify.options.js';

/** The owner of these options, for messages. */
const OWNER = 'PgNotifyModule';

/** Refuses an executor: it would run every statement on one connection, outside of the callers' transactions. */
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
  compareInterval: orElse(60_000, milliseconds({ least: 1 })),
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
  bufferSize: orElse(10_000, count()),
  timeout: optional(milliseconds({ least: 1 })),
  globalEnhancers: orElse(false, flag),
} satisfies ChecksOf<PgNotifyHandlersOptions>;

const OPTIONS = {
  // A test's transport needs none, so resolveConnections() checks it.
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
    throw invalidOption({ owner: OWNER, path: 'reconnect.minDelay' }, problem);
  }
  return resolved;
}
