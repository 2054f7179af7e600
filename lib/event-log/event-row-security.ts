import { quoteLiteral } from '../executor/sql-text.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { NO_PRIVILEGE } from './event-log-error.js';
import { eventTables } from './event-log-schema.js';
import { EQ, NE } from './sql-operators.js';

/** What a consumer does to the rows of each table, as policies name it: `r` reads, `w` updates, `d` deletes. */
const NEEDS = { event: ['r'], consumer: ['r', 'w'], failure: ['r', 'w', 'd'] } as const;

export type EventTable = keyof typeof NEEDS;

/**
 * An expression for the tables of which row-level security hides rows from the role, as text; empty if none.
 * Rows that are hidden raise no error: an event would be passed over, and a consumer that still needs it would be
 * forgotten by `prune()`. A policy for all rows hides none.
 */
export function hiddenTables(schema: string, tables: readonly EventTable[]): string {
  const names = tables.map(
    (table) => `CASE WHEN ${hidesRows(eventTables(schema)[table], NEEDS[table])} THEN '${table}' END`,
  );
  return `pg_catalog.concat_ws(', ', ${names.join(', ')})`;
}

/** Policies are only read where row-level security applies: neither the owner nor BYPASSRLS needs any. */
function hidesRows(table: string, needs: readonly string[]): string {
  const oid = `${quoteLiteral(table)}::pg_catalog.regclass`;
  const commands = needs.map((command) => `('${command}')`).join(', ');
  const policy = (permissive: boolean): string => `EXISTS (SELECT FROM pg_catalog.pg_policy AS p
        WHERE p.polrelid ${EQ} ${oid} AND ${permissive ? '' : 'NOT '}p.polpermissive
          AND (p.polcmd ${EQ} '*' OR p.polcmd ${EQ} need.command::"char")
          AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) ${permissive ? EQ : NE} 'true'
          AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) AS r(id)
            WHERE CASE WHEN r.id ${EQ} 0 THEN true ELSE pg_catalog.pg_has_role(r.id, 'USAGE') END))`;
  return `(CASE WHEN NOT pg_catalog.row_security_active(${oid}) THEN false ELSE EXISTS (
      SELECT FROM (VALUES ${commands}) AS need(command) WHERE NOT ${policy(true)} OR ${policy(false)}) END)`;
}

/**
 * @param row The answer of a statement that has {@link hiddenTables} as `hidden`.
 * @throws PgNotifyError of kind `configuration` if rows are hidden.
 */
export function refuseHidden(schema: string, row: Readonly<Record<string, unknown>> = {}): void {
  const { hidden } = row;
  if (typeof hidden === 'string' && hidden !== '') throw new HiddenRows(schema, hidden);
}

/** Row-level security hides rows of these tables from the role. */
export class HiddenRows extends PgNotifyError {
  /** @param tables As {@link hiddenTables} names them. */
  constructor(schema: string, tables: string) {
    const names = tables.split(', ').map((table) => eventTables(schema)[table as EventTable]);
    const remedies = names.map((name) => `ALTER TABLE ${name} DISABLE ROW LEVEL SECURITY;`);
    super(
      'configuration',
      `The event log in the schema ${JSON.stringify(schema)} cannot be used: row-level security hides rows of ${tables} from this role, so that events would be lost. ` +
        `Run as the owner: ${remedies.join(' ')} Or give the role a policy for all rows: CREATE POLICY … ON ${names[0]} TO … USING (true);`,
      { sqlState: NO_PRIVILEGE },
    );
  }
}
