import type { PgChannel } from '../channel/pg-channel.js';
import type { PgEvent } from './pg-event.js';

/** How failures are tried again. */
export interface EventRetry {
  /** How often an event is tried; Infinity for ever. */
  readonly attempts: number;
  /** How long after the first failure, in milliseconds; it doubles with each. */
  readonly delay: number;
  /** What it doubles up to, in milliseconds. */
  readonly maxDelay: number;
}

/** In which order events are handled: of each key, in none, or one after the other with nothing past what has failed. */
export type EventOrdering = 'key' | 'none' | 'strict';

/** One run of a handler of events. */
export interface EventRun {
  /** 1 for the first. */
  readonly attempt: number;
  /** Aborted at the timeout, when the shard was lost to another instance, and when a shutdown waits no longer. */
  readonly signal: AbortSignal;
  /** The transaction of a transactional consumer. */
  readonly tx?: unknown;
}

/** A consumer, and the method that it calls. */
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
  /** With that many failures that wait to be tried again, nothing new is begun. */
  readonly maxUnsettled: number;
  /** How long a run may take, in milliseconds. */
  readonly timeout: number | undefined;
  /** Calls the method: with one event, or with those of a batch. */
  readonly call: (events: readonly PgEvent[], run: EventRun) => unknown;
  /** Describes a failure without the values of the payloads. */
  readonly describe?: ((thrown: unknown, events: readonly PgEvent[]) => string) | undefined;
}
