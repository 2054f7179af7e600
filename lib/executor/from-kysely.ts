import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgExecutor } from './pg-executor.js';

/** A statement, as Kysely has it when it is compiled. */
export interface KyselyStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly query: { readonly kind: 'RawNode'; readonly sqlFragments: readonly string[]; readonly parameters: never[] };
  readonly queryId: { readonly queryId: string };
}

/** The part of a transaction of Kysely that sends. */
export interface KyselyTransaction {
  executeQuery(statement: KyselyStatement): PromiseLike<unknown>;
}

/**
 * Sends inside a transaction of Kysely, also a controlled one.
 *
 * ```ts
 * await db.transaction().execute(async (tx) => {
 *   await tx.insertInto('orders').values(order).execute();
 *   await pgNotify.notify(OrderEvents, event, { executor: fromKysely(tx) });
 * });
 * ```
 *
 * @param tx What `transaction().execute()` hands to its callback, or what `startTransaction().execute()` resolves with.
 * With `db` itself it is sent at once, in a transaction of its own.
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
      queryId: { queryId: 'nest-pg-notify' }, // A new object each time: plugins tell statements by it.
    });
}
