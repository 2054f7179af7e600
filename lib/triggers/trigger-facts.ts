import { execute } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import { rowsOf } from '../executor/executor-rows.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgTableOperation } from './pg-trigger-options.js';
import { DEFINITION_OF_TRIGGER, OPERATION_BITS, ROW_BIT } from './trigger-definition.js';
import type { TriggerDefinition } from './trigger-definition.js';
import type { TriggerPlan } from './trigger-plan.js';
import { channelMarker, contentsMarker } from './trigger-sql.js';

/** The facts about a trigger in the database. */
export interface TriggerFacts {
  /** `r` for a table, `p` for a partitioned one, …; null if there is none. */
  readonly kind: string | null;
  /** The names of the table's columns, and whether their values are computed when they are read. */
  readonly columns: Readonly<Record<string, 'stored' | 'virtual'>>;
  readonly function: FunctionFacts | null;
  /** The triggers that call the function, and those with an expected name. */
  readonly triggers: readonly TriggerFact[];
  /** Triggers of other tables, except partitions and inheriting ones, that call the function. */
  readonly foreign: readonly { readonly table: string; readonly name: string }[];
  /** Partitions and tables that inherit, at any depth. */
  readonly children: readonly ChildFacts[];
  /** Other triggers for this channel: of the table, of its partitions and of tables that inherit from it. */
  readonly others: readonly OtherTrigger[];
  /** Whether a logical subscription writes into the table. */
  readonly isSubscribed: boolean;
}

interface ChildFacts {
  readonly name: string;
  /** The operations that triggers for this channel announce. */
  readonly operations: readonly PgTableOperation[];
  /** Those that are announced with the same columns. */
  readonly alike: readonly PgTableOperation[];
}

export interface OtherTrigger {
  readonly table: string;
  readonly name: string;
  /** Whether it belongs to a partition or a table that inherits. */
  readonly isOfChild: boolean;
  readonly byRow: boolean;
  readonly operations: readonly PgTableOperation[];
  /** Whether it announces the same columns. */
  readonly isAlike: boolean;
}

interface FunctionFacts {
  readonly body: string;
  readonly settings: readonly string[];
  readonly definer: boolean;
  readonly marker: string | null;
}

export interface TriggerFact {
  readonly name: string;
  /** `O` fires, `A` also fires for replicated changes, `R` only for them, and `D` never. */
  readonly enabled: 'O' | 'A' | 'R' | 'D';
  readonly marker: string | null;
  /** Whether it calls the function, and not another one. */
  readonly callsFunction: boolean;
  readonly definition: TriggerDefinition;
}

const BITS = Object.entries(OPERATION_BITS)
  .map(([operation, bit]) => `(${bit}, '${operation}')`)
  .join(', ');

/** One statement with text values that returns one row with one text, because all drivers and ORMs treat that alike. */
const FACTS = `
WITH RECURSIVE place AS (
  SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = $1::pg_catalog.text
  UNION ALL
  SELECT pg_catalog.pg_my_temp_schema() WHERE $1::pg_catalog.text = 'pg_temp'
), target AS (
  SELECT c.oid, c.relkind FROM pg_catalog.pg_class AS c JOIN place ON place.oid = c.relnamespace
  WHERE c.relname = $2::pg_catalog.text AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), notifier AS (
  SELECT p.oid, p.prosrc, p.proconfig, p.prosecdef, pg_catalog.obj_description(p.oid, 'pg_proc') AS marker
  FROM pg_catalog.pg_proc AS p JOIN place ON place.oid = p.pronamespace
  WHERE p.proname = $3::pg_catalog.text AND p.pronargs = 0
), child AS (
  SELECT i.inhrelid AS oid FROM pg_catalog.pg_inherits AS i JOIN target ON i.inhparent = target.oid
  UNION
  SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN child ON i.inhparent = child.oid
)
SELECT pg_catalog.json_build_object(
  'kind', (SELECT relkind FROM target),
  'columns', (
    SELECT pg_catalog.json_object_agg(a.attname, CASE a.attgenerated WHEN 'v' THEN 'virtual' ELSE 'stored' END)
    FROM pg_catalog.pg_attribute AS a JOIN target ON a.attrelid = target.oid WHERE a.attnum > 0 AND NOT a.attisdropped
  ),
  'function', (
    SELECT pg_catalog.json_build_object('body', prosrc, 'settings', proconfig, 'definer', prosecdef, 'marker', marker)
    FROM notifier
  ),
  'triggers', (
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', t.tgname, 'enabled', t.tgenabled, 'marker', pg_catalog.obj_description(t.oid, 'pg_trigger'),
      'callsFunction', notifier.oid IS NOT NULL, 'definition', ${DEFINITION_OF_TRIGGER}
    ) ORDER BY t.tgname)
    FROM pg_catalog.pg_trigger AS t JOIN target ON t.tgrelid = target.oid LEFT JOIN notifier ON notifier.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND (notifier.oid IS NOT NULL OR t.tgname IN (SELECT pg_catalog.json_array_elements_text($4::pg_catalog.text::pg_catalog.json)))
  ),
  'foreign', (
    SELECT pg_catalog.json_agg(
      pg_catalog.json_build_object('table', t.tgrelid::pg_catalog.regclass::pg_catalog.text, 'name', t.tgname)
      ORDER BY t.tgrelid::pg_catalog.regclass::pg_catalog.text, t.tgname
    )
    FROM pg_catalog.pg_trigger AS t JOIN notifier ON notifier.oid = t.tgfoid
    WHERE t.tgparentid = 0 AND t.tgrelid NOT IN (SELECT oid FROM target UNION ALL SELECT oid FROM child)
  ),
  'children', (
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', child.oid::pg_catalog.regclass::pg_catalog.text, 'operations', announced.operations, 'alike', announced.alike
    ) ORDER BY child.oid::pg_catalog.regclass::pg_catalog.text)
    FROM child CROSS JOIN LATERAL (
      SELECT pg_catalog.json_agg(o.operation) AS operations,
        pg_catalog.json_agg(o.operation) FILTER (WHERE pg_catalog.starts_with(f.marker, $6::pg_catalog.text)) AS alike
      FROM pg_catalog.pg_trigger AS t
      CROSS JOIN LATERAL (SELECT pg_catalog.obj_description(t.tgfoid, 'pg_proc')) AS f (marker)
      JOIN (VALUES ${BITS}) AS o (bit, operation)
        ON t.tgtype::pg_catalog.int4 & o.bit <> 0
      WHERE t.tgrelid = child.oid AND t.tgenabled IN ('O', 'A') AND pg_catalog.starts_with(f.marker, $5::pg_catalog.text)
    ) AS announced
  ),
  'others', (
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'table', t.tgrelid::pg_catalog.regclass::pg_catalog.text, 'name', t.tgname, 'isOfChild', t.tgrelid <> target.oid,
      'byRow', t.tgtype::pg_catalog.int4 & ${ROW_BIT} <> 0,
      'operations', (
        SELECT pg_catalog.json_agg(o.operation) FROM (VALUES ${BITS}) AS o (bit, operation)
        WHERE t.tgtype::pg_catalog.int4 & o.bit <> 0
      ), 'isAlike', pg_catalog.starts_with(f.marker, $6::pg_catalog.text)
    ) ORDER BY t.tgrelid::pg_catalog.regclass::pg_catalog.text, t.tgname)
    FROM target CROSS JOIN pg_catalog.pg_trigger AS t LEFT JOIN notifier ON notifier.oid = t.tgfoid
    CROSS JOIN LATERAL (SELECT pg_catalog.obj_description(t.tgfoid, 'pg_proc')) AS f (marker)
    WHERE t.tgparentid = 0 AND t.tgenabled IN ('O', 'A') AND pg_catalog.starts_with(f.marker, $5::pg_catalog.text)
      AND (t.tgrelid IN (SELECT oid FROM child) OR (t.tgrelid = target.oid AND notifier.oid IS NULL))
  ),
  'isSubscribed', EXISTS (SELECT FROM pg_catalog.pg_subscription_rel AS s JOIN target ON s.srrelid = target.oid)
)::pg_catalog.text AS facts`;

/** Reads the facts in one statement, which every role that can connect may run. */
export async function readTriggerFacts(
  executor: PgExecutor,
  plan: TriggerPlan,
  names: readonly string[],
): Promise<TriggerFacts> {
  const values = [plan.schema, plan.table, plan.name, JSON.stringify(names), channelMarker(plan), contentsMarker(plan)];
  const [row] = rowsOf(await execute(executor, FACTS, values));
  if (typeof row?.facts !== 'string') {
    throw new PgNotifyError(
      'configuration',
      'The executor has answered the SELECT of the check without its row. Pass one that returns rows by the names of their columns.',
    );
  }
  const facts = JSON.parse(row.facts) as { readonly [Fact in keyof TriggerFacts]: TriggerFacts[Fact] | null };
  const children = facts.children ?? [];
  return {
    kind: facts.kind,
    columns: facts.columns ?? {},
    function: facts.function && { ...facts.function, settings: facts.function.settings ?? [] },
    triggers: facts.triggers ?? [],
    foreign: facts.foreign ?? [],
    children: children.map(({ name, operations, alike }) => ({
      name,
      operations: operations ?? [],
      alike: alike ?? [],
    })),
    others: facts.others ?? [],
    isSubscribed: facts.isSubscribed ?? false,
  };
}
