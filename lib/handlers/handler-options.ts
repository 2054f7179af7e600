import { inspect } from 'node:util';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { GAP_REASONS } from '../channel/pg-gap.js';
import type { PgGapReason } from '../channel/pg-gap.js';
import type { HandlerQueueMode } from '../delivery/handler-queue.js';
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
   * is aborted; what it still does is of no interest any more.
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
   * What pipes are told of the payload, as by the `@Body({ schema })` of Nest 12: for its `StandardSchemaValidationPipe`. By
   * itself it checks nothing. To check whatever is received, give the schema to `definePgChannel()`.
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

const POLL_INTERVAL = 30_000;
const FALLBACK_POLL_INTERVAL = 1_000;
const ERROR_DELAY = 1_000;

/** Node's timers count in 32 bits: a longer delay would fire at once. */
const MAX_MILLISECONDS = 2 ** 31 - 1;

/**
 * How the queue of a handler works.
 *
 * @param where The decorator and its method, for messages.
 * @throws PgNotifyError of kind `configuration` that names the option and what it takes.
 */
export function queueModeOf({ concurrency = 1, batch, latest }: OnPgNotifyOptions, where: string): HandlerQueueMode {
  const chosen = [concurrency !== 1 && 'concurrency', batch !== undefined && 'batch', latest !== undefined && 'latest'];
  const names = chosen.filter((name) => typeof name === 'string');
  if (names.length > 1) {
    throw invalid(
      where,
      `takes one of concurrency, batch and latest, not ${names.join(' and ')}: leave the others out`,
    );
  }
  if (latest !== undefined && latest !== true && typeof latest !== 'function') {
    throw invalid(where, 'takes true for latest, or a function that returns the key of a payload');
  }
  return {
    concurrency: checkCount(where, 'concurrency', concurrency),
    batch: batch === undefined ? undefined : batchOf(batch, where),
    latest: latest === true ? () => true : (latest as HandlerQueueMode['latest']),
  };
}

function batchOf(batch: PgBatchOptions | null, where: string): Required<PgBatchOptions> {
  return {
    maxSize: checkCount(where, 'batch.maxSize', batch?.maxSize),
    maxWait: checkMilliseconds(where, 'batch.maxWait', batch?.maxWait ?? 0, 0),
  };
}

/** How many notifications may wait for a handler. */
export function bufferSizeOf({ bufferSize, batch }: OnPgNotifyOptions, standard: number, where: string): number {
  const size = checkCount(where, 'bufferSize', bufferSize ?? standard);
  if (batch && batch.maxSize > size) {
    throw invalid(where, `cannot fill a batch of ${batch.maxSize} from a bufferSize of ${size}: raise bufferSize`);
  }
  return size;
}

/** How long one run may take, in milliseconds; undefined for as long as it likes. */
export function timeoutOf(
  { timeout }: PgHandlerOptions,
  standard: number | undefined,
  where: string,
): number | undefined {
  return timeout === undefined ? standard : checkMilliseconds(where, 'timeout', timeout, 1);
}

/** Which gaps a method is called for; undefined for all. */
export function reasonsOf({ reasons }: OnPgGapOptions, where: string): readonly PgGapReason[] | undefined {
  if (reasons === undefined) return undefined;
  if (Array.isArray(reasons) && reasons.length > 0 && reasons.every((reason) => GAP_REASONS.includes(reason))) {
    return reasons;
  }
  throw invalid(where, `takes a list of reasons that are among ${GAP_REASONS.join(', ')}, not ${inspect(reasons)}`);
}

/** When a method is called that nothing has woken; in milliseconds. */
export function wakeUpTimesOf(
  { pollInterval, fallbackPollInterval, errorDelay }: OnPgWakeUpOptions,
  where: string,
): Required<Pick<OnPgWakeUpOptions, 'pollInterval' | 'fallbackPollInterval' | 'errorDelay'>> {
  return {
    pollInterval: checkMilliseconds(where, 'pollInterval', pollInterval ?? POLL_INTERVAL, 1),
    fallbackPollInterval: checkMilliseconds(
      where,
      'fallbackPollInterval',
      fallbackPollInterval ?? FALLBACK_POLL_INTERVAL,
      1,
    ),
    errorDelay: checkMilliseconds(where, 'errorDelay', errorDelay ?? ERROR_DELAY, 0),
  };
}

function checkCount(where: string, option: string, value: number | undefined): number {
  if (value !== undefined && Number.isSafeInteger(value) && value >= 1) return value;
  throw invalid(where, `takes a whole number from 1 on for ${option}, not ${inspect(value)}`);
}

function checkMilliseconds(where: string, option: string, value: number, least: number): number {
  if (typeof value === 'number' && value >= least && value <= MAX_MILLISECONDS) return value;
  throw invalid(
    where,
    `takes a number of milliseconds from ${least} to ${MAX_MILLISECONDS} for ${option}, not ${inspect(value)}`,
  );
}

function invalid(where: string, problem: string): PgNotifyError {
  return new PgNotifyError('configuration', `${where} ${problem}.`, { permanent: true });
}
