import { isDeepStrictEqual } from 'node:util';
import type { PgTableOperation } from './pg-trigger-options.js';
import { CHANGED_ROWS, OLD_ROWS } from './trigger-keys.js';
import type { TriggerPlan } from './trigger-plan.js';

/** The parts of a trigger that `CREATE OR REPLACE TRIGGER` may change, while the comment stays. */
export interface TriggerDefinition {
  /** When and for what it fires, in the form of `pg_trigger.tgtype`. */
  readonly type: number;
  /** The names of its transition tables. */
  readonly oldRows: string | null;
  readonly newRows: string | null;
  readonly hasCondition: boolean;
  /** The columns that its condition reads. */
  readonly reads: readonly string[];
  /** Whether it has `UPDATE OF` columns. */
  readonly hasColumnList: boolean;
  readonly arguments: number;
}

export const OPERATION_BITS: Readonly<Record<PgTableOperation, number>> = {
  insert: 4,
  delete: 8,
  update: 16,
  truncate: 32,
};
export const ROW_BIT = 1;

/** A `pg_trigger` of the alias `t` as a {@link TriggerDefinition}, in SQL. */
export const DEFINITION_OF_TRIGGER = `pg_catalog.json_build_object(
      'type', t.tgtype, 'oldRows', t.tgoldtable, 'newRows', t.tgnewtable, 'hasCondition', t.tgqual IS NOT NULL,
      'reads', ARRAY(
        SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_depend AS d
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND d.objid = t.oid
          AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      ), 'hasColumnList', pg_catalog.cardinality(t.tgattr::pg_catalog.int2[]) > 0, 'arguments', t.tgnargs
    )`;

/** Whether the trigger of an operation fires for each row, rather than for the statement. */
export function firesByRow({ level }: TriggerPlan, operation: PgTableOperation): boolean {
  return level === 'row' && operation !== 'truncate';
}

/** PostgreSQL runs the function only if an update has changed one of these columns; always if there are none. */
export function conditionColumns(plan: TriggerPlan, operation: PgTableOperation): readonly string[] {
  const conditional = firesByRow(plan, operation) && operation === 'update' && plan.columns.length > 0;
  return conditional ? [...new Set([...plan.key, ...plan.columns])] : [];
}

/** The trigger of an operation in the catalog, after `up` has run. */
export function definitionOf(plan: TriggerPlan, operation: PgTableOperation): TriggerDefinition {
  const byRow = firesByRow(plan, operation);
  const reads = conditionColumns(plan, operation);
  const [oldRows, newRows] = byRow ? NO_ROWS : TRANSITION_TABLES[operation];
  return {
    type: OPERATION_BITS[operation] + (byRow ? ROW_BIT : 0),
    oldRows,
    newRows,
    hasCondition: reads.length > 0,
    reads,
    hasColumnList: false,
    arguments: 0,
  };
}

export function isSameDefinition(one: TriggerDefinition, other: TriggerDefinition): boolean {
  return isDeepStrictEqual({ ...one, reads: one.reads.toSorted() }, { ...other, reads: other.reads.toSorted() });
}

/** The names of the old and the new rows of a statement. */
export const TRANSITION_TABLES: Readonly<Record<PgTableOperation, readonly [string | null, string | null]>> = {
  insert: [null, CHANGED_ROWS],
  update: [OLD_ROWS, CHANGED_ROWS],
  delete: [CHANGED_ROWS, null],
  truncate: [null, null],
};
const NO_ROWS = TRANSITION_TABLES.truncate;
