import type { StandardSchemaV1 } from '@standard-schema/spec';
import { GAP_REASONS } from '../channel/pg-gap.js';
import type { PgGapReason } from '../channel/pg-gap.js';
import { standardSchema } from '../channel/standard-schema.js';
import type { HandlerQueueMode } from '../consumers/handler-queue.js';
import {
  count,
  group,
  invalidOption,
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

/** How many notifications a method takes together. */
export interface PgBatchOptions {
  /** How many at the most. */
  readonly maxSize: number;
  /**
   * How long the first one may wait for others, in milliseconds. While the method runs, they gather anyway.
   *
   * @default 0
   */
  readonly maxWait?: number;
}

/** What every decorator of a handler takes. */
export interface PgHandlerOptions {
  /**
   * The registration that listens, where an application has several.
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
   * How many runs may be under way at the same time. They begin in order, and end as they like.
   *
   * @default 1
   */
  readonly concurrency?: number;
  /** Gives the method lists of payloads and of notifications. One batch at a time. */
  readonly batch?: PgBatchOptions;
  /**
   * Of those that wait only the newest counts: of all (`true`), or of those for which the function returns the same key.
   * What is replaced is neither handled nor announced.
   */
  readonly latest?: true | ((payload: never) => unknown);
  /**
   * How many notifications may wait. What does not fit is dropped, oldest first, and announced as an `overflow` gap.
   *
   * @default the registration's `handlers.bufferSize`
   */
  readonly bufferSize?: number;
  /**
   * The schema that pipes get with the payload, as by the `@Body({ schema })` of Nest 12, for its
   * `StandardSchemaValidationPipe`. By itself it checks nothing. To check every payload, give the schema to
   * `definePgChannel()`.
   */
  readonly schema?: StandardSchemaV1;
}

export interface OnPgGapOptions extends PgHandlerOptions {
  /**
   * Which gaps the method is called for.
   *
   * @default all, `start` included
   */
  readonly reasons?: readonly PgGapReason[];
}

export interface OnPgWakeUpOptions extends PgHandlerOptions {
  /**
   * How long after a run the method is called anyway, while notifications are known to arrive; in milliseconds.
   *
   * @default 30_000
   */
  readonly pollInterval?: number;
  /**
   * How long after a run the method is called anyway, while it is not known whether notifications arrive; in
   * milliseconds.
   *
   * @default 1_000
   */
  readonly fallbackPollInterval?: number;
  /**
   * How long after a run that failed the method is called again; in milliseconds. Wake-ups do not shorten it.
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
  if (typeof given === 'function') return given as NonNullable<HandlerQueueMode['latest']>;
  throw invalidOption(place, `must be true, or a function that returns the key of a payload, not ${shown(given)}`);
};

const ON_NOTIFY = {
  ...HANDLER,
  concurrency: orElse(1, count()),
  batch: optional(group(BATCH)),
  latest: optional(latest),
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

/** What the registration says of all handlers. */
export interface HandlerDefaults {
  readonly bufferSize: number;
  readonly timeout: number | undefined;
}

/** How a handler of notifications works: its queue, and how long a run may take. */
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
  const read = readOptions(where, options, ON_NOTIFY);
  const { concurrency, batch, bufferSize = defaults.bufferSize, timeout = defaults.timeout } = read;
  const chosen = [concurrency !== 1 && 'concurrency', batch && 'batch', read.latest && 'latest'];
  const names = chosen.filter((name) => typeof name === 'string');
  if (names.length > 1) {
    const message = `${where} takes one of concurrency, batch and latest, not ${names.join(' and ')}. Leave the others out.`;
    throw new PgNotifyError('configuration', message);
  }
  if (batch && batch.maxSize > bufferSize) {
    const problem = `(${bufferSize}) cannot hold a batch of ${batch.maxSize}. Raise it, or lower batch.maxSize`;
    throw invalidOption({ owner: where, path: 'bufferSize' }, problem);
  }
  return { mode: { concurrency, batch, latest: read.latest }, bufferSize, timeout };
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
