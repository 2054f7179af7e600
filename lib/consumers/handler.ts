import type { PgHandlerKind } from '../pg-notify.diagnostics.js';

/** One use of a decorator, as its registration sees it. Each kind is a class that owns its queue and its figures. */
export interface Handler {
  /** `ProductCache.evict`, for messages. */
  readonly label: string;
  readonly stats: PgHandlerStats;
  /** Whether it has nothing to do. */
  readonly isIdle: boolean;
  /** Resolves when it is idle. */
  settled(): Promise<void>;
  /** Takes nothing more. Notifications that were received before are still handled. */
  end(): void;
  /** Drops all waiting notifications. Returns the number dropped. */
  stop(): number;
}

/** The counts of one handler: its notifications, gaps or wake-ups by outcome, and those that it has still to handle. */
export interface PgHandlerStats {
  /** As `ProductCache.evict`. */
  readonly handler: string;
  readonly channel: string;
  /** What it is called for. For a gap method and a woken method, the counts are counts of runs. */
  readonly kind: PgHandlerKind;
  /** Notifications that wait. */
  readonly waiting: number;
  /** Runs under way. */
  readonly running: number;
  readonly delivered: number;
  readonly failed: number;
  /** Rejected by a guard. */
  readonly rejected: number;
  readonly dropped: number;
  /** With `latest`: replaced by a newer one before being handled. */
  readonly conflated: number;
}
