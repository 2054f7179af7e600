import { messageOf, PgNotifyError } from '../pg-notify.errors.js';

/** The description of an error from `pg`, Node or the server, without connection settings. */
interface Failure {
  readonly message: string;
  readonly code: string | undefined;
}

/**
 * The remedies of failures that retries at the start cannot solve, by SQLSTATE
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html), and what to do.
 */
const PERMANENT_STATES: Readonly<Record<string, string>> = {
  '28P01': 'Check the user and the password of the connection.',
  '28000': 'Check the user of the connection, and the server’s pg_hba.conf.',
  '3D000': 'Create the database, or correct its name in the connection.',
  '42501':
    'Grant the role what it lacks: CONNECT on the database, EXECUTE on the function, or SELECT on the table or view that the message names.',
};

/** The remedy if nobody answers. */
export const NO_ANSWER_REMEDY = 'Is the address right, and does a firewall let this application through?';

/** The error codes of our message reader. */
export const PROTOCOL_ERROR = 'ERR_PG_PROTOCOL';
export const UNSUPPORTED_AUTHENTICATION = 'ERR_PG_AUTHENTICATION';

const REMEDIES: Readonly<Record<string, string>> = {
  ...PERMANENT_STATES,
  [PROTOCOL_ERROR]: 'Is it a PostgreSQL server that answers there, and does nothing in between alter what it sends?',
  [UNSUPPORTED_AUTHENTICATION]:
    'Give the user another method in the server’s pg_hba.conf, for example scram-sha-256, and see that no earlier line matches.',
  ECONNREFUSED: 'Is PostgreSQL running there?',
  ENOENT: 'Is PostgreSQL running on this machine, and is this the folder of its Unix socket (unix_socket_directories)?',
  EACCES: 'Let the user of this process into the folder of the Unix socket, or see unix_socket_permissions.',
  ENOTFOUND: 'Check the host name of the connection.',
  EAI_AGAIN: 'The name service does not answer.',
  ETIMEDOUT: NO_ANSWER_REMEDY,
  EHOSTUNREACH: 'Is the address right, and is there a route to it?',
  ENETUNREACH: 'Is the address right, and is there a route to it?',
  ECONNRESET: 'PostgreSQL, or a proxy or firewall in between, ended the connection: its log may say why.',
  EPIPE: 'PostgreSQL, or a proxy or firewall in between, ended the connection: its log may say why.',
  '57P03': 'The server is starting up, shutting down or recovering.',
  '25006':
    'A standby can do neither LISTEN nor NOTIFY, nor write: connect to the primary. On a primary, see default_transaction_read_only of the role and of the database.',
  '57014': 'If nobody has cancelled it: raise statement_timeout of the role or of the database.',
  '57P05': 'Set idle_session_timeout to 0 for the role or the database.',
  '25P03': 'Raise idle_in_transaction_session_timeout of the role or of the database.',
  '25P04': 'Raise transaction_timeout of the role or of the database, or do less in the transaction.',
  '58P01':
    'Old releases of PostgreSQL fail so after a wraparound of the notification queue: update to the newest minor version.',
  '54000':
    'A listener somewhere in the cluster does not read, or has a transaction open: queueUsage() and the health indicator name the pid that most likely does.',
  '55P03':
    'A transaction that has notified hangs in its commit, perhaps because a synchronous standby is gone, and every other NOTIFY waits for it. ' +
    `Its backend is found by: SELECT pid FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND objid = 0 AND granted.`,
  '53300':
    'Let something else use fewer connections, or raise what the message names: max_connections, or the CONNECTION LIMIT of the role or of the database.',
};

/**
 * OpenSSL's and Node's codes for a certificate that does not hold:
 * https://nodejs.org/api/tls.html#x509-certificate-error-codes
 */
const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_OSSL_|HOSTNAME_MISMATCH)/;
const TLS_REMEDY =
  'Check the ssl settings of the connection and the certificate of the server; a connection is never made without what they ask for. In a URL, sslmode=prefer, require and verify-ca mean verify-full.';
const TLS_MESSAGE = /does not support SSL|establishing an SSL connection/;

/** The message of `pg` if the server requires a password and the connection has none. */
const NO_PASSWORD = /client password must be a /;
const PASSWORD_REMEDY = 'Give the connection a password: in its URL, in PGPASSWORD or in a .pgpass file.';

/** The message of the server if the certificate that the client has seen is not its own. */
const INTERCEPTED = /channel binding check failed/;
const INTERCEPTED_REMEDY =
  'Something between this application and the server ends TLS with a certificate of its own. Connect without it; if it is a proxy that you trust, set channel_binding=disable.';

/** The message of the server while a database is renamed, moved or used as a template. */
const CLOSED_DATABASE = /is not currently accepting connections/;
const CLOSED_DATABASE_REMEDY = 'Let the database be connected to: ALTER DATABASE … ALLOW_CONNECTIONS true.';

/** The message of `pg` if the other side ends the connection silently. */
const ENDED = /^(Connection terminated unexpectedly|the connection was closed)/;
const ENDED_REMEDY =
  'PostgreSQL, or a proxy or firewall in between, ended the connection without saying why: its log may. Is it PostgreSQL that answers there?';

/** Remedies by message, for errors without a code. */
const MESSAGES: readonly (readonly [pattern: RegExp, remedy: string])[] = [
  [NO_PASSWORD, PASSWORD_REMEDY],
  [ENDED, ENDED_REMEDY],
  [INTERCEPTED, INTERCEPTED_REMEDY],
  [CLOSED_DATABASE, CLOSED_DATABASE_REMEDY],
];

/** Five digits and letters with at least one digit: Node's EPIPE has five letters as well, but no digit. */
const SQL_STATE = /^(?=.*\d)[0-9A-Z]{5}$/;

/** Turns an error from opening or losing a session into one of kind `connection` that is safe to log. */
export function connectionFailure(error: unknown, endpoint: string): PgNotifyError {
  if (error instanceof PgNotifyError) return error;
  const { message, code } = describe(error);
  const sqlState = code !== undefined && SQL_STATE.test(code) ? code : undefined;
  const tls = TLS_MESSAGE.test(message) || (code !== undefined && TLS_CODE.test(code));
  const permanent =
    tls ||
    code === UNSUPPORTED_AUTHENTICATION ||
    message.startsWith('SASL') ||
    (sqlState !== undefined && sqlState in PERMANENT_STATES);
  const remedy = tls ? TLS_REMEDY : (MESSAGES.find(([pattern]) => pattern.test(message))?.[1] ?? REMEDIES[code ?? '']);
  const text = [`${endpoint}: ${message}${sqlState ? ` (SQLSTATE ${sqlState})` : ''}.`, remedy]
    .filter(Boolean)
    .join(' ');
  return new PgNotifyError('connection', text, { endpoint, permanent, ...(sqlState && { sqlState }) });
}

/** A message split into problem and remedy. */
export interface ProblemWithRemedy {
  readonly problem: string;
  readonly remedy?: string;
}

/** Splits a known remedy from the end of a message. Without one, the whole message is the problem. */
export function splitRemedy(
  message: string,
  remedies: readonly string[] = [
    ...Object.values(REMEDIES),
    TLS_REMEDY,
    PASSWORD_REMEDY,
    ENDED_REMEDY,
    INTERCEPTED_REMEDY,
    CLOSED_DATABASE_REMEDY,
    NO_LISTEN_REMEDY,
  ],
): ProblemWithRemedy {
  const remedy = remedies.find((known) => message.endsWith(known));
  return remedy === undefined ? { problem: message } : { problem: message.slice(0, -remedy.length).trimEnd(), remedy };
}

/**
 * `host:port` or the socket's folder. A URL that was given as a host would contain its password, so that is removed.
 */
export function endpointOf({ host, port }: { host: string; port: number }): string {
  return withoutCredentials(host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`);
}

/**
 * Removes credentials from a message: from a quoted URL everything before the @, even if the password has spaces; the
 * value of `password=`; and private keys.
 */
export function withoutCredentials(message: string): string {
  return message
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)(\S*@|[^\s:@/?]*:[^\n@/]*@)/gi, '$1***@')
    .replace(/(password\s*=\s*)('(\\.|[^'\\])*'|[^\s&]+)/gi, '$1***')
    .replace(/-----BEGIN [^-]*PRIVATE KEY-----[^]*?(-----END [^-]*-----|$)/g, '***');
}

function describe(error: unknown): Failure {
  const cause = lastOfSeveral(error);
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : undefined;
  return { message: withoutCredentials(messageOf(cause)).replace(/\.$/, ''), code };
}

/** Node tries every address of a host name, and reports all failures in an AggregateError without a message. */
function lastOfSeveral(error: unknown): unknown {
  if (typeof error !== 'object' || error === null || !('errors' in error) || !Array.isArray(error.errors)) return error;
  return error.errors.at(-1) ?? error;
}

/** The SQLSTATEs with which a server ends a session. The severity is no help, because it may be translated. */
const ENDS_SESSION = /^(57P|08|25P03|25P04|XX)/;

/** No privilege, no such function, no such feature: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const UNAVAILABLE = ['42501', '42883', '0A000'];

/** Whether the server will always refuse such a question. The session goes on. */
export function isUnavailable(error: unknown): error is PgNotifyError {
  return error instanceof PgNotifyError && error.sqlState !== undefined && UNAVAILABLE.includes(error.sqlState);
}

/** Whether the role lacks a privilege. */
export function isMissingPrivilege(error: unknown): error is PgNotifyError {
  return error instanceof PgNotifyError && error.sqlState === '42501';
}

/** No such feature, no such statement, no such function. */
const LACKING = ['0A000', '42601', '42883'];

const NO_LISTEN_REMEDY =
  "Connect to PostgreSQL, or set startup.mode to 'background' to let woken methods and live queries poll without it.";

/**
 * The failure of a statement that every PostgreSQL accepts. A server that only speaks the protocol and does not have
 * the feature will never listen, so this is permanent.
 */
export function lackingListen(error: unknown): unknown {
  if (!(error instanceof PgNotifyError)) return error;
  const { sqlState, endpoint = '' } = error;
  if (sqlState === undefined || !LACKING.includes(sqlState)) return error;
  const problem = error.message.slice(`${endpoint}: `.length);
  const message = `${endpoint}: this server has no LISTEN as PostgreSQL has it: ${problem} ${NO_LISTEN_REMEDY}`;
  return new PgNotifyError('connection', message, { endpoint, sqlState, permanent: true });
}

/** Whether the server has refused a statement and keeps the session. */
export function isRefusal({ sqlState }: PgNotifyError): boolean {
  return sqlState !== undefined && !ENDS_SESSION.test(sqlState);
}

/** The failure of a session whose server has not answered for this time, in milliseconds. */
export function unanswered(endpoint: string, why: 'silence' | 'no answer', duration: number): PgNotifyError {
  const how =
    why === 'silence'
      ? `nothing was received for ${duration} ms after a question.`
      : `no answer within ${duration} ms to what was asked, while other messages came in. ` +
        `Does something between this application and the server drop what it sends?`;
  return new PgNotifyError('connection', `${endpoint}: ${how}`, { endpoint });
}
