import { checkExecutor } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import type { PgTriggerOptions } from './pg-trigger-options.js';
import { quoteIdentifier } from '../executor/sql-text.js';
import { definitionOf, isSameDefinition } from './trigger-definition.js';
import { FUNCTION_SETTINGS } from './trigger-function.js';
import { readTriggerFacts } from './trigger-facts.js';
import type { TriggerFacts } from './trigger-facts.js';
import { planTrigger, TABLE_OPERATIONS } from './trigger-plan.js';
import type { TriggerPlan } from './trigger-plan.js';
import { quotedTable, triggerName, triggerSql, wantedColumns } from './trigger-sql.js';
import type { TriggerSql } from './trigger-sql.js';
import { clonedOperations, warningsOf } from './trigger-warnings.js';

/**
 * Whether the database has a trigger:
 *
 * - `current`: exactly the trigger that `notifyTrigger()` makes of these options, and it fires.
 * - `disabled`: the same, but at least one of its triggers was switched off.
 * - `outdated`: another one: an earlier version, an edited one, a part of it, or a table that has lost a column.
 * - `missing`: there is no trigger, or no table.
 */
export type PgTriggerState = 'current' | 'disabled' | 'outdated' | 'missing';

/** The result of {@link checkTrigger}. */
export interface PgTriggerCheck {
  readonly state: PgTriggerState;
  /** Why the state is not `current`, and the remedy, in words. */
  readonly problems: readonly string[];
  /** The changes that a trigger of these options does not announce on this table, even if it is current, in words. */
  readonly warnings: readonly string[];
}

/**
 * Checks whether the database has exactly the trigger that `notifyTrigger()` makes of these options in this version of
 * nest-pg-notify, and which changes that trigger would miss. It reads the catalogs in one statement and changes
 * nothing. Use it in a test after the migrations, or for a warning at the start.
 *
 * @param executor Runs the statement: a `pg` client or pool, TypeORM's EntityManager, a function `(text, values)`.
 * @throws PgNotifyError of kind `configuration` or `channel` for invalid options. Rejections of the executor are passed
 * on.
 */
export async function checkTrigger(executor: PgExecutor, options: PgTriggerOptions): Promise<PgTriggerCheck> {
  const plan = planTrigger(options);
  const sql = triggerSql(plan);
  const facts = await readTriggerFacts(checkExecutor('executor of a check', executor), plan, [...sql.names.values()]);
  const warnings = warningsOf(plan, facts);
  if (facts.kind === null) {
    const problem = `There is no table ${plan.shownTable}. Run the migration that creates it, or correct the option table.`;
    return { state: 'missing', problems: [problem], warnings };
  }
  const view = VIEWS[facts.kind];
  if (view !== undefined) {
    const problem = `${plan.shownTable} is a ${view}, which cannot have this trigger. Give the option table a table that the ${view} reads.`;
    return { state: 'missing', problems: [problem], warnings };
  }
  if (!facts.function && facts.triggers.length === 0) {
    const problem = `Table ${plan.shownTable} has no trigger ${plan.name}. ${REMEDY}`;
    return { state: 'missing', problems: [problem], warnings };
  }
  const differences = [...differencesOf(plan, sql, facts), ...columnProblems(plan, facts)];
  if (differences.length > 0) return { state: 'outdated', problems: differences, warnings };
  const problems = switchedOff(plan, facts).map(
    (what) => `${what} is switched off. Run ALTER TABLE … ENABLE TRIGGER, or the SQL of up once more.`,
  );
  return { state: problems.length > 0 ? 'disabled' : 'current', problems, warnings };
}

/** The kinds of relations that cannot have a trigger of `notifyTrigger()`. */
const VIEWS: Readonly<Record<string, string>> = { v: 'view', m: 'materialized view' };

const REMEDY = 'Run the SQL that notifyTrigger() returns as up, in a migration.';

function differencesOf(plan: TriggerPlan, { body, marker, names }: TriggerSql, facts: TriggerFacts): string[] {
  const found = facts.function;
  const differences: string[] = [];
  if (!found) {
    differences.push(`Function ${plan.name} is missing. ${REMEDY}`);
  } else if (found.marker !== marker) {
    differences.push(`Function ${plan.name} is of another version, or of other options. ${REMEDY}`);
  } else if (found.body !== body || found.definer || !sameSettings(found.settings)) {
    differences.push(`Function ${plan.name} was changed by hand. ${REMEDY}`);
  }
  for (const [operation, name] of names) {
    const trigger = facts.triggers.find((each) => each.name === name);
    if (!trigger) differences.push(`Trigger ${name} is missing. ${REMEDY}`);
    else if (trigger.marker !== marker) {
      differences.push(`Trigger ${name} is of another version, or was made by hand. ${REMEDY}`);
    } else if (!trigger.callsFunction || !isSameDefinition(trigger.definition, definitionOf(plan, operation))) {
      differences.push(`Trigger ${name} was changed by hand. ${REMEDY}`);
    }
  }
  const expected = new Set(names.values());
  for (const { name } of facts.triggers.filter((trigger) => !expected.has(trigger.name))) {
    const remedy = TABLE_OPERATIONS.some((operation) => name === triggerName(plan, operation))
      ? REMEDY
      : `Drop it: DROP TRIGGER ${quoteIdentifier(name)} ON ${quotedTable(plan)};`;
    differences.push(
      `Trigger ${name} calls the function ${plan.name}, but these options make none of that name. ${remedy}`,
    );
  }
  return differences;
}

function sameSettings(found: readonly string[]): boolean {
  const wanted = FUNCTION_SETTINGS.map(([name, value]) => `${name}=${value}`);
  return JSON.stringify(found.map(withoutQuotes).toSorted()) === JSON.stringify(wanted.toSorted());
}

/** If `quote_all_identifiers` was on, `up` has stored the names of the search path in quotes. */
function withoutQuotes(setting: string): string {
  return setting.startsWith('search_path=') ? setting.replaceAll(/"(\w+)"/g, '$1') : setting;
}

function columnProblems(plan: TriggerPlan, { columns }: TriggerFacts): string[] {
  return wantedColumns(plan).flatMap((column) => {
    const found = Object.hasOwn(columns, column) ? columns[column] : undefined;
    if (found === 'stored') return [];
    return found === undefined
      ? [
          `Table ${plan.shownTable} has no column ${column}: changes are announced without keys. Correct the options, and run up.`,
        ]
      : [
          `Column ${column} is a virtual generated one, which ${plan.level === 'row' ? 'row triggers see as null' : 'no statement trigger can read: changes are announced without keys'}. Name a stored column, and run up.`,
        ];
  });
}

function switchedOff(plan: TriggerPlan, { kind, triggers, children }: TriggerFacts): string[] {
  const disabled = triggers.filter(({ enabled }) => enabled === 'D' || enabled === 'R');
  const cloned = clonedOperations(plan, kind);
  const lacking = children.filter(({ operations }) => cloned.some((operation) => !operations.includes(operation)));
  return [
    ...disabled.map(({ name }) => `Trigger ${name}`),
    ...lacking.map(({ name }) => `Trigger ${plan.name}, on the partition ${name},`),
  ];
}
