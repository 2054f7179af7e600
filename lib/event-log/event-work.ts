import type { TurnBudget } from '../time/turn-budget.js';
import type { AttemptFailure, EventAttempts } from './event-attempts.js';
import type { EventConsumerDefinition } from './event-consumer-definition.js';
import type { EventCursor, EventPage, EventShardStore, FailedEvent, StoredEvent } from './event-store.js';
import type { EventTenure } from './event-tenure.js';
import type { PgEvent } from './pg-event.js';

/** The parts that handle the events of an owned shard. */
export interface EventWork {
  readonly definition: EventConsumerDefinition;
  readonly store: EventShardStore;
  readonly tenure: EventTenure;
  readonly attempts: EventAttempts;
  readonly budget: TurnBudget;
  /** Aborted at the deadline of a shutdown. */
  readonly closing: AbortSignal;
  /** Whether a shutdown has begun: then no more events start. */
  readonly isEnding: () => boolean;
  /** Called with the number of events that were handled and settled. */
  readonly onHandled: (count: number) => void;
}

/** Whether the next event may start. */
export function mayStartNext({ isEnding, tenure }: EventWork): boolean {
  return !isEnding() && !tenure.isPaused;
}

/** A page of events that knows the cursor after each of them. */
export class PageOfEvents {
  readonly events: readonly StoredEvent[];

  constructor(
    private readonly page: EventPage,
    private readonly done: string,
  ) {
    this.events = page.events;
  }

  /** The cursor after the first `count` events are settled. */
  after(count: number): EventCursor {
    const { open, isLast, upto } = this.page;
    if (count > 0 && count < this.events.length) return { done: this.done, open, page: this.events[count - 1]!.seq };
    return isLast ? { done: open, open: null, page: '0' } : { done: this.done, open, page: upto! };
  }
}

/** The record of an event that must wait behind another of its key. */
export function parked({ seq, key }: Pick<StoredEvent, 'seq' | 'key'>): FailedEvent {
  return { seq, key, state: 'retry', attempts: 0, delay: 0, error: null };
}

/** The dead letter of an event that is blamed for crashes. */
export function poisoned({ seq, key }: Pick<StoredEvent, 'seq' | 'key'>, crashes: number): FailedEvent {
  const error = `The process ended ${crashes} times while this event was handled.`;
  return { seq, key, state: 'dead', attempts: crashes, delay: 0, error };
}

export function isDecoded(event: PgEvent | AttemptFailure): event is PgEvent {
  return 'id' in event;
}

/**
 * Handles one event without a transaction. Resolves with its record if it failed, with undefined if not.
 *
 * @param earlier The number of earlier attempts.
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
