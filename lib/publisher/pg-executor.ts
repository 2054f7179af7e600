import { PgNotifyError } from '../pg-notify.errors.js';
import { publishError } from './publish-error.js';

/** What runs one SQL statement inside the caller's own transaction, such as a `pg` client or TypeORM's EntityManager. */
export interface PgQueryable {
  query(text: string, values: unknown[]): PromiseLike<unknown>;
}

/** Anything that can run one SQL statement inside the caller's own transaction. */
export type PgExecutor = PgQueryable | ((text: string, values: unknown[]) => PromiseLike<unknown>);

/** With bind parameters only, and a result that every driver can read: `pg_notify` itself returns void. */
const NOTIFY_IN_TRANSACTION = 'SELECT pg_catalog.count(pg_catalog.pg_notify($1::text, $2::text)) AS notified';

/**
 * Returns the executor, if it is one.
 *
 * @throws PgNotifyError of kind `configuration` that says what one is.
 */
export function checkExecutor(executor: PgExecutor): PgExecutor {
  if (typeof executor === 'function') return executor;
  if (typeof executor === 'object' && executor !== null && typeof executor.query === 'function') return executor;
  throw new PgNotifyError(
    'configuration',
    'The option executor of notify() must be an object with a method query(text, values), such as a pg client or the EntityManager of TypeORM, or a function (text, values).',
  );
}

/**
 * Sends a notification with the caller's connection: it is delivered when the caller's transaction commits, and vanishes
 * when it is rolled back.
 *
 * @throws PgNotifyError of kind `publish`, whose cause is what the executor threw; the transaction is aborted then.
 */
export async function publishWith(executor: PgExecutor, channel: string, raw: string): Promise<void> {
  try {
    const values = [channel, raw];
    if (typeof executor === 'function') await executor(NOTIFY_IN_TRANSACTION, values);
    else await executor.query(NOTIFY_IN_TRANSACTION, values);
  } catch (error) {
    throw publishError(channel, error, 'not-sent');
  }
}
