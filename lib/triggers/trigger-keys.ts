import { quoteIdentifier, quoteLiteral } from '../executor/sql-text.js';
import type { TriggerPlan } from './trigger-plan.js';

/** The transition table that every statement trigger of rows has: the new rows, of a DELETE the old ones. */
export const CHANGED_ROWS = 'changed_rows';
/** The rows of an UPDATE as they were. */
export const OLD_ROWS = 'old_rows';

/**
 * SQL as lines, so that it can be indented: a text could not, because a quoted name may hold a line break of its own.
 */
export type Lines = readonly string[];

/** A query for the keys of inserted or deleted rows, as JSON texts. */
export function keysOfRows(plan: TriggerPlan): Lines {
  return [
    ...selected('SELECT DISTINCT ', entryOf(plan)),
    `FROM (SELECT ${columnsOf(sentColumns(plan), 'r')} FROM ${CHANGED_ROWS} AS r) AS r (${aliases(plan)})`,
  ];
}

/** A query for the keys of updated rows, old and new. */
export function keysOfUpdate(plan: TriggerPlan): Lines {
  if (plan.columns.length > 0 || plan.include.length > 0) return keysOfDifference(plan);
  return [
    ...selected('SELECT DISTINCT ', entryOf(plan)),
    'FROM (',
    `  SELECT ${columnsOf(plan.key, 'o')} FROM ${OLD_ROWS} AS o`,
    '  UNION ALL',
    `  SELECT ${columnsOf(plan.key, 'n')} FROM ${CHANGED_ROWS} AS n`,
    `) AS r (${aliases(plan)})`,
  ];
}

/**
 * Old and new rows meet by being grouped by their key. Unlike a join that needs no operators of the key's type, takes keys
 * that are not unique, and is never planned as a nested loop over a bulk update because the session's first
 * update was small.
 */
function keysOfDifference(plan: TriggerPlan): Lines {
  const watching = plan.columns.length > 0;
  const watched = watching ? ['watched'] : [];
  const side = (isNew: boolean, row: string, table: string): string => {
    const values = watched.map(() => `ROW(${columnsOf(plan.columns, row)})::text`);
    return `SELECT ${[isNew, ...values, columnsOf(sentColumns(plan), row)].join(', ')} FROM ${table} AS ${row}`;
  };
  const versions = [
    'FROM (',
    `  ${side(false, 'o', OLD_ROWS)}`,
    '  UNION ALL',
    `  ${side(true, 'n', CHANGED_ROWS)}`,
    `) AS r (${['is_new', ...watched, aliases(plan)].join(', ')})`,
  ];
  const changed = watching
    ? [
        'HAVING min(watched COLLATE "C") <> max(watched COLLATE "C")',
        '  OR count(*) FILTER (WHERE is_new) <> count(*) FILTER (WHERE NOT is_new)',
      ]
    : [];
  if (plan.include.length === 0) return [...selected('SELECT ', entryOf(plan)), ...versions, 'GROUP BY 1', ...changed];
  const identity = `ROW(${plan.key.map((_, index) => `r.c${index + 1}`).join(', ')})::text`;
  return [
    // A row that is still there is sent as it is now; one whose key is gone, as it was.
    'SELECT unnest(coalesce(array_agg(DISTINCT entry) FILTER (WHERE is_new), array_agg(DISTINCT entry)))',
    'FROM (',
    ...indented('  ', [
      ...selected(`SELECT ${['is_new', ...watched, identity].join(', ')}, `, entryOf(plan)),
      ...versions,
    ]),
    `) AS version (${['is_new', ...watched, 'identity', 'entry'].join(', ')})`,
    'GROUP BY identity',
    ...changed,
  ];
}

/** A query for the key of the row that a row trigger has fired for. */
export function keyOfRow(plan: TriggerPlan, row: 'NEW' | 'OLD'): Lines {
  return [
    ...selected('SELECT ', entryOf(plan)),
    `FROM (SELECT ${columnsOf(sentColumns(plan), row)}) AS r (${aliases(plan)})`,
  ];
}

/** A query for the key of the row that a row trigger has fired for, and for its old key where the update has changed it. */
export function keyOfUpdatedRow(plan: TriggerPlan): Lines {
  return [
    ...selected('SELECT ', entryOf(plan)),
    'FROM (',
    `  SELECT ${columnsOf(sentColumns(plan), 'OLD')} WHERE ${rowHasChanged(plan.key)}`,
    '  UNION ALL',
    `  SELECT ${columnsOf(sentColumns(plan), 'NEW')}`,
    `) AS r (${aliases(plan)})`,
  ];
}

export function indented(by: string, lines: Lines): Lines {
  return lines.map((line) => `${by}${line}`);
}

/**
 * Whether one of these columns differs between OLD and NEW, for every type: json has no operator `=`. The function of the
 * operator `*<>`, because PostgreSQL prints that operator between rows in a form that it reads back as a comparison column
 * by column: a trigger with such a condition is lost by `pg_restore` and stops `pg_upgrade`.
 */
export function rowHasChanged(columns: readonly string[]): string {
  return `pg_catalog.record_image_ne(ROW(${columnsOf(columns, 'OLD')}), ROW(${columnsOf(columns, 'NEW')}))`;
}

function sentColumns({ key, include }: TriggerPlan): readonly string[] {
  return [...key, ...include];
}

/** Names of the sent columns that cannot meet a name of ours. */
function aliases(plan: TriggerPlan): string {
  return sentColumns(plan)
    .map((_, index) => `c${index + 1}`)
    .join(', ');
}

/** The JSON text of what is announced of a row, as an expression. */
function entryOf(plan: TriggerPlan): Lines {
  if (!plan.named) return [jsonOf('r.c1')];
  const members = sentColumns(plan).map((column, index) => {
    const name = quoteLiteral(`${index === 0 ? '{' : ','}${JSON.stringify(column)}:`);
    return `${index === 0 ? '' : '|| '}${name} || ${jsonOf(`r.c${index + 1}`)}`;
  });
  return [...members, `|| '}'`];
}

function selected(select: string, [first = '', ...others]: Lines): Lines {
  return [`${select}${first}`, ...indented('  ', others)];
}

/**
 * A value as JSON text. bigint and numeric become strings, which is how pg reads them: as JSON numbers they would lose
 * digits in JavaScript. The coalesce() takes a domain for the type that it is made of.
 */
function jsonOf(value: string): string {
  const exact = `pg_typeof(coalesce(${value}, NULL)) IN ('bigint'::regtype, 'numeric'::regtype)`;
  return `coalesce(CASE WHEN ${exact} THEN to_json(${value}::text) ELSE to_json(${value}) END::text, 'null')`;
}

function columnsOf(columns: readonly string[], row: string): string {
  return columns.map((column) => `${row}.${quoteIdentifier(column)}`).join(', ');
}
