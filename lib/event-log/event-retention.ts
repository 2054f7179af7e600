import type { ErrorRoute } from '../pg-notify.registration-context.js';
import type { Clock } from '../time/clock.js';
import { NO_PRIVILEGE, sqlStateOf } from './event-failure.js';
import type { EventAdmin } from './event-store.js';

/** How long after the start it begins, and how long after the end it begins again, in milliseconds. */
const FIRST_DELAY = 10_000;
const INTERVAL = 3_600_000;

export interface EventRetentionOptions {
  readonly store: Pick<EventAdmin, 'prune'>;
  /** How old an event must be to be deleted, in milliseconds. */
  readonly retention: number;
  readonly clock: Clock;
  readonly errors: Pick<ErrorRoute, 'report'>;
  /** Whether the application has consumers. Without any, its role may lack what deleting needs. */
  readonly consumes: boolean;
}

/**
 * Deletes old events now and then. Every instance does it: while one is at it, the others find nothing to do, and which of
 * them still run does not matter.
 */
export class EventRetention {
  private readonly stopping = new AbortController();

  constructor(private readonly options: EventRetentionOptions) {}

  /** Begins; resolves when it was stopped. Never rejects. */
  async run(): Promise<void> {
    const { clock } = this.options;
    const { signal } = this.stopping;
    try {
      for (let delay = FIRST_DELAY; ; delay = INTERVAL) {
        await clock.sleep(delay, signal);
        await this.prune();
      }
    } catch {
      // It was stopped.
    }
  }

  stop(): void {
    this.stopping.abort(new Error('The event log is being closed.'));
  }

  /** A part at a time, so that a shutdown need not wait for all that is old. */
  private async prune(): Promise<void> {
    const { store, retention, errors, consumes } = this.options;
    try {
      while (!this.stopping.signal.aborted && (await store.prune(retention)) > 0);
    } catch (error) {
      // A role that only publishes leaves it to the others.
      if (!consumes && sqlStateOf(error) === NO_PRIVILEGE) this.stop();
      else if (!this.stopping.signal.aborted) errors.report(error);
    }
  }
}
