import { execute } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import { publishError } from './publish-error.js';

/** With bind parameters only, and a result that every driver can read: `pg_notify` itself returns void. */
const NOTIFY_IN_TRANSACTION = 'SELECT pg_catalog.count(pg_catalog.pg_notify($1::text, $2::text)) AS notified';

/**
 * Sends a notification with the caller's connection: it is delivered when the caller's transaction commits, and vanishes
 * when it is rolled back.
 *
 * @throws PgNotifyError of kind `publish`, whose cause is what the executor threw; the transaction is aborted then.
 */
export async function publishWith(executor: PgExecutor, channel: string, raw: string): Promise<void> {
  try {
    await execute(executor, NOTIFY_IN_TRANSACTION, [channel, raw]);
  } catch (error) {
    throw publishError(channel, error, 'not-sent');
  }
}
