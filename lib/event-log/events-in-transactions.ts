import { FailedAttempt } from './event-attempts.js';
import type { AttemptFailure } from './event-attempts.js';
import { sqlStateOf } from './event-log-error.js';
import type { EventCursor, EventOutcome, EventTransaction, FailedEvent, StoredEvent } from './event-store.js';
import { mayStartNext, isDecoded, parked, poisoned } from './event-work.js';
import type { EventWork, PageOfEvents } from './event-work.js';
import type { PgEvent } from './pg-event.js';

/** After this time, in milliseconds, a transaction takes no further event: others see its effects only at the commit. */
const LONGEST_TRANSACTION = 200;

/** Calls the method and records its outcome in one transaction. Resolves with the failure, if any. */
export async function runInTransaction(
  work: EventWork,
  events: readonly PgEvent[],
  attempt: number,
  settled: { readonly to: EventCursor; readonly outcome?: EventOutcome },
): Promise<AttemptFailure | undefined> {
  const { tenure, attempts, closing } = work;
  return inTransaction(
    work,
    () => ({ events, attempt }),
    async (transaction) => {
      const failure = await tenure.lease.hold(
        closing,
        async (signal) => attempts.make(events, { attempt, signal, tx: transaction.tx }),
        abandoning(transaction),
      );
      if (failure) throw new FailedAttempt(failure);
      return tenure.settleIn(transaction, settled.to, settled.outcome);
    },
  );
}

/**
 * Handles a page one event after the other, several in each transaction. If an event fails, the transaction is rolled back; the
 * events before it run again in another transaction; then the failed event is recorded.
 */
export async function workInTransactions(work: EventWork, page: PageOfEvents): Promise<void> {
  const { tenure, attempts } = work;
  const { events } = page;
  let from = 0;
  let end = events.length;
  while (from < events.length && mayStartNext(work)) {
    const event = events[from]!;
    const unhandled = await fateWithoutRun(work, event);
    if (unhandled) {
      await tenure.settle(page.after(from + 1), { failed: [unhandled] });
      from += 1;
      continue;
    }
    const run = new TransactionRun(work, page, from, tenure.isCareful ? from + 1 : end);
    await tenure.beginning(event.seq);
    const failure = await run.run();
    if (failure && run.nextEnd > from) {
      end = run.nextEnd;
      continue;
    }
    if (failure) await tenure.settle(page.after(from + 1), { failed: [attempts.failed(event, 1, failure)] });
    from = failure ? from + 1 : run.reached;
    end = events.length;
  }
}

/** The record of an event for which the method is not called, or undefined if the event can be handled. */
async function fateWithoutRun(work: EventWork, event: StoredEvent): Promise<FailedEvent | undefined> {
  const { tenure, attempts } = work;
  if (tenure.failures.isBlocked(event.key)) return parked(event);
  if (tenure.isPoison(event.seq)) return poisoned(event, tenure.crashes);
  const decoded = attempts.decode(event);
  return isDecoded(decoded) ? undefined : attempts.failed(event, 1, decoded);
}

/** Some events of a page in one transaction. */
class TransactionRun {
  /** The index in the page after the last handled event. */
  reached: number;
  private isHandled = false;
  private current: readonly PgEvent[] = [];

  constructor(
    private readonly work: EventWork,
    private readonly page: PageOfEvents,
    private readonly from: number,
    private readonly end: number,
  ) {
    this.reached = from;
  }

  /** After a failure: where the next transaction must end so that the failing event is found. */
  get nextEnd(): number {
    const { from, reached, isHandled } = this;
    // All events were handled, and COMMIT failed because of one of them: try half of them.
    return isHandled ? from + Math.floor((reached - from) / 2) : reached;
  }

  async run(): Promise<AttemptFailure | undefined> {
    const { work, page } = this;
    let handled = 0;
    const failure = await inTransaction(
      work,
      () => ({ events: this.current, attempt: this.reached - this.from === 1 ? 1 : undefined }),
      async (transaction) => {
        this.reached = this.from;
        this.isHandled = false;
        const failed: FailedEvent[] = [];
        handled = await this.handleAll(transaction, failed);
        this.isHandled = true;
        return work.tenure.settleIn(transaction, page.after(this.reached), { failed });
      },
    );
    if (!failure) work.onHandled(handled);
    return failure;
  }

  private async handleAll(transaction: EventTransaction, failed: FailedEvent[]): Promise<number> {
    const { work, page, from, end } = this;
    const { tenure, attempts, budget, closing } = work;
    const begun = performance.now();
    let handled = 0;
    const handleUntilEnd = async (signal: AbortSignal): Promise<void> => {
      for (; this.reached < end; this.reached += 1) {
        if (this.reached > from && (performance.now() - begun >= LONGEST_TRANSACTION || !mayStartNext(work))) return;
        const event = page.events[this.reached]!;
        if (tenure.failures.isBlocked(event.key)) {
          failed.push(parked(event));
          continue;
        }
        const decoded = attempts.decode(event);
        if (!isDecoded(decoded)) return; // The next call of fateWithoutRun() records it.
        if (!budget.spend()) await budget.spendInTurn();
        this.current = [decoded];
        const failure = await attempts.make(this.current, { attempt: 1, signal, tx: transaction.tx });
        if (failure) throw new FailedAttempt(failure);
        handled += 1;
      }
    };
    await tenure.lease.hold(closing, handleUntilEnd, abandoning(transaction));
    return handled;
  }
}

/** The events of a transaction that failed at its end. */
interface Committed {
  readonly events: readonly PgEvent[];
  /** Undefined if it had other events too: nobody knows which of them it failed for. */
  readonly attempt: number | undefined;
}

/**
 * Runs `work` in a transaction, and calls the function that it returns after the commit. Resolves with the failure if the method
 * caused it; rejects with any other error, after which it may be unknown whether the transaction was committed.
 */
async function inTransaction(
  { store, attempts }: EventWork,
  committed: () => Committed,
  work: (transaction: EventTransaction) => Promise<() => void>,
): Promise<AttemptFailure | undefined> {
  let onCommitted: (() => void) | undefined;
  let failure: AttemptFailure | undefined;
  try {
    await store.transaction(async (transaction) => {
      failure = undefined;
      try {
        onCommitted = await work(transaction);
      } catch (error) {
        if (error instanceof FailedAttempt) failure = error.failure;
        throw error;
      }
    });
  } catch (error) {
    if (failure) return failure;
    const sqlState = sqlStateOf(error) ?? '';
    if (!isOfMethod(sqlState)) throw error;
    const { events, attempt } = committed();
    const run = attempt === undefined ? {} : { named: events, attempt };
    return attempts.fail(explained(error, sqlState), events, run);
  }
  onCommitted!();
  return undefined;
}

/** Ends the transaction when the shard is lost: it could not commit, and its statement may hang in a dead network. */
function abandoning(transaction: EventTransaction): (reason: unknown) => void {
  return (reason) => transaction.abandon?.(reason);
}

/**
 * Whether COMMIT, or a statement of the log itself, failed because of what the method did in the transaction: data and
 * constraints (22, 23), the state of the transaction (25), serialization and deadlocks (40), an error of a trigger (P0).
 */
function isOfMethod(sqlState: string): boolean {
  return ['22', '23', '25', '40', 'P0'].includes(sqlState.slice(0, 2));
}

function explained(error: unknown, sqlState: string): unknown {
  if (sqlState === '25P02') {
    return new Error(
      'a statement of the method failed, and its error was caught or not awaited, so PostgreSQL rolled the transaction back. Let the error reject the method, or run the statement after a SAVEPOINT.',
      { cause: error },
    );
  }
  if (sqlState === '25P03') {
    return new Error(
      'the transaction had no statement for longer than the lease. Do slow work before the first statement, or raise the option lease of PgEventsModule.',
      { cause: error },
    );
  }
  return error;
}
