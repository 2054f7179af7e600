import type { WaitingFailure } from './event-failures.js';
import type { FailedEvent, StoredEvent } from './event-store.js';
import { mayStartNext, handle, isDecoded, poisoned } from './event-work.js';
import type { EventWork } from './event-work.js';
import { runInTransaction } from './events-in-transactions.js';
import { inParallel } from './events-side-by-side.js';

type Lane = readonly WaitingFailure[];

/** Retries failures that are due. Each lane is one failure and the events behind it. */
export async function retry(work: EventWork, lanes: readonly Lane[]): Promise<void> {
  const { store } = work;
  const events = new Map((await store.events(lanes.flat().map(({ seq }) => seq))).map((event) => [event.seq, event]));
  if (work.definition.isTransactional) await retryInTransactions(work, lanes, events);
  else await retrySideBySide(work, lanes, events);
}

type Events = ReadonlyMap<string, StoredEvent>;

/** Retries the first event of each lane and, while they succeed, those behind it. */
async function retrySideBySide(work: EventWork, lanes: readonly Lane[], events: Events): Promise<void> {
  const { tenure, definition, closing, onHandled } = work;
  const failed: FailedEvent[] = [];
  const gone: string[] = [];
  let handled = 0;
  // With several at a time, nobody could know which one ended the process.
  const concurrency = tenure.isCareful ? 1 : definition.concurrency;
  await tenure.lease.hold(closing, (signal) =>
    inParallel(lanes, concurrency, async (lane) => {
      for (const { seq, attempts } of lane) {
        if (!mayStartNext(work) || signal.aborted) return;
        const event = events.get(seq);
        if (!event) {
          gone.push(seq); // The event no longer exists.
          continue;
        }
        if (!work.budget.spend()) await work.budget.spendInTurn();
        await tenure.beginning(seq);
        const outcome = await handle(work, event, attempts, signal);
        if (outcome) failed.push(outcome);
        else {
          gone.push(seq);
          handled += 1;
        }
        if (outcome?.state === 'retry') return;
      }
    }),
  );
  if (failed.length + gone.length === 0) return;
  await tenure.settle(tenure.cursor, { failed, gone, attempts: tenure.standingAttempts });
  onHandled(handled);
}

/** Retries the first event of each lane, each in its own transaction. The next cycle retries those behind it. */
async function retryInTransactions(work: EventWork, lanes: readonly Lane[], events: Events): Promise<void> {
  const { tenure, attempts: made, onHandled } = work;
  for (const [head] of lanes) {
    if (!mayStartNext(work)) return;
    const { seq, attempts } = head!;
    const event = events.get(seq);
    const standing = { attempts: tenure.standingAttempts };
    if (!event) {
      await tenure.settle(tenure.cursor, { gone: [seq], ...standing });
      continue;
    }
    if (tenure.isPoison(seq)) {
      await tenure.settle(tenure.cursor, { failed: [poisoned(event, tenure.crashes)], ...standing });
      continue;
    }
    await tenure.beginning(seq);
    const decoded = made.decode(event);
    const failure = isDecoded(decoded)
      ? await runInTransaction(work, [decoded], attempts + 1, {
          to: tenure.cursor,
          outcome: { gone: [seq], ...standing },
        })
      : decoded;
    if (!failure) onHandled(1);
    else await tenure.settle(tenure.cursor, { failed: [made.failed(event, attempts + 1, failure)], ...standing });
  }
}
