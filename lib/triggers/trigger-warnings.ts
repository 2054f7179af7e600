import type { PgTableOperation } from './pg-trigger-options.js';
import { quoteIdentifier } from '../executor/sql-text.js';
import type { OtherTrigger, TriggerFacts } from './trigger-facts.js';
import type { TriggerPlan } from './trigger-plan.js';

/** The number of tables that a warning names. */
const MOST_NAMED = 5;

/**
 * Warns of changes that even a current trigger misses on this table, and of changes that it announces for other tables.
 */
export function warningsOf(plan: TriggerPlan, facts: TriggerFacts): string[] {
  return [
    ...unannounced(plan, facts),
    ...announcedOtherwise(plan, facts),
    ...announcedTwice(plan, facts),
    ...movesOfRows(plan, facts),
    ...replication(plan, facts),
    ...foreignTriggers(plan, facts),
  ];
}

/** The operations whose triggers PostgreSQL clones to each partition. */
export function clonedOperations({ level, on }: TriggerPlan, kind: string | null): readonly PgTableOperation[] {
  return level === 'row' && kind === 'p' ? on.filter((operation) => operation !== 'truncate') : [];
}

/** Changes that are written directly to a partition, or to a table that inherits. */
function unannounced(plan: TriggerPlan, { kind, children }: TriggerFacts): string[] {
  const tablesByMissed = new Map<string, string[]>();
  for (const { name, operations } of children) {
    const missed = plan.on.filter(
      (operation) => !operations.includes(operation) && !clonedOperations(plan, kind).includes(operation),
    );
    const shown = missed.map((operation) => operation.toUpperCase()).join(', ');
    if (missed.length > 0) tablesByMissed.set(shown, [...(tablesByMissed.get(shown) ?? []), name]);
  }
  const inherited = plan.level === 'row' && kind !== 'p';
  return [...tablesByMissed].map(([missed, names]) =>
    inherited
      ? `Not announced: ${missed} of rows of ${listed(names)}, even through ${plan.shownTable}, from which they inherit. Use the level 'statement', or give each a trigger of its own for this channel.`
      : `Not announced: ${missed} straight into ${listed(names)}. Write through ${plan.shownTable}, or give each a trigger of its own for this channel.`,
  );
}

/** Changes that a partition's own trigger announces for the channel, but differently. */
function announcedOtherwise(plan: TriggerPlan, { children }: TriggerFacts): string[] {
  const names = children
    .filter(({ operations, alike }) => plan.on.some((each) => operations.includes(each) && !alike.includes(each)))
    .map(({ name }) => name);
  if (names.length === 0) return [];
  return [
    `Announced otherwise: what is written straight into ${listed(names)}. The trigger there is for this channel, but of other options key, include or columns: give it those of ${plan.shownTable}.`,
  ];
}

/** Writes that two triggers announce for the channel. */
function announcedTwice(plan: TriggerPlan, { kind, others }: TriggerFacts): string[] {
  const byTable = new Map<string, { readonly operations: Set<PgTableOperation>; readonly drops: string[] }>();
  for (const other of others) {
    const operations = plan.on.filter((operation) => isAnnouncedTwice(plan, kind, other, operation));
    if (operations.length === 0) continue;
    const found = byTable.get(other.table) ?? { operations: new Set(), drops: [] };
    byTable.set(other.table, found);
    for (const operation of operations) found.operations.add(operation);
    found.drops.push(`DROP TRIGGER ${quoteIdentifier(other.name)} ON ${other.table};`);
  }
  const warnings = [...byTable].map(([table, { operations, drops }]) => {
    const shown = plan.on.filter((operation) => operations.has(operation)).map((operation) => operation.toUpperCase());
    return `Announced twice: ${shown.join(', ')} of ${table}, which has other triggers for this channel. Drop them: ${drops.join(' ')}`;
  });
  const more = warnings.length - MOST_NAMED;
  if (more <= 0) return warnings;
  return [...warnings.slice(0, MOST_NAMED), `Announced twice: the changes of ${more} more tables, in the same way.`];
}

function isAnnouncedTwice(
  { level }: TriggerPlan,
  kind: string | null,
  { isOfChild, isAlike, byRow, operations }: OtherTrigger,
  operation: PgTableOperation,
): boolean {
  if (!operations.includes(operation)) return false;
  if (!isOfChild) return isAlike;
  // A TRUNCATE of the table also fires the triggers of its partitions, which are the only way to announce theirs.
  if (operation === 'truncate') return false;
  // A partition has copies of row triggers; a table that inherits has none.
  if (level === 'row') return kind === 'p';
  // A statement on the table fires no statement triggers of its partitions, and inserts no row into a table that inherits.
  return byRow && (kind === 'p' || operation !== 'insert');
}

function movesOfRows({ level, on }: TriggerPlan, { kind }: TriggerFacts): string[] {
  const isSeen = !on.includes('update') || (on.includes('insert') && on.includes('delete'));
  if (level !== 'row' || kind !== 'p' || isSeen) return [];
  return [
    `An UPDATE that moves a row to another partition is a DELETE and an INSERT for row triggers. Add 'insert' and 'delete' to the option on, or use the level 'statement'.`,
  ];
}

/** The worker of a logical subscription only fires triggers that are enabled ALWAYS, and for rows only row triggers. */
function replication(plan: TriggerPlan, { isSubscribed, triggers }: TriggerFacts): string[] {
  if (!isSubscribed) return [];
  const missed = `Not announced: what a logical subscription writes into ${plan.shownTable}.`;
  if (plan.level === 'statement') {
    return [
      `${missed} It fires no statement triggers for rows: use the level 'row', and ALTER TABLE … ENABLE ALWAYS TRIGGER.`,
    ];
  }
  const names = triggers.filter(({ enabled }) => enabled === 'O').map(({ name }) => name);
  return names.length === 0 ? [] : [`${missed} Run ALTER TABLE … ENABLE ALWAYS TRIGGER for ${names.join(', ')}.`];
}

/**
 * Triggers of other tables that call this table's function, for instance of a renamed table that has kept its triggers.
 */
function foreignTriggers(plan: TriggerPlan, { foreign }: TriggerFacts): string[] {
  return foreign.map(
    ({ table, name }) =>
      `Trigger ${name} of ${table} calls the function ${plan.name}, too, and announces changes of ${table} as those of ${plan.shownTable}. Drop it: DROP TRIGGER ${quoteIdentifier(name)} ON ${table};`,
  );
}

function listed(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
