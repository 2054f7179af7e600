import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { ErrorRoute } from '../pg-notify.registration-context.js';
import type { Clock } from '../time/clock.js';
import { NO_PRIVILEGE, sqlStateOf } from './event-log-error.js';
import type { EventAdmin } from './event-store.js';

/** The delay before the first run, and between the end of a run and the next, in milliseconds. */
const FIRST_DELAY = 10_000;
const INTERVAL = 3_600_000;

export interface EventRetentionOptions {
  readonly store: Pick<EventAdmin, 'prune'>;
  /** Events younger than this are kept, in milliseconds. */
  readonly retention: number;
  readonly clock: Clock;
  readonly errors: Pick<ErrorRoute, 'report'>;
  /** Whether the application has consumers. Without any, its role may lack what deleting needs. */
  readonly consumes: boolean;
}

/** Deletes old events every hour. Each instance does it, so no leader is needed; while one deletes, the others find nothing. */
export class EventRetention {
  private readonly stopping = new AbortController();

  constructor(private readonly options: EventRetentionOptions) {}

  /** Resolves after `stop()`. Never rejects. */
  async run(): Promise<void> {
    const { clock } = this.options;
    const { signal } = this.stopping;
    try {
      for (let delay = FIRST_DELAY; ; delay = INTERVAL) {
        await clock.sleep(delay, signal);
        await this.prune();
      }
    } catch {
      // The sleep was aborted by stop().
    }
  }

  stop(): void {
    this.stopping.abort(new Error('The event log is being closed.'));
  }

  /** Deletes in parts, so that a shutdown does not wait for all of them. */
  private async prune(): Promise<void> {
    const { store, retention, errors, consumes } = this.options;
    try {
      while (!this.stopping.signal.aborted && (await store.prune(retention)) > 0);
    } catch (error) {
      // A role that only publishes leaves it to the others.
      if (!consumes && sqlStateOf(error) === NO_PRIVILEGE) this.stop();
      else if (!this.stopping.signal.aborted) errors.report(notPruned(error));
    }
  }
}

function notPruned(cause: unknown): PgNotifyError {
  const message = `Old events could not be deleted, which is tried again in an hour: ${messageOf(cause)}`;
  const kind = cause instanceof PgNotifyError ? cause.kind : 'connection';
  return new PgNotifyError(kind, message, { cause });
}
