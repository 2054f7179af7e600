import type { AttemptFailure } from './event-attempts.js';
import { sqlStateOf } from './event-failure.js';
import type { EventCursor, EventOutcome, EventTransaction, FailedEvent, StoredEvent } from './event-store.js';
import { goesOn, isDecoded, parked, poisoned } from './event-work.js';
import type { EventWork, PageOfEvents } from './event-work.js';
import type { PgEvent } from './pg-event.js';

/** How long events are taken into one transaction, in milliseconds: their effects are seen together, when it commits. */
const LONGEST_TRANSACTION = 200;

/** Runs the method in a transaction, and what is written down of it in the same one. Says why if that failed. */
export async function runInTransaction(
  work: EventWork,
  events: readonly PgEvent[],
  attempt: number,
  settled: { readonly to: EventCursor; readonly outcome?: EventOutcome },
): Promise<AttemptFailure | undefined> {
  const { tenure, attempts, closing } = work;
  return inTransaction(
    work,
    () => events,
    async (transaction) => {
      const failure = await tenure.lease.hold(
        closing,
        async (signal) => attempts.make(events, { attempt, signal, tx: transaction.tx }),
        abandoning(transaction),
      );
      if (failure) throw new Failed(failure);
      return tenure.settleIn(transaction, settled.to, settled.outcome);
    },
  );
}

/**
 * Works off a page one event after the other, as many in a transaction as it takes some time for. Where one fails, what came
 * before it runs again, in a transaction that ends before it; then it is written down by itself.
 */
export async function workInTransactions(work: EventWork, page: PageOfEvents): Promise<void> {
  const { tenure, attempts } = work;
  const { events } = page;
  let from = 0;
  let end = events.length;
  while (from < events.length && goesOn(work)) {
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

/** What is written down of an event that the method is not called for: it waits behind another, or cannot be read. */
async function fateWithoutRun(work: EventWork, event: StoredEvent): Promise<FailedEvent | undefined> {
  const { tenure, attempts } = work;
  if (tenure.failures.isBlocked(event.key)) return parked(event);
  if (tenure.isPoison(event.seq)) return poisoned(event, tenure.crashes);
  const decoded = attempts.decode(event);
  return isDecoded(decoded) ? undefined : attempts.failed(event, 1, decoded);
}

/** Some events of a page in one transaction. */
class TransactionRun {
  /** Up to which event of the page the transaction went. */
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

  /** Of a transaction that has failed: how many events to try next, so that the one that is to blame is found. */
  get nextEnd(): number {
    const { from, reached, isHandled } = this;
    // All were handled, and COMMIT was refused: for one of them.
    return isHandled ? from + Math.floor((reached - from) / 2) : reached;
  }

  async run(): Promise<AttemptFailure | undefined> {
    const { work, page } = this;
    let handled = 0;
    const failure = await inTransaction(
      work,
      () => this.current,
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
        if (this.reached > from && (performance.now() - begun >= LONGEST_TRANSACTION || !goesOn(work))) return;
        const event = page.events[this.reached]!;
        if (tenure.failures.isBlocked(event.key)) {
          failed.push(parked(event));
          continue;
        }
        const decoded = attempts.decode(event);
        if (!isDecoded(decoded)) return; // By itself, next.
        if (!budget.spend()) await budget.spendInTurn();
        this.current = [decoded];
        const failure = await attempts.make(this.current, { attempt: 1, signal, tx: transaction.tx });
        if (failure) throw new Failed(failure);
        handled += 1;
      }
    };
    await tenure.lease.hold(closing, handleUntilEnd, abandoning(transaction));
    return handled;
  }
}

/**
 * Runs `work` in a transaction, and what it returns after the commit. What the method is to blame for becomes a failure; what
 * keeps it from being known whether the transaction has committed is thrown.
 */
async function inTransaction(
  { store, attempts }: EventWork,
  events: () => readonly PgEvent[],
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
        if (error instanceof Failed) failure = error.failure;
        throw error;
      }
    });
  } catch (error) {
    if (failure) return failure;
    const sqlState = sqlStateOf(error) ?? '';
    if (isOfMethod(sqlState)) return attempts.fail(explained(error, sqlState), events());
    throw error;
  }
  onCommitted!();
  return undefined;
}

/** Ends a transaction whose shard was lost: it could not commit, and a statement of it may wait in a dead network for long. */
function abandoning(transaction: EventTransaction): (reason: unknown) => void {
  return (reason) => transaction.abandon?.(reason);
}

/** Carries the failure of a run out of its transaction, which is rolled back by it. */
class Failed extends Error {
  constructor(readonly failure: AttemptFailure) {
    super(failure.message);
  }
}

/**
 * Whether a statement of the log's own, or COMMIT, has failed for what the method did in the transaction: data and
 * constraints (22, 23), the state of the transaction (25), serialization and deadlocks (40), what a trigger raises (P0).
 */
function isOfMethod(sqlState: string): boolean {
  return ['22', '23', '25', '40', 'P0'].includes(sqlState.slice(0, 2));
}

function explained(error: unknown, sqlState: string): unknown {
  if (sqlState === '25P02') {
    return new Error(
      'a statement of the method has failed, and that was caught or not awaited: PostgreSQL has rolled the transaction back for it. Let it reject, or run the statement after a SAVEPOINT.',
      { cause: error },
    );
  }
  if (sqlState === '25P03') {
    return new Error(
      'the transaction was left without a statement for longer than the lease. Do what takes long before the first statement, or raise the option lease of PgEventsModule.',
      { cause: error },
    );
  }
  return error;
}
