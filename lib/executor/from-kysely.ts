import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgExecutor } from './pg-executor.js';

/** A compiled statement of Kysely. */
export interface KyselyStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly query: { readonly kind: 'RawNode'; readonly sqlFragments: readonly string[]; readonly parameters: never[] };
  readonly queryId: { readonly queryId: string };
}

/** The part of a Kysely transaction that runs statements. */
export interface KyselyTransaction {
  executeQuery(statement: KyselyStatement): PromiseLike<unknown>;
}

/**
 * Makes an executor of a Kysely transaction, controlled ones included.
 *
 * ```ts
 * await db.transaction().execute(async (tx) => {
 *   await tx.insertInto('orders').values(order).execute();
 *   await pgNotify.notify(OrderEvents, event, { executor: fromKysely(tx) });
 * });
 * ```
 *
 * @param tx The argument of the callback of `transaction().execute()`, or the result of `startTransaction().execute()`.
 * With `db` itself the notification is sent at once, in its own transaction.
 * @throws PgNotifyError of kind `configuration` for anything else.
 */
export function fromKysely(tx: KyselyTransaction): PgExecutor {
  if (typeof (tx as Partial<KyselyTransaction> | undefined)?.executeQuery !== 'function') {
    throw new PgNotifyError(
      'configuration',
      'fromKysely(tx) takes the transaction that db.transaction().execute(async (tx) => …) hands to its callback: what it got has no method executeQuery.',
    );
  }
  return (text, values) =>
    tx.executeQuery({
      sql: text,
      parameters: values,
      query: { kind: 'RawNode', sqlFragments: [text], parameters: [] },
      queryId: { queryId: 'nest-pg-notify' }, // A new object each time, because plugins identify statements by it.
    });
}
