import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgExecutor } from './pg-executor.js';
import { statementParts } from './statement-parts.js';

/** The part of a Drizzle transaction that runs statements. */
export interface DrizzleTransaction<Sql> {
  execute(query: Sql): PromiseLike<unknown>;
}

/** The part of Drizzle's `sql` that makes statements. */
export interface DrizzleSql<Sql> {
  raw(text: string): Sql;
  param(value: unknown): unknown;
  join(chunks: unknown[]): Sql;
}

/**
 * Makes an executor of a Drizzle transaction.
 *
 * ```ts
 * import { sql } from 'drizzle-orm';
 *
 * await db.transaction(async (tx) => {
 *   await tx.insert(orders).values(order);
 *   await pgNotify.notify(OrderEvents, event, { executor: fromDrizzle(tx, sql) });
 * });
 * ```
 *
 * @param tx The argument of the callback of `transaction()`. With `db` itself the notification is sent at once, in its
 * own transaction.
 * @param sql The `sql` of `drizzle-orm`: this module does not import it.
 * @throws PgNotifyError of kind `configuration` for anything else.
 */
export function fromDrizzle<Sql>(tx: DrizzleTransaction<Sql>, sql: DrizzleSql<Sql>): PgExecutor {
  if (typeof (tx as Partial<DrizzleTransaction<Sql>> | undefined)?.execute !== 'function') {
    throw new PgNotifyError(
      'configuration',
      'fromDrizzle(tx, sql) takes the transaction that db.transaction(async (tx) => …) hands to its callback: what it got has no method execute.',
    );
  }
  const given: Partial<DrizzleSql<Sql>> | undefined = sql;
  if ([given?.raw, given?.param, given?.join].some((part) => typeof part !== 'function')) {
    throw new PgNotifyError(
      'configuration',
      "fromDrizzle(tx, sql) takes Drizzle's sql as its second argument: import { sql } from 'drizzle-orm'.",
    );
  }
  return (text, values) => {
    const parts = statementParts(text, values);
    return tx.execute(
      // As a parameter, because Drizzle turns an array into a list.
      sql.join(parts.map((part) => (typeof part === 'string' ? sql.raw(part) : sql.param(part.value)))),
    );
  };
}
