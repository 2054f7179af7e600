import { isMissingPrivilege, lackingListen, splitRemedy } from './connection-failure.js';

/** The facts that a server reports about itself and a session. */
export interface SessionFacts {
  /** The pid of the backend that ran the statement. Behind a pooler it differs from the one announced at connect. */
  readonly backendPid: number;
  readonly serverVersion: string;
  /** When the server was started, in UTC. It identifies a running server. */
  readonly server: string;
  readonly database: string;
  /** The encoding of the database. */
  readonly encoding: string;
  /** Whether the server is a standby. */
  readonly standby: boolean;
  /**
   * The time of the question by the server's clock, in UTC. It does not depend on DateStyle and TimeZone of the session.
   * Undefined if the session was not asked yet.
   */
  readonly askedAt: string | undefined;
  /** Whether the role may change settings by `set_config()`, which is allowed unless it was revoked. */
  readonly mayConfigure: boolean;
  /** Whether transactions of the session are read-only: on a standby, or by a setting of a primary. */
  readonly readOnly: boolean;
  /** The first refusal, if the role lacks privileges to ask for all of these facts. The refused ones are unknown. */
  readonly refusal?: string;
}

/** Lifts the role's statement_timeout for the following statements of the same transaction. */
export const LIFT_TIMEOUT_WITHIN = 'SET LOCAL statement_timeout = 0';

/** The text of a fact that was not reported. */
const UNKNOWN = 'unknown';

const BACKEND_PID = 'pg_catalog.pg_backend_pid() AS backend_pid';

const FACTS: readonly string[] = [
  BACKEND_PID,
  `pg_catalog.current_setting('server_version') AS server_version`,
  `pg_catalog.to_char(pg_catalog.pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS server`,
  'pg_catalog.current_database()::pg_catalog.text AS database',
  `pg_catalog.current_setting('server_encoding') AS encoding`,
  `pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS asked_at`,
  `pg_catalog.has_function_privilege('pg_catalog.set_config(pg_catalog.text, pg_catalog.text, boolean)', 'EXECUTE') AS may_configure`,
  'pg_catalog.pg_is_in_recovery() AS standby',
  `pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on' AS read_only`,
];

/**
 * Asks for {@link SessionFacts} independently of the role's statement_timeout: it applies to each of the two
 * statements, and the first takes no time. Both are one implicit transaction, which leaves no setting in a pooler's
 * backend.
 */
const asking = (facts: readonly string[]): string => `${LIFT_TIMEOUT_WITHIN};
SELECT ${facts.join(',\n  ')}`;

/** Asks for all facts at once. It fails if the role may not ask for one of them. */
export const ASK_FACTS = asking(FACTS);

/** Runs statements, and resolves with the first row of the last one. */
type Ask = (text: string) => Promise<Record<string, unknown> | undefined>;

/** @throws PgNotifyError of kind `connection`. */
export async function askFacts(ask: Ask): Promise<SessionFacts> {
  try {
    return readFacts(await ask(ASK_FACTS));
  } catch (error) {
    if (!isMissingPrivilege(error)) throw lackingListen(error);
    return readFacts(await askOneByOne(ask), splitRemedy(error.message).problem);
  }
}

/**
 * Leaves out what the role may not ask, because it lacks EXECUTE on a function. Nothing works without the pid of the
 * backend.
 */
async function askOneByOne(ask: Ask): Promise<Record<string, unknown>> {
  const row = { ...(await ask(asking([BACKEND_PID]))) };
  for (const fact of FACTS.filter((each) => each !== BACKEND_PID)) {
    const answer = await ask(asking([fact])).catch((error: unknown) => {
      if (!isMissingPrivilege(error)) throw error;
    });
    Object.assign(row, answer);
  }
  return row;
}

/** Whether two sessions have reported different values of a fact. */
export function areKnownToDiffer(one: string, other: string): boolean {
  return one !== other && one !== UNKNOWN && other !== UNKNOWN;
}

/** The facts of a direct session that was not asked yet, as far as those of an earlier one to the same server hold for it. */
export function presumeFacts(earlier: SessionFacts, announcedPid: number | undefined): SessionFacts {
  return { ...earlier, backendPid: announcedPid ?? NaN, askedAt: undefined };
}

/** Reads the facts from a row. Absent ones are unknown. */
export function readFacts(row: Record<string, unknown> = {}, refusal?: string): SessionFacts {
  const text = (column: string): string => (typeof row[column] === 'string' ? row[column] : UNKNOWN);
  return {
    backendPid: Number(row['backend_pid']),
    serverVersion: text('server_version'),
    server: text('server'),
    database: text('database'),
    encoding: text('encoding'),
    askedAt: text('asked_at'),
    mayConfigure: row['may_configure'] !== false,
    standby: row['standby'] === true,
    readOnly: row['read_only'] === true,
    ...(refusal !== undefined && { refusal }),
  };
}
