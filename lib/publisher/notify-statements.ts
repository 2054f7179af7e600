import type { PgSession, PgStatement } from '../session/pg-session.js';
import type { OutboxMessage } from './outbox.js';

/** The text of a statement, and the name under which it stays prepared where that can be relied on. */
type NotifyStatement = Pick<PgStatement, 'name' | 'text' | 'values'>;

export const NOTIFY = 'SELECT pg_catalog.pg_notify($1, $2)';

/**
 * The payloads for one channel, as one JSON text: not every library hands an array on as it is, and for the server it is
 * the fastest form. It is a parameter of type text, because there are drivers that encode one of type json as JSON once more.
 * It counts, because `pg_notify` itself returns void, which not every library can read.
 */
export const NOTIFY_MANY = `SELECT pg_catalog.count(pg_catalog.pg_notify($1::pg_catalog.text, message.payload)) AS notified
  FROM pg_catalog.json_array_elements_text($2::pg_catalog.text::pg_catalog.json) AS message (payload)`;

/** The same for several channels: the order of all is kept. */
const NOTIFY_MIXED = `SELECT pg_catalog.count(pg_catalog.pg_notify(message.channel, message.payload)) AS notified
  FROM ROWS FROM (pg_catalog.json_array_elements_text($1::pg_catalog.json),
    pg_catalog.json_array_elements_text($2::pg_catalog.json)) AS message (channel, payload)`;

/** A second column is measurable: it is there only where the server does not tell by itself. */
const TELL_READ_ONLY = `pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on' AS read_only`;

/**
 * A statement that sends, with the time that it may wait for the lock of all who notify, where its session does not keep
 * that: it holds until the transaction of this statement has ended.
 */
export function limitingLock(text: string, lockTimeout: number | undefined): string {
  if (lockTimeout === undefined) return text;
  return text.replace(/^SELECT/, `SELECT pg_catalog.set_config('lock_timeout', '${lockTimeout}', true),`);
}

/**
 * How a batch is sent on a session of our own. Parsing and planning take longer than the notifications themselves, so
 * statements stay prepared, but for a session that may be another one for the next statement, behind a pooler.
 */
export function statementFor(
  batch: readonly OutboxMessage[],
  { keepsStatements, isReadOnlyNow, lockTimeout }: Pick<PgSession, 'keepsStatements' | 'isReadOnlyNow' | 'lockTimeout'>,
): NotifyStatement {
  const { name, text: plain, values } = plainStatement(batch);
  const text = limitingLock(plain, lockTimeout);
  if (isReadOnlyNow === undefined) return { text: text.replace(/^SELECT/, `SELECT ${TELL_READ_ONLY},`), values };
  return keepsStatements ? { name, text, values } : { text, values };
}

function plainStatement(batch: readonly OutboxMessage[]): NotifyStatement & { readonly name: string } {
  const [first] = batch as readonly [OutboxMessage];
  if (batch.length === 1) return { name: 'nest_pg_notify', text: NOTIFY, values: [first.channel, first.raw] };
  const payloads = JSON.stringify(batch.map(({ raw }) => raw));
  if (batch.every(({ channel }) => channel === first.channel)) {
    return { name: 'nest_pg_notify_many', text: NOTIFY_MANY, values: [first.channel, payloads] };
  }
  const channels = JSON.stringify(batch.map(({ channel }) => channel));
  return { name: 'nest_pg_notify_mixed', text: NOTIFY_MIXED, values: [channels, payloads] };
}
