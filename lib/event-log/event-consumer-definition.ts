import type { PgChannel } from '../channel/pg-channel.js';
import type { PgEvent } from './pg-event.js';

/** How failed events are retried. */
export interface EventRetry {
  /** How many attempts an event gets; Infinity for no limit. */
  readonly attempts: number;
  /** The delay after the first failure, in milliseconds. It doubles with each further failure. */
  readonly delay: number;
  /** The upper limit of the delay, in milliseconds. */
  readonly maxDelay: number;
}

/** `key` keeps the order of each key, `none` keeps no order, `strict` keeps the order of all: a failed event stops the rest. */
export type EventOrdering = 'key' | 'none' | 'strict';

/** What a handler learns of one run, besides the events. */
export interface EventRun {
  /** 1 for the first. */
  readonly attempt: number;
  /** Aborted at the handler's timeout, if another instance takes over the shard, and at the shutdown's deadline. */
  readonly signal: AbortSignal;
  /** The transaction; undefined unless the consumer is transactional. */
  readonly tx?: unknown;
}

/** A consumer: its checked options and the method that it calls. */
export interface EventConsumerDefinition {
  /** Its name in the log. */
  readonly name: string;
  /** `Billing.charge`, for messages. */
  readonly label: string;
  readonly channels: readonly PgChannel[];
  readonly shards: number;
  readonly ordering: EventOrdering;
  readonly concurrency: number;
  /** Undefined: one event at a time. */
  readonly batch: { readonly maxSize: number } | undefined;
  readonly isTransactional: boolean;
  readonly retry: EventRetry;
  /** While this many failed events wait for a retry, no new event is started. */
  readonly maxUnsettled: number;
  /** The longest run, in milliseconds; undefined for no limit. */
  readonly timeout: number | undefined;
  /** Calls the method with one event, or with the events of a batch. */
  readonly call: (events: readonly PgEvent[], run: EventRun) => unknown;
  /** Describes a failure without quoting the payloads. */
  readonly describe?: ((thrown: unknown, events: readonly PgEvent[]) => string) | undefined;
}
