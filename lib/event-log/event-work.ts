import type { TurnBudget } from '../time/turn-budget.js';
import type { AttemptFailure, EventAttempts } from './event-attempts.js';
import type { EventConsumerDefinition } from './event-consumer-definition.js';
import type { EventCursor, EventPage, EventShardStore, FailedEvent, StoredEvent } from './event-store.js';
import type { EventTenure } from './event-tenure.js';
import type { PgEvent } from './pg-event.js';

/** What it takes to work off the events of a shard that is ours. */
export interface EventWork {
  readonly definition: EventConsumerDefinition;
  readonly store: EventShardStore;
  readonly tenure: EventTenure;
  readonly attempts: EventAttempts;
  readonly budget: TurnBudget;
  /** Aborted when a shutdown does not wait any longer for what runs. */
  readonly closing: AbortSignal;
  /** Whether nothing more is to be begun: the application is being shut down. */
  readonly isEnding: () => boolean;
  /** Counts what was handled and is settled. */
  readonly onHandled: (count: number) => void;
}

/** Whether the next event may be begun. */
export function goesOn({ isEnding, tenure }: EventWork): boolean {
  return !isEnding() && !tenure.isPaused;
}

/** A page of events, and where the cursor is when some of them are settled. */
export class PageOfEvents {
  readonly events: readonly StoredEvent[];

  constructor(
    private readonly page: EventPage,
    private readonly done: string,
  ) {
    this.events = page.events;
  }

  /** Where the cursor is when so many of the events are settled, from the first on. */
  after(count: number): EventCursor {
    const { open, isLast, upto } = this.page;
    if (count > 0 && count < this.events.length) return { done: this.done, open, page: this.events[count - 1]!.seq };
    return isLast ? { done: open, open: null, page: '0' } : { done: this.done, open, page: upto! };
  }
}

/** An event that has to wait behind another of its key. */
export function parked({ seq, key }: Pick<StoredEvent, 'seq' | 'key'>): FailedEvent {
  return { seq, key, state: 'retry', attempts: 0, delay: 0, error: null };
}

/** The event that has ended the process of its owner again and again. */
export function poisoned({ seq, key }: Pick<StoredEvent, 'seq' | 'key'>, crashes: number): FailedEvent {
  const error = `The process ended ${crashes} times while this event was handled.`;
  return { seq, key, state: 'dead', attempts: crashes, delay: 0, error };
}

export function isDecoded(event: PgEvent | AttemptFailure): event is PgEvent {
  return 'id' in event;
}

/**
 * Handles one event outside of a transaction; comes to what is written down of it, or to undefined if it was handled.
 *
 * @param earlier How often it was tried before.
 */
export async function handle(
  work: EventWork,
  event: StoredEvent,
  earlier: number,
  signal: AbortSignal,
): Promise<FailedEvent | undefined> {
  const { tenure, attempts } = work;
  if (tenure.isPoison(event.seq)) return poisoned(event, tenure.crashes);
  const decoded = attempts.decode(event);
  const attempt = earlier + 1;
  if (!isDecoded(decoded)) return attempts.failed(event, attempt, decoded);
  const failure = await attempts.make([decoded], { attempt, signal });
  return failure && attempts.failed(event, attempt, failure);
}
