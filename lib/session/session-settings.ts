import { isMissingPrivilege } from './connection-failure.js';
import type { PgStatement } from './pg-session.js';
import type { SessionFacts } from './session-facts.js';

/**
 * The settings of a session that only listens, applied by SET after connect, because poolers refuse unknown startup
 * parameters. Values are as in postgresql.conf.
 *
 * - A quiet listener must not be ended for being idle, nor a heartbeat be cancelled by a timeout of its role: this
 *   module has its own deadlines.
 * - TCP settings let the server notice within about ten seconds that its listener is gone, where its defaults take two
 *   hours.
 *
 * Source: https://www.postgresql.org/docs/current/runtime-config-client.html and runtime-config-connection.html
 */
export const LISTENING_SETTINGS = {
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  transaction_timeout: '0',
  statement_timeout: '0',
  lock_timeout: '0',
  tcp_keepalives_idle: '5s',
  tcp_keepalives_interval: '2s',
  tcp_keepalives_count: '2',
  tcp_user_timeout: '10s',
} as const;

/**
 * The settings of a listening session in a database of this encoding. One without an encoding (SQL_ASCII) stores any
 * bytes, and ends a session that requires UTF-8 at the first notification that is not UTF-8. There, bytes are sent
 * unchanged.
 */
export function listeningSettings(encoding: string): Readonly<Record<string, string>> {
  return encoding === 'SQL_ASCII' ? { ...LISTENING_SETTINGS, client_encoding: encoding } : LISTENING_SETTINGS;
}

/**
 * The settings of a session that sends. Every NOTIFY waits in its commit for one lock of the whole cluster, and the
 * holder of that lock may hang in its own commit. The server must end a statement before we give it up, because an
 * abandoned backend would go on waiting, and so would its successors. `statement_timeout` no longer applies during the
 * commit.
 *
 * - `lock_timeout` ends the wait. The notifications are then not sent.
 * - `client_connection_check_interval` (14 and later, not on Windows) and the TCP settings let the server notice that
 *   we have gone while it waits.
 * - `idle_session_timeout` would end the session as the next statement is on its way, whose outcome is then unknown. We
 *   close idle sessions ourselves.
 */
export function sendingSettings(lockTimeout: number): Readonly<Record<string, string>> {
  const { tcp_keepalives_idle, tcp_keepalives_interval, tcp_keepalives_count, tcp_user_timeout } = LISTENING_SETTINGS;
  return {
    lock_timeout: String(lockTimeout),
    idle_session_timeout: '0',
    tcp_keepalives_idle,
    tcp_keepalives_interval,
    tcp_keepalives_count,
    tcp_user_timeout,
    client_connection_check_interval: '1s',
  };
}

/** Runs first and separately, because a role's timeout may be shorter than the statement that applies all settings. */
export const LIFT_STATEMENT_TIMEOUT = 'SET statement_timeout = 0';

/** Applies the settings that the server knows; older versions lack some. */
const APPLY = applying('$1');

/**
 * The same for a transaction with other statements, in a session that was not asked yet: if there is a pooler, the
 * settings end with the transaction.
 */
export function applyInTransaction(lockTimeout: number, announcedPid: number | undefined): string {
  const settings = JSON.stringify(sendingSettings(lockTimeout)); // It contains no quote of SQL.
  const isPooled =
    announcedPid === undefined ? 'true' : `pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.<>) ${announcedPid}`;
  return applying(`'${settings}'`, isPooled);
}

/** The part of a session that settings are applied through. */
interface ConfigurableSession {
  readonly isLost: boolean;
  query(statement: PgStatement): Promise<unknown>;
}

/** Applies settings in one statement if the role may, otherwise one by one. */
export async function applyTogether(
  session: ConfigurableSession,
  { mayConfigure }: Pick<SessionFacts, 'mayConfigure'>,
  settings: Readonly<Record<string, string>>,
  timeout: number,
): Promise<void> {
  if (mayConfigure) {
    try {
      await session.query({ text: APPLY, values: [JSON.stringify(settings)], timeout });
      return;
    } catch (error) {
      if (!isMissingPrivilege(error)) throw error;
    }
  }
  await applyEach(session, settings, timeout);
}

/**
 * Applies settings one by one, for a role that may not read pg_settings or execute set_config(): every role may SET.
 * Those that the server refuses are left out.
 */
export async function applyEach(
  session: ConfigurableSession,
  settings: Readonly<Record<string, string>>,
  timeout: number,
): Promise<void> {
  for (const [name, value] of Object.entries(settings)) {
    await session.query({ text: `SET ${name} = '${value}'`, timeout }).catch((error: unknown) => {
      if (session.isLost) throw error;
    });
  }
}

/** @param settings What they are as JSON, and `isLocal` whether they end with the transaction: SQL expressions. */
function applying(settings: string, isLocal = 'false'): string {
  return `SELECT pg_catalog.count(pg_catalog.set_config(known.name, wanted.value, ${isLocal}))
  FROM pg_catalog.jsonb_each_text(${settings}::pg_catalog.jsonb) AS wanted(name, value)
  JOIN pg_catalog.pg_settings AS known ON known.name OPERATOR(pg_catalog.=) wanted.name`;
}
