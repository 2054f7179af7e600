import { noteDelivery } from './event-deliveries.js';
import { runInTransaction } from './events-in-transactions.js';
import type { AttemptFailure } from './event-attempts.js';
import type { EventCursor, EventOutcome, FailedEvent, StoredEvent } from './event-store.js';
import { mayStartNext, isDecoded, poisoned } from './event-work.js';
import type { EventWork, PageOfEvents } from './event-work.js';
import type { PgEvent } from './pg-event.js';

/**
 * Handles a page in which nothing may overtake a failed event: batches, and events in strict order. Failures are retried after
 * a delay. A batch that has used up its attempts, or failed for good, is halved until the failing event is alone and becomes a
 * dead letter.
 */
export async function workTogether(work: EventWork, page: PageOfEvents, now: () => number): Promise<void> {
  const { tenure, definition, budget } = work;
  const { length } = page.events;
  const size = definition.batch ? tenure.batchSize(length, definition.retry.attempts) : 1;
  let begun = 0;
  do {
    if (!mayStartNext(work)) return;
    if (!budget.spend()) await budget.spendInTurn();
    const isHandled = await handleGroup(work, page, { begun, size }, now);
    if (!isHandled) return;
    begun += size;
  } while (!definition.batch && begun < length);
}

/** Handles a part of a page. Resolves with false if it must be retried. */
async function handleGroup(
  work: EventWork,
  page: PageOfEvents,
  { begun, size }: { readonly begun: number; readonly size: number },
  now: () => number,
): Promise<boolean> {
  const { tenure, attempts, definition, onHandled } = work;
  const group = page.events.slice(begun, begun + size);
  const [first] = group;
  const last = group.at(-1)!;
  const to = page.after(begun + size);
  const attempt = tenure.standingAttempts + 1;
  const { events, failed } = readGroup(work, group);
  if (events.length === 0) {
    await tenure.settle(to, { failed });
    return true;
  }
  await tenure.beginning(first!.seq);
  const failure = await run(work, events, attempt, { to, outcome: { failed, ...tenure.standingAfter(last.seq) } });
  if (!failure) {
    tenure.batchHandled(last.seq);
    onHandled(events.length);
    return true;
  }
  const isGivenUp = failure.isFinal || attempt >= definition.retry.attempts;
  if (isGivenUp && group.length === 1) {
    const dead: FailedEvent = { ...attempts.failed(first!, attempt, failure), state: 'dead', delay: 0 };
    await tenure.settle(to, { failed: [dead], ...tenure.standingAfter(last.seq) });
    tenure.batchHandled(last.seq);
    return true;
  }
  await tenure.settle(tenure.cursor, { attempts: attempt, error: failure.message });
  if (isGivenUp) tenure.halveBatch(page.events);
  else tenure.notBefore = now() + attempts.delayAfter(attempt);
  return false;
}

/** Splits a group into the decoded events for the method and the records of those that it cannot get. */
function readGroup(
  { tenure, attempts }: EventWork,
  group: readonly StoredEvent[],
): { readonly events: readonly PgEvent[]; readonly failed: readonly FailedEvent[] } {
  const events: PgEvent[] = [];
  const failed: FailedEvent[] = [];
  for (const event of group) {
    if (group.length === 1 && tenure.isPoison(event.seq)) {
      failed.push(poisoned(event, tenure.crashes));
      continue;
    }
    const decoded = attempts.decode(event);
    if (isDecoded(decoded)) events.push(decoded);
    else failed.push(attempts.failed(event, 1, decoded));
  }
  noteDelivery(events, tenure.delivery);
  return { events, failed };
}

async function run(
  work: EventWork,
  events: readonly PgEvent[],
  attempt: number,
  settled: { readonly to: EventCursor; readonly outcome: EventOutcome },
): Promise<AttemptFailure | undefined> {
  const { tenure, attempts, definition, closing } = work;
  if (definition.isTransactional) return runInTransaction(work, events, attempt, settled);
  const failure = await tenure.lease.hold(closing, async (signal) => attempts.make(events, { attempt, signal }));
  if (!failure) await tenure.settle(settled.to, settled.outcome);
  return failure;
}
