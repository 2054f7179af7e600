import type { PgHandlerKind } from '../pg-notify.diagnostics.js';

/** One use of a decorator, as its registration sees it. Each kind is a class that owns its queue, its figures and its end. */
export interface Handler {
  /** `ProductCache.evict`, for messages. */
  readonly label: string;
  readonly stats: PgHandlerStats;
  /** Whether it has nothing to do. */
  readonly isIdle: boolean;
  /** Resolves when it is idle. */
  settled(): Promise<void>;
  /** Takes nothing more; what was received still runs. */
  end(): void;
  /** Drops what waits; returns how many that were. */
  stop(): number;
}

/** What became of the notifications, gaps or wake-ups of one handler, and how many it still has to take. */
export interface PgHandlerStats {
  /** As `ProductCache.evict`. */
  readonly handler: string;
  readonly channel: string;
  /** What it is called for. The counts of a gap method and of a woken method are those of its runs. */
  readonly kind: PgHandlerKind;
  /** How many wait. */
  readonly waiting: number;
  /** How many runs are under way. */
  readonly running: number;
  readonly delivered: number;
  readonly failed: number;
  /** Those that a guard rejected. */
  readonly rejected: number;
  readonly dropped: number;
  /** With `latest`: replaced by a newer one before they were handled. */
  readonly conflated: number;
}
