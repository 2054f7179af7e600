import { PgNotifyError } from '../pg-notify.errors.js';
import { executorAdvice } from './executor-advice.js';

/** What runs one SQL statement inside the caller's own transaction, such as a `pg` client or TypeORM's EntityManager. */
export interface PgQueryable {
  query(text: string, values: unknown[]): PromiseLike<unknown>;
}

/**
 * Anything that can run one SQL statement inside the caller's own transaction. The placeholders are `$1`, `$2`, …; each value
 * is text or null, because that is what every driver sends as it is.
 */
export type PgExecutor = PgQueryable | ((text: string, values: (string | null)[]) => PromiseLike<unknown>);

/**
 * Returns the executor, if it is one.
 *
 * @param option What it is called in the message.
 * @throws PgNotifyError of kind `configuration` that says what one is.
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

/** Whether something can run a statement, or is a transaction that an adapter makes one of. */
export function isExecutor(value: unknown): boolean {
  if (typeof value === 'function') return true;
  const isObject = typeof value === 'object' && value !== null;
  return isObject && ('query' in value || executorAdvice(value) !== undefined);
}

/**
 * Runs one statement with bind parameters; resolves with whatever the executor makes of the answer.
 *
 * @throws PgNotifyError of kind `configuration` for an executor that returns nothing to wait for: nobody knows whether it
 * has sent the statement, or to which transaction.
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
