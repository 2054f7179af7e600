import { driverFailure } from '../executor/driver-failure.js';
import { isPgNotifyError, PgNotifyError } from '../pg-notify.errors.js';
import { splitRemedy } from '../session/connection-failure.js';
import { DEFAULT_EVENT_SCHEMA, eventTables } from './event-log-schema.js';

/** SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const NO_PRIVILEGE = '42501';
/** Missing table, schema, function or column. */
const NO_TABLES = ['42P01', '3F000', '42883', '42703'];

/** How a role gets what it lacks in the log's schema. */
function grants(schema: string): string {
  const name = eventTables(schema).schema;
  return `GRANT USAGE ON SCHEMA ${name} TO …; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${name} TO …; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${name} TO …;`;
}

/** The arguments of functions of PostgreSQL that may have been revoked, and whose name alone is not enough. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  pg_control_system: '()',
  pg_notify: '(text, text)',
  pg_advisory_xact_lock: '(bigint)',
  pg_try_advisory_xact_lock: '(bigint)',
};

/** The function that a message of the server names. Other languages than English name it, too. */
function functionIn(problem: string): string | undefined {
  const named = /permission denied for function "?(\w+)/.exec(problem)?.[1];
  return named ?? Object.keys(ARGUMENTS).find((name) => problem.includes(name));
}

/** How a role gets what it lacks. */
function remedyOfPrivilege(problem: string, schema: string): string {
  const tables = eventTables(schema);
  if (/row-level security/.test(problem)) {
    return `ALTER TABLE ${tables.event} DISABLE ROW LEVEL SECURITY; Or give the role a policy: CREATE POLICY … ON ${tables.event} FOR INSERT TO … WITH CHECK (true);`;
  }
  const name = functionIn(problem);
  if (name === undefined || tables.version.endsWith(`.${name}`)) return grants(schema);
  return `GRANT EXECUTE ON FUNCTION pg_catalog.${name}${ARGUMENTS[name] ?? ''} TO …;`;
}

/** The SQLSTATE of whatever a statement has failed with. */
export function sqlStateOf(error: unknown): string | undefined {
  return isPgNotifyError(error) ? error.sqlState : driverFailure(error).sqlState;
}

/**
 * Converts the error of a statement of the log. Missing tables and missing privileges become a PgNotifyError of kind
 * `configuration` that names the migration or the GRANT. Other errors are returned unchanged, and so is one of that kind.
 */
export function eventLogError(error: unknown, schema: string): unknown {
  const sqlState = sqlStateOf(error);
  if (sqlState === undefined || (isPgNotifyError(error) && error.kind === 'configuration')) return error;
  const [details, message] = isPgNotifyError(error)
    ? [{ sqlState, ...(error.endpoint !== undefined && { endpoint: error.endpoint }) }, error.message]
    : [{ sqlState }, driverFailure(error).message];
  const { problem } = splitRemedy(message);
  const where = `The event log in the schema ${JSON.stringify(schema)}`;
  if (NO_TABLES.includes(sqlState)) {
    return new PgNotifyError(
      'configuration',
      `${where} is missing or older than this package: ${remedyOf(schema)} (${problem})`,
      details,
    );
  }
  if (sqlState === NO_PRIVILEGE) {
    return new PgNotifyError(
      'configuration',
      `${where} cannot be used: ${problem} Run as the owner: ${remedyOfPrivilege(problem, schema)}`,
      details,
    );
  }
  return error;
}

/** How to create or update the tables. */
export function remedyOf(schema: string): string {
  const option = schema === DEFAULT_EVENT_SCHEMA ? '' : ` --schema ${/^\w+$/.test(schema) ? schema : `'${schema}'`}`;
  return `run "npx nest-pg-notify events sql${option}" and execute what it prints.`;
}
