import type { PgHandlerStats } from './consumers/handler.js';
import type { ListenerFigures } from './listener/listening-transport.js';

/** The counts of a registration since its start. */
export interface PgNotifyStats {
  /** Notifications that were received and passed to consumers. */
  readonly received: number;
  /**
   * Notifications that were withheld while the delivery check was failing, because they would follow losses without a
   * gap. The gap that ends the failure covers them.
   */
  readonly discarded: number;
  /**
   * Notifications that handlers have handled; one that two handlers took counts twice. Streams are not counted. The
   * runs of gap methods and woken methods are only counted in their own rows.
   */
  readonly delivered: number;
  /** Notifications on which handlers have failed. */
  readonly failed: number;
  /** Notifications that a guard has rejected. */
  readonly rejected: number;
  /** Notifications that were dropped because a buffer was full. */
  readonly dropped: number;
  /** Announced gaps, one for each channel, without the overflows of single handlers. */
  readonly gaps: number;
  /** The number of recoveries after a lost connection. */
  readonly reconnects: number;
  /** One row for each use of a decorator. */
  readonly handlers: readonly PgHandlerStats[];
}

/** Sums up the counts of a registration. */
export function statsOf(figures: ListenerFigures, handlers: readonly PgHandlerStats[]): PgNotifyStats {
  const sum = (count: 'delivered' | 'failed' | 'rejected' | 'dropped'): number =>
    handlers.reduce((total, handler) => total + (handler.kind === 'notification' ? handler[count] : 0), 0);
  return {
    ...figures,
    delivered: sum('delivered'),
    failed: sum('failed'),
    rejected: sum('rejected'),
    dropped: sum('dropped'),
    handlers,
  };
}
