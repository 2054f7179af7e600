import type { EventRetry } from '../event-log/event-consumer-definition.js';
import type { EventConsumerDefinition, EventOrdering } from '../event-log/event-consumer-definition.js';
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

/** How failures are tried again. */
export interface PgRetryOptions {
  /**
   * How often an event is tried before it is a dead letter. `Infinity` tries for ever.
   *
   * @default 20, which takes about an hour
   */
  readonly attempts?: number;
  /**
   * How long after the first failure the next attempt is made, in milliseconds. It doubles with each failure, and a random
   * part of up to half of it is left out.
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

/** How many events a method takes together. */
export interface PgEventBatchOptions {
  /** How many at the most. */
  readonly maxSize: number;
}

export interface OnPgEventOptions extends PgHandlerOptions {
  /**
   * The name under which the log remembers how far this consumer has come. It is the same on every instance, and each event is
   * handled by one of them. A consumer of another name is another consumer: do not rename it.
   */
  readonly consumer: string;
  /**
   * Where a consumer begins that the log does not know yet: with what is published from now on, with all that is kept, or
   * with what was published since a time of the past.
   *
   * @default 'now'
   */
  readonly from?: EventStart;
  /**
   * What a failed event holds up. `key`: the later events of its key. `none`: nothing. `strict`: the consumer, so that nothing
   * overtakes it.
   *
   * @default 'key'
   */
  readonly ordering?: EventOrdering;
  /**
   * How many events may be handled at the same time. With 1 they are handled in the order of the log; with more, those of
   * one key one after the other.
   *
   * @default 1
   */
  readonly concurrency?: number;
  /** Gives the method lists of payloads and of events. A batch that fails is tried again as a whole. */
  readonly batch?: PgEventBatchOptions;
  /**
   * Runs the method in a transaction, the context's `tx`, in which the cursor is moved as well: what it writes with it happens
   * exactly once.
   *
   * @default false
   */
  readonly transactional?: boolean;
  /**
   * How failures are tried again.
   *
   * @default the option `retry` of the module
   */
  readonly retry?: PgRetryOptions;
  /**
   * How many failed events may wait for their next attempt, those included that wait behind one of their key. Nothing new is
   * begun until there are fewer.
   *
   * @default 1_000
   */
  readonly maxUnsettled?: number;
  /**
   * Into how many parts the events are divided, by their keys. Each part is handled by one instance at a time, so that as many
   * instances share the work. To change it, pause the consumer and drop it.
   *
   * @default 1
   */
  readonly shards?: number;
}

/** What a consumer is, beside its method. */
export type EventConsumerSettings = Omit<EventConsumerDefinition, 'label' | 'channels' | 'call' | 'describe'> & {
  readonly from: EventStart;
};

/** What the registration and its event log say of all consumers. */
export interface EventConsumerDefaults {
  readonly retry: EventRetry;
  readonly timeout: number | undefined;
}

/** How long a name may be, in bytes: PostgreSQL keeps it in an index. */
const MAX_NAME_BYTES = 200;
/** A batch is read at once, and kept in memory. */
const MAX_BATCH = 10_000;
const MAX_SHARDS = 1_000;

const ORDERINGS: readonly EventOrdering[] = ['key', 'none', 'strict'];

const consumerName: OptionCheck<string> = (given, place) => {
  if (given === undefined) {
    const remedy = "must be given, such as { consumer: 'billing' }: the log knows by it how far this consumer has come";
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

/** How often, `Infinity` included. */
const attempts: OptionCheck<number> = (given, place) => (given === Infinity ? Infinity : count()(given, place));

/** The checks of {@link PgRetryOptions}; what is left out is undefined. */
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
 * @throws PgNotifyError of kind `configuration` that names the option and what it takes.
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
        'goes without transactional, whose events are handled in one transaction: leave one out, or use shards',
      );
    }
    if (batch)
      refuse('concurrency', 'goes without batch, one of which is handled at a time: leave one out, or use shards');
    if (read.ordering === 'strict') {
      refuse(
        'concurrency',
        "goes without ordering: 'strict', where one event is handled after the other: leave one out",
      );
    }
  }
  if (batch && read.ordering !== undefined && read.ordering !== 'strict') {
    refuse('ordering', 'goes without batch, which is tried again as a whole, and nothing overtakes it: leave one out');
  }
  if (shards > 1 && read.ordering === 'strict') {
    refuse(
      'shards',
      "goes without ordering: 'strict', which is one order of all events: leave one out, or write ordering: 'key'",
    );
  }
  const retry = mergedRetry(read.retry, defaults.retry);
  if (retry.delay > retry.maxDelay) {
    refuse('retry.delay', `(${retry.delay} ms) is larger than retry.maxDelay (${retry.maxDelay} ms): set both`);
  }
  const { ordering = 'key', timeout = defaults.timeout } = read;
  return { name, from, ordering, concurrency, batch, isTransactional, retry, maxUnsettled, shards, timeout };
}

/** What other libraries call an option. */
const SYNONYMS = {
  name: 'consumer',
  group: 'consumer',
  groupid: 'consumer',
  subscription: 'consumer',
  partitions: 'shards',
};

/** What is said in the first, else in the second. */
export function mergedRetry(given: PgRetryOptions, defaults: EventRetry): EventRetry {
  const { attempts: most = defaults.attempts, delay = defaults.delay, maxDelay = defaults.maxDelay } = given;
  return { attempts: most, delay, maxDelay };
}
