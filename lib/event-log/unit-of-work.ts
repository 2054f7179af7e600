import { rowsOf } from '../executor/executor-rows.js';
import { checkExecutor, execute } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { EventRows } from './event-rows.js';

/**
 * Runs transactional handlers in a transaction of the application's database library. It begins the transaction, calls `work`
 * once, commits if `work` resolves, and rolls back and rejects if `work` rejects.
 *
 * ```ts
 * unitOfWork: (work) => dataSource.transaction((em) => work(em)),
 * unitOfWork: (work) => prisma.$transaction((tx) => work(tx, fromPrisma(tx))),
 * ```
 *
 * @param work Takes the handler's `tx`, and an executor of the same transaction if `tx` is not itself an executor.
 */
export type PgUnitOfWork<Tx = unknown> = (
  work: (tx: Tx, executor?: PgExecutor) => Promise<void>,
) => PromiseLike<unknown>;

/** The transaction of a running unit of work. */
export interface UnitTransaction {
  readonly tx: unknown;
  /** Runs a statement inside the transaction. */
  readonly query: (text: string, values: (string | null)[]) => Promise<EventRows>;
}

const OPTION = 'option unitOfWork of PgEventsModule';

/**
 * Runs `work` in a unit of work. It rejects whenever `work` does, even if the unit swallows the error.
 *
 * @throws the error of `work` or of the unit, or a PgNotifyError of kind `configuration` for a unit that misuses `work`.
 */
export async function runUnitOfWork(
  unit: PgUnitOfWork,
  work: (transaction: UnitTransaction) => Promise<void>,
): Promise<void> {
  let outcome: 'not called' | 'running' | 'done' | { readonly error: unknown } = 'not called';
  await unit(async (tx, given) => {
    // A second run would start with what the first one left in memory. The event log retries by itself.
    if (outcome !== 'not called') throw misused('has called work() a second time. Leave repeats to the event log');
    outcome = 'running';
    try {
      const executor = checkExecutor(`executor of the ${OPTION}`, given ?? (tx as PgExecutor));
      await work({ tx, query: async (text, values) => rowsOf(await execute(executor, text, values)) });
      outcome = 'done';
    } catch (error) {
      outcome = { error };
      throw error;
    }
  });
  const ended = outcome as 'not called' | 'running' | 'done' | { readonly error: unknown };
  if (ended === 'done') return;
  if (ended === 'not called') throw misused('has not called work()');
  if (ended === 'running') throw misused('has not awaited work(): return its promise');
  throw ended.error;
}

function misused(how: string): PgNotifyError {
  return new PgNotifyError('configuration', `The ${OPTION} ${how}.`);
}
