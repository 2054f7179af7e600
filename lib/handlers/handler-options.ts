import type { StandardSchemaV1 } from '@standard-schema/spec';
import { isThenable } from '../channel/thenable.js';
import { GAP_REASONS } from '../channel/pg-gap.js';
import type { PgGapReason } from '../channel/pg-gap.js';
import { standardSchema } from '../channel/standard-schema.js';
import { chosenModes, QUEUE_MODES } from '../consumers/queue-mode.js';
import type { HandlerQueueMode } from '../consumers/queue-mode.js';
import {
  count,
  group,
  invalidOption,
  listed,
  milliseconds,
  optional,
  orElse,
  readOptions,
  shown,
  someOf,
  nonEmptyText,
} from '../option-checks.js';
import type { ChecksOf, OptionCheck } from '../option-checks.js';
import { PgNotifyError } from '../pg-notify.errors.js';

/** How a method takes notifications together. */
export interface PgBatchOptions {
  /** The largest batch. */
  readonly maxSize: number;
  /**
   * How long the first notification of a batch may wait for others, in milliseconds. While the method runs,
   * notifications gather anyway.
   *
   * @default 0
   */
  readonly maxWait?: number;
}

/** The common options of all handlers. */
export interface PgHandlerOptions {
  /**
   * The name of the registration that listens, if the application has several.
   *
   * @default 'default'
   */
  readonly registration?: string;
  /**
   * How long one run may take, in milliseconds. A run that takes longer counts as failed, and the signal of its context
   * is aborted; its later outcome is ignored.
   *
   * @default the registration's `handlers.timeout`
   */
  readonly timeout?: number;
}

export interface OnPgNotifyOptions extends PgHandlerOptions {
  /**
   * The number of runs that may be under way at the same time. They begin in order, and end in any order.
   *
   * @default 1
   */
  readonly concurrency?: number;
  /** Calls the method with lists of payloads and notifications, one batch at a time. */
  readonly batch?: PgBatchOptions;
  /**
   * Only the newest waiting notification is kept: one in all (`true`), or one for each key that the function returns,
   * such as a string or a number. The replaced ones are neither handled nor announced as a gap.
   */
  readonly latest?: true | ((payload: never) => unknown);
  /**
   * The number of notifications that may wait. When more come, the oldest are dropped and announced as an `overflow`
   * gap.
   *
   * @default the registration's `handlers.bufferSize`
   */
  readonly bufferSize?: number;
  /**
   * The schema that pipes get with the payload, like that of `@Body({ schema })` in Nest 12, for its
   * `StandardSchemaValidationPipe`. Without such a pipe it checks nothing. To check every payload, pass the schema to
   * `definePgChannel()`.
   */
  readonly schema?: StandardSchemaV1;
}

export interface OnPgGapOptions extends PgHandlerOptions {
  /**
   * The reasons of the gaps that the method is called for.
   *
   * @default all, `start` included
   */
  readonly reasons?: readonly PgGapReason[];
}

export interface OnPgWakeUpOptions extends PgHandlerOptions {
  /**
   * The time between a run and the next poll while notifications are known to arrive, in milliseconds.
   *
   * @default 30_000
   */
  readonly pollInterval?: number;
  /**
   * The time between a run and the next poll while it is not known whether notifications arrive, in milliseconds.
   *
   * @default 1_000
   */
  readonly fallbackPollInterval?: number;
  /**
   * The time between a failed run and the next one, in milliseconds. Wake-ups do not shorten it.
   *
   * @default 1_000
   */
  readonly errorDelay?: number;
}

const HANDLER = {
  registration: optional(nonEmptyText),
  timeout: optional(milliseconds({ least: 1 })),
} satisfies ChecksOf<PgHandlerOptions>;

const BATCH = {
  maxSize: count(),
  maxWait: orElse(0, milliseconds()),
} satisfies ChecksOf<PgBatchOptions>;

const latest: OptionCheck<NonNullable<HandlerQueueMode['latest']>> = (given, place) => {
  if (given === true) return () => true;
  if (typeof given === 'function') return (payload) => comparableKey((given as (of: unknown) => unknown)(payload));
  throw invalidOption(place, `must be true, or a function that returns the key of a payload, not ${shown(given)}`);
};

/** Two objects are never the same key, so none would replace another. */
function comparableKey(key: unknown): unknown {
  if ((typeof key !== 'object' || key === null) && typeof key !== 'function') return key;
  const found = isThenable(key) ? 'a promise' : shown(key);
  throw new TypeError(
    `it returned ${Array.isArray(key) ? 'an array' : found} as the key, which equals no other. Return a string or a number, such as \`\${shop}:\${id}\`.`,
  );
}

const MODES = {
  concurrency: orElse(1, count()),
  batch: optional(group(BATCH)),
  latest: optional(latest),
} satisfies ChecksOf<Pick<OnPgNotifyOptions, keyof HandlerQueueMode>>;

const ON_NOTIFY = {
  ...HANDLER,
  ...MODES,
  bufferSize: optional(count()),
  schema: optional(standardSchema),
} satisfies ChecksOf<OnPgNotifyOptions>;

const ON_GAP = {
  ...HANDLER,
  reasons: optional(someOf(GAP_REASONS)),
} satisfies ChecksOf<OnPgGapOptions>;

const ON_WAKE_UP = {
  ...HANDLER,
  pollInterval: orElse(30_000, milliseconds({ least: 1 })),
  fallbackPollInterval: orElse(1_000, milliseconds({ least: 1 })),
  errorDelay: orElse(1_000, milliseconds()),
} satisfies ChecksOf<OnPgWakeUpOptions>;

/** The registration's defaults for its handlers. */
export interface HandlerDefaults {
  readonly bufferSize: number;
  readonly timeout: number | undefined;
}

/** The resolved options of a handler of notifications. */
export interface NotifyHandlerSettings {
  readonly mode: HandlerQueueMode;
  readonly bufferSize: number;
  readonly timeout: number | undefined;
}

/**
 * Checks the options of `@OnPgNotify()`.
 *
 * @param where The decorator and its method, for messages.
 * @throws PgNotifyError of kind `configuration` that names the option and what it takes.
 */
export function readNotifyOptions(
  options: OnPgNotifyOptions,
  where: string,
  defaults: HandlerDefaults,
): NotifyHandlerSettings {
  const {
    registration: _registration,
    schema: _schema,
    bufferSize = defaults.bufferSize,
    timeout = defaults.timeout,
    ...mode
  } = readOptions(where, options, ON_NOTIFY);
  const chosen = chosenModes(mode);
  if (chosen.length > 1) {
    const message = `${where} takes one of ${listed(QUEUE_MODES)}, not ${chosen.join(' and ')}. Leave the others out.`;
    throw new PgNotifyError('configuration', message);
  }
  const { batch } = mode;
  if (batch && batch.maxSize > bufferSize) {
    const problem = `(${bufferSize}) cannot hold a batch of ${batch.maxSize}. Raise it, or lower batch.maxSize`;
    throw invalidOption({ owner: where, path: 'bufferSize' }, problem);
  }
  return { mode, bufferSize, timeout };
}

/** As {@link readNotifyOptions}, for `@OnPgGap()`. Without `reasons`, the method is called for all. */
export function readGapOptions(options: OnPgGapOptions, where: string, defaults: HandlerDefaults) {
  const { reasons, timeout = defaults.timeout } = readOptions(where, options, ON_GAP);
  return { reasons, timeout };
}

/** As {@link readNotifyOptions}, for `@OnPgWakeUp()`. */
export function readWakeUpOptions(options: OnPgWakeUpOptions, where: string, defaults: HandlerDefaults) {
  const { registration: _, timeout = defaults.timeout, ...times } = readOptions(where, options, ON_WAKE_UP);
  return { timeout, ...times };
}
