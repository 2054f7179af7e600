import { PgNotifyError } from '../pg-notify.errors.js';

/** What runs one SQL statement inside the caller's own transaction, such as a `pg` client or TypeORM's EntityManager. */
export interface PgQueryable {
  query(text: string, values: unknown[]): PromiseLike<unknown>;
}

/** Anything that can run one SQL statement inside the caller's own transaction. */
export type PgExecutor = PgQueryable | ((text: string, values: unknown[]) => PromiseLike<unknown>);

/**
 * Returns the executor, if it is one.
 *
 * @param option What it is called in the message.
 * @throws PgNotifyError of kind `configuration` that says what one is.
 */
export function checkExecutor(option: string, executor: PgExecutor): PgExecutor {
  if (typeof executor === 'function') return executor;
  if (typeof executor === 'object' && executor !== null && typeof executor.query === 'function') return executor;
  throw new PgNotifyError(
    'configuration',
    `The ${option} must be an object with a method query(text, values), such as a pg client or the EntityManager of TypeORM, or a function (text, values).`,
  );
}

/** Runs one statement with bind parameters; resolves with whatever the executor makes of the answer. */
export async function execute(executor: PgExecutor, text: string, values: unknown[]): Promise<unknown> {
  return typeof executor === 'function' ? executor(text, values) : executor.query(text, values);
}
