import { execute } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import { isPgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyError } from '../pg-notify.errors.js';
import { NOTIFY_MANY } from './notify-statements.js';
import { Outbox, rejectAll, resolveAll } from './outbox.js';
import { publishError } from './publish-error.js';
import { SendingGroup } from './sending-group.js';
import type { FailedNotification } from './sending-group.js';

/** It uses only bind parameters, and has a result that every driver can read: `pg_notify` returns void. */
const NOTIFY_IN_TRANSACTION =
  'SELECT pg_catalog.count(pg_catalog.pg_notify($1::pg_catalog.text, $2::pg_catalog.text)) AS notified';

/**
 * Sends a notification on the caller's connection. It is delivered when the caller's transaction commits, and discarded
 * when it is rolled back.
 *
 * @throws PgNotifyError of kind `publish`, whose cause is the executor's error. The transaction is then aborted.
 */
export async function publishWith(executor: PgExecutor, channel: string, raw: string): Promise<void> {
  try {
    await execute(executor, NOTIFY_IN_TRANSACTION, [channel, raw]);
  } catch (error) {
    throw failure(channel, error);
  }
}

/** An error about the executor itself is kept, because it is unknown whether the statement was sent. */
function failure(channel: string, error: unknown): PgNotifyError {
  return isPgNotifyError(error) && error.kind === 'configuration' ? error : publishError(channel, error, 'not-sent');
}

/**
 * Sends several notifications, and resolves with the refused ones. Repeats are left out: PostgreSQL delivers them once.
 */
export function publishManyWith(
  executor: PgExecutor,
  channel: string,
  raws: readonly string[],
): Promise<readonly FailedNotification[]> {
  const outbox = new Outbox();
  const group = new SendingGroup(raws.length);
  raws.forEach((raw, index) => outbox.push({ channel, raw, fold: true }, group, index));
  void sendAll(executor, channel, outbox);
  return group.settled;
}

async function sendAll(executor: PgExecutor, channel: string, outbox: Outbox): Promise<void> {
  while (outbox.size > 0) {
    const batch = outbox.takeBatch();
    try {
      const payloads = JSON.stringify(batch.map(({ raw }) => raw));
      await execute(executor, NOTIFY_MANY, [channel, payloads]);
      resolveAll(batch);
    } catch (error) {
      // The transaction is aborted, and would refuse all further statements.
      rejectAll([...batch, ...outbox.takeAll()], () => failure(channel, error));
    }
  }
}
