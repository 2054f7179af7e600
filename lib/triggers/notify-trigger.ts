import type { PgTriggerOptions } from './pg-trigger-options.js';
import { planTrigger } from './trigger-plan.js';
import { triggerSql } from './trigger-sql.js';

/** SQL for a migration: each a script of several statements, without parameters. */
export interface PgTriggerSql {
  /** Creates the function and the triggers, or replaces those of an earlier version; running it again changes nothing. */
  readonly up: string;
  /** Removes them, where they are. */
  readonly down: string;
}

/**
 * Makes the SQL of a trigger that notifies of changes of a table, for a migration. It runs nothing.
 *
 * What it sends is a {@link PgTableChange}: one for a statement and an operation, in as many parts as PostgreSQL's limit
 * of 8,000 bytes asks for. Neither many rows nor a long key make the write fail: the change is then announced without keys.
 *
 * ```ts
 * const trigger = notifyTrigger({ table: 'products', channel: ProductChanges, key: 'id' });
 * await queryRunner.query(trigger.up);
 * ```
 *
 * Run it in a transaction, as the owner of the table, who needs CREATE on its schema. It keeps writers of the table out until that transaction ends, and
 * waits for those that are at it: set `lock_timeout` where that matters.
 *
 * @throws PgNotifyError of kind `configuration`, or `channel`, that names the option and what it takes.
 */
export function notifyTrigger(options: PgTriggerOptions): PgTriggerSql {
  const { up, down } = triggerSql(planTrigger(options));
  return { up, down };
}
