import { askQueueUsage } from '../listener/queue-usage.js';
import type { PgSession } from '../session/pg-session.js';
import { LISTENING_SETTINGS } from '../session/session-settings.js';
import type { Finding, FindingCheck } from './finding.js';

/** The checks that need one connection. */
export interface ServerCheck {
  readonly check: FindingCheck;
  /** @param timeout How long the server may be silent, in milliseconds. */
  readonly ask: (session: PgSession, timeout: number) => Promise<Finding>;
}

/** The oldest supported version. */
const OLDEST_MAJOR = 14;

/** The health indicator counts a registration as down from this usage on as well. */
const FULL_QUEUE = 0.5;
const FILLING_QUEUE = 0.1;

/** The server's timeouts that may end a connection. The listening connection disables them for itself. */
const TIMEOUTS = Object.keys(LISTENING_SETTINGS).filter(
  (name) => name.endsWith('_timeout') && !name.startsWith('tcp_'),
);

/** The silence after which the server probes a client. It is shown in seconds, without a unit. */
const KEEPALIVE = 'tcp_keepalives_idle';

/** The checks on the listening connection. @param sends Whether it sends as well. */
export function serverChecks(sends: boolean): readonly ServerCheck[] {
  return [
    { check: 'connection', ask: describeConnection },
    { check: 'version', ask: checkVersion },
    { check: 'standby', ask: checkStandby },
    { check: 'privileges', ask: sends ? checkPrivileges : describeRole },
    { check: 'timeouts', ask: checkTimeouts },
    { check: 'encoding', ask: checkEncoding },
    { check: 'queue', ask: checkQueue },
  ];
}

/** The checks on the sending connection, if it is another one. */
export async function checkPublisher(session: PgSession, timeout: number): Promise<Finding> {
  const check = 'publisher';
  const place = await placeOf(session, timeout);
  if (session.facts.standby) {
    const message = `${place} It is a standby, where NOTIFY does not work.`;
    return { check, level: 'problem', message, remedy: 'Connect to the primary.' };
  }
  const { mayNotify, remedy } = await askPrivileges(session, timeout);
  if (mayNotify) return { check, level: 'ok', message: `${place} The role may send.` };
  return { check, level: 'problem', message: `${place} The role may not send: it lacks EXECUTE on pg_notify.`, remedy };
}

async function describeConnection(session: PgSession, timeout: number): Promise<Finding> {
  const place = await placeOf(session, timeout);
  const { refusal } = session.facts;
  if (refusal === undefined) return { check: 'connection', level: 'ok', message: place };
  const message = `${place} What the server is cannot be asked in full: ${refusal}`;
  return { check: 'connection', level: 'warning', message, remedy: 'Grant the role EXECUTE on the function.' };
}

async function placeOf(session: PgSession, timeout: number): Promise<string> {
  const { endpoint, facts, isEncrypted } = session;
  const { role } = await askPrivileges(session, timeout);
  return `${endpoint}, database "${facts.database}", as "${role}", ${isEncrypted ? 'with TLS' : 'without TLS'}.`;
}

async function checkVersion(session: PgSession, timeout: number): Promise<Finding> {
  const text = `SELECT pg_catalog.current_setting('server_version_num')::int AS number`;
  const [row] = await session.query({ text, timeout });
  const message = `PostgreSQL ${session.facts.serverVersion}.`;
  if (Math.floor(Number(row?.['number']) / 10_000) >= OLDEST_MAJOR) return { check: 'version', level: 'ok', message };
  const remedy = `Update to PostgreSQL ${OLDEST_MAJOR} or later: older versions are not tested.`;
  return { check: 'version', level: 'warning', message, remedy };
}

async function checkStandby(session: PgSession, timeout: number): Promise<Finding> {
  const check = 'standby';
  const { facts } = session;
  // Fails if the role may not ask. The facts would then say that it is no standby.
  if (facts.refusal !== undefined) await session.query({ text: 'SELECT pg_catalog.pg_is_in_recovery()', timeout });
  if (facts.standby) {
    const message = 'This server is a standby, where neither LISTEN nor NOTIFY works.';
    return { check, level: 'problem', message, remedy: 'Connect to the primary.' };
  }
  if (facts.readOnly) {
    const message =
      'Not a standby, but transactions are read-only here, as on a primary that was taken out of service.';
    return { check, level: 'warning', message, remedy: 'Is this the primary? See default_transaction_read_only.' };
  }
  return { check, level: 'ok', message: 'A primary, which takes writes.' };
}

async function checkPrivileges(session: PgSession, timeout: number): Promise<Finding> {
  const { role, mayNotify, remedy } = await askPrivileges(session, timeout);
  const check = 'privileges';
  if (mayNotify) return { check, level: 'ok', message: `The role "${role}" may LISTEN, and send.` };
  const message = `The role "${role}" may LISTEN, but not send: it lacks EXECUTE on pg_notify, which the delivery check needs, too.`;
  return { check, level: 'problem', message, remedy };
}

/** Every role may LISTEN. */
async function describeRole(session: PgSession, timeout: number): Promise<Finding> {
  const { role } = await askPrivileges(session, timeout);
  return { check: 'privileges', level: 'ok', message: `The role "${role}" may LISTEN.` };
}

interface Privileges {
  readonly role: string;
  readonly mayNotify: boolean;
  /** The remedy for a role that cannot send. */
  readonly remedy: string;
}

async function askPrivileges(session: PgSession, timeout: number): Promise<Privileges> {
  const text = `SELECT current_user::text AS role, pg_catalog.quote_ident(current_user) AS quoted,
    pg_catalog.has_function_privilege('pg_catalog.pg_notify(text, text)', 'EXECUTE') AS may_notify`;
  const [row] = await session.query({ text, timeout });
  return {
    role: String(row?.['role']),
    mayNotify: row?.['may_notify'] === true,
    remedy: `GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO ${String(row?.['quoted'])};`,
  };
}

async function checkTimeouts(session: PgSession, timeout: number): Promise<Finding> {
  const text = `SELECT name, pg_catalog.current_setting(name) AS value FROM pg_catalog.pg_settings
    WHERE name = ANY ($1::text[]) AND pg_catalog.current_setting(name) <> '0' ORDER BY name`;
  const rows = await session.query({ text, values: [[...TIMEOUTS, KEEPALIVE]], timeout });
  const shown = (name: unknown, value: unknown): string => `${String(name)} = ${String(value)}`;
  const set = rows.filter(({ name }) => name !== KEEPALIVE).map(({ name, value }) => shown(name, value));
  const keepalive = rows.find(({ name }) => name === KEEPALIVE)?.['value'];
  const lifted =
    set.length === 0
      ? 'None would end or cancel a listening connection.'
      : `${set.join(', ')}: the listening connection lifts ${set.length === 1 ? 'it' : 'them'} for itself.`;
  const noticed = ` It sets ${shown(KEEPALIVE, LISTENING_SETTINGS[KEEPALIVE])}, too, instead of ${String(keepalive)} s.`;
  return { check: 'timeouts', level: 'ok', message: `${lifted}${keepalive === undefined ? '' : noticed}` };
}

async function checkEncoding(session: PgSession, timeout: number): Promise<Finding> {
  const text = `SELECT pg_catalog.current_setting('server_encoding') AS encoding`;
  const [row] = await session.query({ text, timeout });
  const encoding = String(row?.['encoding']);
  const check = 'encoding';
  if (encoding === 'UTF8') return { check, level: 'ok', message: 'UTF8.' };
  const remedy = 'Keep payloads to ASCII (JSON can escape the rest), or move to a database with the encoding UTF8.';
  const message =
    encoding === 'SQL_ASCII'
      ? 'SQL_ASCII: the database takes any bytes, and payloads that are not UTF-8 arrive damaged.'
      : `${encoding}: a payload with a character that it lacks cannot be sent (SQLSTATE 22P05).`;
  return { check, level: 'warning', message, remedy };
}

async function checkQueue(session: PgSession, timeout: number): Promise<Finding> {
  const { usage, heldBackBy } = await askQueueUsage(session, timeout);
  const check = 'queue';
  const message = `The notification queue is ${percent(usage)} full.`;
  if (usage < FILLING_QUEUE) return { check, level: 'ok', message };
  const remedy =
    heldBackBy === undefined
      ? 'Look in pg_stat_activity for a session with an old transaction, or one that waits for ClientWrite, and end it.'
      : `Most likely the backend ${heldBackBy} holds it back: look at it in pg_stat_activity, and end it (SELECT pg_terminate_backend(${heldBackBy})).`;
  return { check, level: usage < FULL_QUEUE ? 'warning' : 'problem', message, remedy };
}

function percent(usage: number): string {
  return `${(usage * 100).toFixed(usage > 0 && usage < 0.1 ? 1 : 0)} %`;
}
