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
  const adapter = adapterFor(executor);
  if (!adapter && typeof executor === 'function') return executor;
  if (!adapter && typeof executor === 'object' && executor !== null && typeof executor.query === 'function') {
    return executor;
  }
  throw new PgNotifyError(
    'configuration',
    `The ${option} must be an object with a method query(text, values), such as a pg client or the EntityManager of TypeORM, or a function (text, values)${adapter ? `: write ${adapter}` : ''}.`,
  );
}

/** Whether something can run a statement, or is a transaction that an adapter makes one of. */
export function isExecutor(value: unknown): boolean {
  if (typeof value === 'function') return true;
  const isObject = typeof value === 'object' && value !== null;
  return isObject && ('query' in value || adapterFor(value) !== undefined);
}

/** By which method each library's own transaction is known. That of Knex is a function, and would take SQL for a table. */
const ADAPTERS: readonly (readonly [method: string, adapter: string])[] = [
  ['$queryRawUnsafe', 'fromPrisma(tx)'],
  ['executeQuery', 'fromKysely(tx)'],
  ['raw', 'fromKnex(trx)'],
  ['execute', 'fromDrizzle(tx, sql)'],
];

/** What to write for a transaction that an adapter has been forgotten for. */
function adapterFor(executor: unknown): string | undefined {
  if (executor === null || (typeof executor !== 'object' && typeof executor !== 'function')) return undefined;
  const methods = executor as Readonly<Record<string, unknown>>;
  if (typeof executor === 'object' && typeof methods['query'] === 'function') return undefined;
  return ADAPTERS.find(([method]) => typeof methods[method] === 'function')?.[1];
}

/** Runs one statement with bind parameters; resolves with whatever the executor makes of the answer. */
export async function execute(executor: PgExecutor, text: string, values: unknown[]): Promise<unknown> {
  return typeof executor === 'function' ? executor(text, values) : executor.query(text, values);
}
