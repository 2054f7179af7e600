import { adminStatements } from '../event-log/event-admin-statements.js';
import { eventLogError, NO_PRIVILEGE, remedyOf, sqlStateOf } from '../event-log/event-log-error.js';
import { DEFAULT_EVENT_SCHEMA } from '../event-log/event-log-schema.js';
import { EVENT_LOG_FORM } from '../event-log/event-log-sql.js';
import { HiddenRows } from '../event-log/event-row-security.js';
import type { EventSessions } from '../event-log/event-sessions.js';
import { SqlEventAdmin } from '../event-log/sql-event-admin.js';
import { isPgNotifyError } from '../pg-notify.errors.js';
import type { PgSession } from '../session/pg-session.js';
import { consumerFindings } from './events-status.js';
import { failedFinding } from './finding.js';
import type { Finding } from './finding.js';

const SCHEMA = DEFAULT_EVENT_SCHEMA;
const STATEMENTS = adminStatements(SCHEMA);
/** Asks the catalogs, because to_regclass() fails for a role that may not use the schema. */
const IS_THERE = `SELECT EXISTS (
  SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = 'event') AS there`;

/**
 * Looks at the event log in its usual schema. Undefined if there is none: not every application has durable events.
 *
 * @param timeout How long the server may be silent, in milliseconds.
 */
export async function checkEventLog(session: PgSession, timeout: number): Promise<Finding | undefined> {
  const check = 'events';
  const [row] = await session.query({ text: IS_THERE, values: [SCHEMA], timeout });
  if (row?.['there'] !== true) return undefined;
  try {
    const [{ form = 0 } = {}] = await session.query({ text: STATEMENTS.version, timeout });
    if (Number(form) < EVENT_LOG_FORM) {
      const message = `The event log has tables of form ${Number(form)}; this package needs form ${EVENT_LOG_FORM}.`;
      return { check, level: 'problem', message, remedy: remedyOf(SCHEMA) };
    }
    const sessions: Pick<EventSessions, 'ask'> = {
      ask: ({ text, values = [] }) => session.query({ text, values, timeout, limit: timeout }),
    };
    const states = await new SqlEventAdmin({ schema: SCHEMA, sessions, statements: STATEMENTS }).consumers();
    const findings = consumerFindings(states, undefined);
    const worst =
      findings.find(({ level }) => level === 'problem') ?? findings.find(({ level }) => level === 'warning');
    const names = new Set(states.map(({ consumer }) => consumer)).size;
    const message = `The event log has ${names} ${names === 1 ? 'consumer' : 'consumers'}.`;
    if (!worst) return { check, level: 'ok', message };
    const remedy = worst.remedy ?? 'nest-pg-notify events status';
    return { check, level: 'warning', message: `${message} ${worst.subject}: ${worst.message}`, remedy };
  } catch (error) {
    if (sqlStateOf(error) === NO_PRIVILEGE && !(error instanceof HiddenRows)) {
      const message = 'There is an event log. This role may not read how its consumers are doing.';
      const remedy = 'Run this as the role of an application that consumes events; others need not read it.';
      return { check, level: 'warning', message, remedy };
    }
    const level = session.isLost ? 'problem' : 'warning';
    const explained = eventLogError(error, SCHEMA);
    if (!isPgNotifyError(explained) || explained.kind !== 'configuration')
      return failedFinding(check, level, explained);
    const [message = '', remedy = remedyOf(SCHEMA)] = explained.message.split(/ (?=Run as the owner: )/);
    return { check, level, message, remedy };
  }
}
