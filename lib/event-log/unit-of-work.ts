import { rowsOf } from '../executor/executor-rows.js';
import { checkExecutor, execute } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import { PgNotifyError } from '../pg-notify.errors.js';

/**
 * Runs transactional handlers inside a transaction of the application's own database library: begins one, calls `work`
 * once, commits if that resolves, rolls back and rejects if it rejects.
 *
 * ```ts
 * unitOfWork: (work) => dataSource.transaction((em) => work(em)),
 * unitOfWork: (work) => prisma.$transaction((tx) => work(tx, fromPrisma(tx))),
 * ```
 *
 * @param work Takes what the handler gets as `tx`, and the executor of the same transaction if that is not an executor by
 * itself.
 */
export type PgUnitOfWork<Tx = unknown> = (
  work: (tx: Tx, executor?: PgExecutor) => Promise<void>,
) => PromiseLike<unknown>;

/** The transaction of a unit of work that is under way. */
export interface UnitTransaction {
  readonly tx: unknown;
  /** Runs a statement inside the transaction. */
  readonly query: (text: string, values: (string | null)[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;
}

const OPTION = 'option unitOfWork of PgEventsModule';

/**
 * Runs `work` in a unit of work. It has failed whenever `work` has, whatever the unit makes of that.
 *
 * @throws what `work` or the unit throws, or a PgNotifyError of kind `configuration` for a unit that does not do its part.
 */
export async function runUnitOfWork(
  unit: PgUnitOfWork,
  work: (transaction: UnitTransaction) => Promise<void>,
): Promise<void> {
  let outcome: 'not called' | 'running' | 'done' | { readonly error: unknown } = 'not called';
  await unit(async (tx, given) => {
    // A repeat would begin in the middle of what the first run has begun: the event log repeats by itself.
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
