import { createHash } from 'node:crypto';
import type { PgTableOperation } from './pg-trigger-options.js';
import { dollarQuote, quoteIdentifier, quoteLiteral } from '../executor/sql-text.js';
import { conditionColumns, firesByRow, TRANSITION_TABLES } from './trigger-definition.js';
import { FUNCTION_SETTINGS, triggerFunctionBody } from './trigger-function.js';
import { rowHasChanged } from './trigger-keys.js';
import { TABLE_OPERATIONS } from './trigger-plan.js';
import type { TriggerPlan } from './trigger-plan.js';

/** The SQL of a trigger, and the expected state of the database after it has run. */
export interface TriggerSql {
  readonly up: string;
  readonly down: string;
  readonly body: string;
  /** The comment of the function and of each trigger, which has their version. */
  readonly marker: string;
  /** The names of the triggers. */
  readonly names: ReadonlyMap<PgTableOperation, string>;
}

/** The beginning of the comments of all functions that notify this channel. */
export function channelMarker({ channel }: TriggerPlan): string {
  return `nest-pg-notify: notifies ${JSON.stringify(channel)}, `;
}

/** The beginning of the comments of all functions that announce the same columns on this channel, for any table. */
export function contentsMarker(plan: TriggerPlan): string {
  const { key, include, named, columns } = plan;
  return `${channelMarker(plan)}contents ${digest(JSON.stringify([named, key, include, columns.toSorted()]), 8)}, `;
}

export function triggerSql(plan: TriggerPlan): TriggerSql {
  const table = quotedTable(plan);
  const functionName = `${quoteIdentifier(plan.schema)}.${quoteIdentifier(plan.name)}`;
  const names = new Map(plan.on.map((operation) => [operation, triggerName(plan, operation)]));
  const body = triggerFunctionBody(plan);
  const createFunction = `CREATE OR REPLACE FUNCTION ${functionName}() RETURNS trigger LANGUAGE plpgsql
${FUNCTION_SETTINGS.map(([name, value]) => `SET ${name} = ${name === 'search_path' ? value : quoteLiteral(value)}`).join('\n')}
AS ${dollarQuote(body)};`;
  const createTriggers = plan.on.map((operation) => createTrigger(plan, operation, table, functionName));
  const version = digest([createFunction, ...createTriggers].join('\n'), 16);
  const marker = `${contentsMarker(plan)}version ${version}`;
  const comment = quoteLiteral(marker);
  const dropTriggers = TABLE_OPERATIONS.map(
    (operation) => `DROP TRIGGER IF EXISTS ${quoteIdentifier(triggerName(plan, operation))} ON ${table};`,
  );
  const up = [
    prepareTable(plan, dropTriggers),
    createFunction,
    `COMMENT ON FUNCTION ${functionName}() IS ${comment};`,
    ...createTriggers,
    ...[...names.values()].map((name) => `COMMENT ON TRIGGER ${quoteIdentifier(name)} ON ${table} IS ${comment};`),
  ];
  const down = [...dropTriggers, `DROP FUNCTION IF EXISTS ${functionName}();`];
  return { up: `${up.join('\n')}\n`, down: `${down.join('\n')}\n`, body, marker, names };
}

/**
 * Drops the triggers of an earlier `up`, then fails if the table or a column is missing. At the first `up` all triggers are
 * missing, and PostgreSQL would announce each as a notice; warnings and errors are shown.
 */
function prepareTable(plan: TriggerPlan, dropTriggers: readonly string[]): string {
  return `DO ${dollarQuote(`
#variable_conflict use_column
DECLARE
  level pg_catalog.text := pg_catalog.current_setting('client_min_messages');
BEGIN
  IF level OPERATOR(pg_catalog.<>) 'error' THEN
    SET LOCAL client_min_messages = 'warning';
  END IF;
${dropTriggers.map((statement) => `  ${statement}`).join('\n')}
  EXECUTE pg_catalog.format('SET LOCAL client_min_messages = %L', level);
  PERFORM ${wantedColumns(plan).map(quoteIdentifier).join(', ')} FROM ${quotedTable(plan)} WHERE false;
END
`)};`;
}

/** All columns that the trigger reads. */
export function wantedColumns({ key, include, columns }: TriggerPlan): readonly string[] {
  return [...new Set([...key, ...include, ...columns])];
}

function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}

export function quotedTable({ schema, table }: TriggerPlan): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}

export function triggerName({ name }: TriggerPlan, operation: PgTableOperation): string {
  return `${name}_${operation}`;
}

function createTrigger(plan: TriggerPlan, operation: PgTableOperation, table: string, functionName: string): string {
  const byRow = firesByRow(plan, operation);
  const columns = conditionColumns(plan, operation);
  const condition = columns.length > 0 ? ` WHEN (${rowHasChanged(columns)})` : '';
  return `CREATE TRIGGER ${quoteIdentifier(triggerName(plan, operation))} AFTER ${operation.toUpperCase()} ON ${table}
${byRow ? '' : referencing(operation)}FOR EACH ${byRow ? 'ROW' : 'STATEMENT'}${condition} EXECUTE FUNCTION ${functionName}();`;
}

function referencing(operation: PgTableOperation): string {
  const [oldRows, newRows] = TRANSITION_TABLES[operation];
  if (oldRows === null && newRows === null) return '';
  return `REFERENCING ${oldRows === null ? '' : `OLD TABLE AS ${oldRows} `}${newRows === null ? '' : `NEW TABLE AS ${newRows} `}`;
}
