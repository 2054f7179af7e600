import type { EventConsumerDefinition, EventOrdering, EventRetry } from '../event-log/event-consumer-definition.js';
import type { EventStart } from '../event-log/event-store.js';
import type { PgHandlerOptions } from '../handlers/handler-options.js';
import {
  count,
  flag,
  group,
  invalidOption,
  milliseconds,
  nonEmptyText,
  oneOf,
  optional,
  orElse,
  readOptions,
  shown,
} from '../option-checks.js';
import type { ChecksOf, OptionCheck } from '../option-checks.js';

/** How failed events are retried. */
export interface PgRetryOptions {
  /**
   * How many attempts an event gets before it becomes a dead letter. `Infinity` for no limit.
   *
   * @default 20, which takes about an hour
   */
  readonly attempts?: number;
  /**
   * The delay between the first failure and the next attempt, in milliseconds. It doubles with each failure. The actual delay is
   * shorter by a random part of up to half.
   *
   * @default 1_000
   */
  readonly delay?: number;
  /**
   * The largest delay, in milliseconds.
   *
   * @default 300_000
   */
  readonly maxDelay?: number;
}

/** How many events one call of the method gets. */
export interface PgEventBatchOptions {
  /** The largest number of events, from 1 to 10,000. */
  readonly maxSize: number;
}

export interface OnPgEventOptions extends PgHandlerOptions {
  /**
   * The name under which the log stores this consumer's progress. All instances use the same name, and share its events. Do not
   * rename a consumer: another name is a new consumer.
   */
  readonly consumer: string;
  /**
   * Where a consumer starts that the log does not know yet: `now` with the events published from now on, `beginning` with every
   * event that is kept, a Date of the past with the events published since then.
   *
   * @default 'now'
   */
  readonly from?: EventStart;
  /**
   * Which events wait behind a failed event. `key`: the later events of its key. `none`: no event. `strict`: all later events.
   *
   * @default 'key'
   */
  readonly ordering?: EventOrdering;
  /**
   * How many events may be handled at the same time. With 1, they are handled in the order of the log. With more, events of one
   * key are still handled one after the other.
   *
   * @default 1
   */
  readonly concurrency?: number;
  /** Makes the method take lists of payloads and of events. A failed batch is retried as a whole. */
  readonly batch?: PgEventBatchOptions;
  /**
   * Runs the method in a transaction, the context's `tx`, which also moves the cursor. So whatever the method writes with `tx`
   * happens exactly once.
   *
   * @default false
   */
  readonly transactional?: boolean;
  /**
   * How failed events are retried.
   *
   * @default the option `retry` of the module
   */
  readonly retry?: PgRetryOptions;
  /**
   * How many events may wait for a retry, or behind one of their key, before the consumer starts no new ones.
   *
   * @default 1_000
   */
  readonly maxUnsettled?: number;
  /**
   * Into how many parts the events are divided by their keys. One instance at a time handles a part, so up to that many instances
   * share the work. To change the number, pause the consumer and drop it.
   *
   * @default 1
   */
  readonly shards?: number;
}

/** The checked options of a decorator. */
export type EventConsumerSettings = Omit<EventConsumerDefinition, 'label' | 'channels' | 'call' | 'describe'> & {
  readonly from: EventStart;
};

/** The defaults that the registration and the module set for all consumers. */
export interface EventConsumerDefaults {
  readonly retry: EventRetry;
  readonly timeout: number | undefined;
}

/** PostgreSQL keeps the name in an index. */
const MAX_NAME_BYTES = 200;
/** A whole batch is in memory. */
const MAX_BATCH = 10_000;
const MAX_SHARDS = 1_000;

const ORDERINGS: readonly EventOrdering[] = ['key', 'none', 'strict'];

const consumerName: OptionCheck<string> = (given, place) => {
  if (given === undefined) {
    const remedy =
      "must be given, such as { consumer: 'billing' }: the log stores the consumer's progress under this name";
    throw invalidOption(place, `${remedy}. Do not change it later`);
  }
  const name = nonEmptyText(given, place);
  if (name.includes('\0') || !name.isWellFormed() || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw invalidOption(place, `must be at most ${MAX_NAME_BYTES} bytes of text, without NUL`);
  }
  return name;
};

const start: OptionCheck<EventStart> = (given, place) => {
  if (given === 'now' || given === 'beginning') return given;
  if (given instanceof Date && given.getTime() > Date.now()) {
    const remedy = "nothing is left out before a time that is to come. Write 'now', or a Date of the past";
    throw invalidOption(place, `is in the future (${given.toISOString()}), but ${remedy}`);
  }
  if (given instanceof Date && !Number.isNaN(given.getTime())) return given;
  throw invalidOption(place, `must be 'now', 'beginning' or a Date, not ${shown(given)}`);
};

const attempts: OptionCheck<number> = (given, place) => (given === Infinity ? Infinity : count()(given, place));

/** The checks of {@link PgRetryOptions}, without defaults. */
export const RETRY = {
  attempts: optional(attempts),
  delay: optional(milliseconds({ least: 1 })),
  maxDelay: optional(milliseconds({ least: 1 })),
} satisfies ChecksOf<PgRetryOptions>;

const ON_EVENT = {
  registration: optional(nonEmptyText),
  timeout: optional(milliseconds({ least: 1 })),
  consumer: consumerName,
  from: orElse('now', start),
  ordering: optional(oneOf(ORDERINGS)),
  concurrency: orElse(1, count()),
  batch: optional(group({ maxSize: count({ most: MAX_BATCH }) } satisfies ChecksOf<PgEventBatchOptions>)),
  transactional: orElse(false, flag),
  retry: group(RETRY),
  maxUnsettled: orElse(1_000, count()),
  shards: orElse(1, count({ most: MAX_SHARDS })),
} satisfies ChecksOf<OnPgEventOptions>;

/**
 * Checks the options of `@OnPgEvent()`.
 *
 * @param where The decorator and its method, for messages.
 * @throws PgNotifyError of kind `configuration` that names the option and its valid values.
 */
export function readOnPgEventOptions(
  options: Partial<OnPgEventOptions>,
  where: string,
  defaults: EventConsumerDefaults,
): EventConsumerSettings {
  const read = readOptions(where, options, ON_EVENT, { synonyms: SYNONYMS });
  const { consumer: name, from, concurrency, batch, transactional: isTransactional, maxUnsettled, shards } = read;
  const refuse = (path: string, problem: string): never => {
    throw invalidOption({ owner: where, path }, problem);
  };
  if (concurrency > 1) {
    if (isTransactional) {
      refuse(
        'concurrency',
        'cannot be combined with transactional, which handles events one after the other: leave one out, or use shards',
      );
    }
    if (batch)
      refuse(
        'concurrency',
        'cannot be combined with batch, which handles one batch at a time: leave one out, or use shards',
      );
    if (read.ordering === 'strict') {
      refuse(
        'concurrency',
        "cannot be combined with ordering: 'strict', which handles events one after the other: leave one out",
      );
    }
  }
  if (batch && read.ordering !== undefined && read.ordering !== 'strict') {
    refuse(
      'ordering',
      'cannot be combined with batch, which is retried as a whole before all later events: leave one out',
    );
  }
  if (shards > 1 && read.ordering === 'strict') {
    refuse(
      'shards',
      "cannot be combined with ordering: 'strict', which is one order of all events: leave one out, or write ordering: 'key'",
    );
  }
  const retry = mergedRetry(read.retry, defaults.retry);
  if (retry.delay > retry.maxDelay) {
    refuse('retry.delay', `(${retry.delay} ms) is larger than retry.maxDelay (${retry.maxDelay} ms): set both`);
  }
  const { ordering = 'key', timeout = defaults.timeout } = read;
  return { name, from, ordering, concurrency, batch, isTransactional, retry, maxUnsettled, shards, timeout };
}

/** Names of these options in other libraries, for the hint at an unknown option. */
const SYNONYMS = {
  name: 'consumer',
  group: 'consumer',
  groupid: 'consumer',
  subscription: 'consumer',
  partitions: 'shards',
};

export function mergedRetry(given: PgRetryOptions, defaults: EventRetry): EventRetry {
  const { attempts: most = defaults.attempts, delay = defaults.delay, maxDelay = defaults.maxDelay } = given;
  return { attempts: most, delay, maxDelay };
}
