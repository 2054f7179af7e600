import { quoteIdentifier, quoteLiteral } from '../executor/sql-text.js';
import type { TriggerPlan } from './trigger-plan.js';

/** The transition table of every statement trigger for rows: the new rows, or for a DELETE the old ones. */
export const CHANGED_ROWS = 'changed_rows';
/** The rows of an UPDATE before the change. */
export const OLD_ROWS = 'old_rows';

/**
 * SQL as lines, so that it can be indented. A text could not be, because a quoted name may contain a line break.
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
 * Compares old and new rows by grouping them by their key. Unlike a join, this needs no operators of the key's type,
 * accepts keys that are not unique, and is never planned as a nested loop over a bulk update because the session's
 * first update was small.
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
    // A remaining row is sent with its new values, and one whose key is gone with its old values.
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

/**
 * A query for the key of the row that a row trigger has fired for, and for its old key if the update has changed it.
 */
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
 * Whether one of these columns differs between OLD and NEW, for every type: json has no operator `=`. It uses the
 * function of the operator `*<>`, because PostgreSQL prints that operator between rows in a form that it reads back as
 * a comparison of the columns: `pg_restore` loses a trigger with such a condition, and `pg_upgrade` fails.
 */
export function rowHasChanged(columns: readonly string[]): string {
  return `pg_catalog.record_image_ne(ROW(${columnsOf(columns, 'OLD')}), ROW(${columnsOf(columns, 'NEW')}))`;
}

function sentColumns({ key, include }: TriggerPlan): readonly string[] {
  return [...key, ...include];
}

/** Names for the sent columns that cannot collide with ours. */
function aliases(plan: TriggerPlan): string {
  return sentColumns(plan)
    .map((_, index) => `c${index + 1}`)
    .join(', ');
}

/** An expression for the JSON text that is announced of a row. */
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
 * A value as JSON text. bigint and numeric become strings, as pg reads them, because as JSON numbers they would lose
 * digits in JavaScript. The coalesce() turns a domain into its base type.
 */
function jsonOf(value: string): string {
  const exact = `pg_typeof(coalesce(${value}, NULL)) IN ('bigint'::regtype, 'numeric'::regtype)`;
  return `coalesce(CASE WHEN ${exact} THEN to_json(${value}::text) ELSE to_json(${value}) END::text, 'null')`;
}

function columnsOf(columns: readonly string[], row: string): string {
  return columns.map((column) => `${row}.${quoteIdentifier(column)}`).join(', ');
}
