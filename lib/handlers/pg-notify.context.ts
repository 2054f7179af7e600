import type { ArgumentsHost } from '@nestjs/common';
import type { PgGap } from '../channel/pg-gap.js';
import type { PgNotification } from '../channel/pg-notification.js';

/** The context type of handlers, for `host.getType()`. */
export const PG_NOTIFY_CONTEXT_TYPE = 'pg-notify';

/** One run of a handler: its last argument, and what `REQUEST` injects into request-scoped providers. */
export interface PgNotifyContext {
  /**
   * What the handler is called for: a notification, a batch of notifications, a gap, a wake-up, an event of the event
   * log or a batch of events.
   */
  readonly kind: 'notification' | 'batch' | 'gap' | 'wake-up' | 'event' | 'events';
  /** For events of several channels: their names, separated by commas. */
  readonly channel: string;
  /** The registration that listens. */
  readonly registration: string;
  /** As `ProductCache.evict`. */
  readonly handler: string;
  /** Aborted at the handler's timeout, and when a shutdown stops waiting. */
  readonly signal: AbortSignal;
  /** The notification, for a handler of single ones. */
  readonly notification?: PgNotification;
  /** The notifications, for a handler of batches. */
  readonly notifications?: readonly PgNotification[];
  /** The gap, for a gap method. */
  readonly gap?: PgGap;
}

/**
 * Whether a guard, an interceptor or a filter runs for a handler of this module.
 *
 * ```ts
 * if (isPgNotifyContext(host)) { const context = getPgNotifyContext(host); … }
 * ```
 */
export function isPgNotifyContext(host: ArgumentsHost): boolean {
  return host.getType<string>() === PG_NOTIFY_CONTEXT_TYPE;
}

/**
 * Returns the context of a run, for a guard, an interceptor or a filter. It is the last argument of the handler:
 * `host.getArgs()` is `[payload, notification, context]`, `[payloads, notifications, context]`, `[gap, context]`,
 * `[wakeUp, context]`, `[payload, event, context]` or `[payloads, events, context]`.
 */
export function getPgNotifyContext(host: ArgumentsHost): PgNotifyContext {
  return host.getArgs().at(-1) as PgNotifyContext;
}
