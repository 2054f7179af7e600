import type { PgSession, PgStatement } from '../session/pg-session.js';
import type { OutboxMessage } from './outbox.js';

/** A statement, and the name under which it stays prepared if prepared statements are reliable. */
type NotifyStatement = Pick<PgStatement, 'name' | 'text' | 'values'>;

export const NOTIFY = 'SELECT pg_catalog.pg_notify($1, $2)';

/**
 * Sends the payloads for one channel as one JSON text: not every library passes an array on unchanged, and it is the
 * fastest form for the server. The parameter has the type text, because some drivers encode a json parameter as JSON
 * again. The statement counts, because `pg_notify` returns void, which not every library can read.
 */
export const NOTIFY_MANY = `SELECT pg_catalog.count(pg_catalog.pg_notify($1::pg_catalog.text, message.payload)) AS notified
  FROM pg_catalog.json_array_elements_text($2::pg_catalog.text::pg_catalog.json) AS message (payload)`;

/** The same for several channels, in the order of all. */
const NOTIFY_MIXED = `SELECT pg_catalog.count(pg_catalog.pg_notify(message.channel, message.payload)) AS notified
  FROM ROWS FROM (pg_catalog.json_array_elements_text($1::pg_catalog.json),
    pg_catalog.json_array_elements_text($2::pg_catalog.json)) AS message (channel, payload)`;

/** Asks only if the server does not report it by itself, because a second column has a measurable cost. */
const TELL_READ_ONLY = `pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on' AS read_only`;

/**
 * Adds a limit for the wait for the lock of all NOTIFYs to a statement, if its session does not keep that setting. It
 * holds until the statement's transaction has ended.
 */
export function limitingLock(text: string, lockTimeout: number | undefined): string {
  if (lockTimeout === undefined) return text;
  return text.replace(/^SELECT/, `SELECT pg_catalog.set_config('lock_timeout', '${lockTimeout}', true),`);
}

/**
 * The statement that sends a batch on a session of our own. Parsing and planning take longer than the notifications, so
 * it stays prepared; except behind a pooler, where the next statement may run in another backend.
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
