import { PgNotifyError } from '../pg-notify.errors.js';
import { executorAdvice } from './executor-advice.js';

/**
 * An object that runs one SQL statement in the caller's transaction, such as a `pg` client or TypeORM's EntityManager.
 */
export interface PgQueryable {
  query(text: string, values: unknown[]): PromiseLike<unknown>;
}

/**
 * Anything that can run one SQL statement in the caller's transaction. The placeholders are `$1`, `$2`, …. Each value
 * is text or null, because every driver sends these unchanged.
 */
export type PgExecutor = PgQueryable | ((text: string, values: (string | null)[]) => PromiseLike<unknown>);

/**
 * Returns the executor if it is valid.
 *
 * @param option The option's name, for messages.
 * @throws PgNotifyError of kind `configuration` that describes a valid executor.
 */
export function checkExecutor(option: string, executor: PgExecutor): PgExecutor {
  const advice = executorAdvice(executor);
  if (!advice && typeof executor === 'function') return executor;
  if (!advice && typeof executor === 'object' && executor !== null && typeof executor.query === 'function') {
    return executor;
  }
  throw new PgNotifyError(
    'configuration',
    `The ${option} must be an object with a method query(text, values), such as a pg client or the EntityManager of TypeORM, or a function (text, values)${advice ? `: ${advice}` : ''}.`,
  );
}

/** Whether an executor is a pool of `pg`, each of whose statements may run on another connection. */
export function isPool(executor: PgExecutor): boolean {
  const { connect, totalCount } = executor as { readonly connect?: unknown; readonly totalCount?: unknown };
  return typeof connect === 'function' && typeof totalCount === 'number';
}

/** Whether a value can run a statement, or is a transaction for which there is an adapter. */
export function isExecutor(value: unknown): boolean {
  if (typeof value === 'function') return true;
  const isObject = typeof value === 'object' && value !== null;
  return isObject && ('query' in value || executorAdvice(value) !== undefined);
}

/**
 * Runs one statement with bind parameters. Resolves with the executor's result.
 *
 * @throws PgNotifyError of kind `configuration` for an executor that returns no promise: it is unknown whether it has
 * sent the statement, and in which transaction.
 */
export async function execute(executor: PgExecutor, text: string, values: (string | null)[]): Promise<unknown> {
  const answer: unknown = typeof executor === 'function' ? executor(text, values) : executor.query(text, values);
  if (typeof (answer as Partial<PromiseLike<unknown>> | undefined)?.then === 'function') return answer;
  throw new PgNotifyError(
    'configuration',
    'The executor did not return a promise. It must return that of its statement: (text, values) => tx.run(text, values), without braces, or with return.',
    { outcome: 'unknown' },
  );
}
