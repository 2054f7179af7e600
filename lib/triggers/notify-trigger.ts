import type { PgTriggerOptions } from './pg-trigger-options.js';
import { planTrigger } from './trigger-plan.js';
import { triggerSql } from './trigger-sql.js';

/** SQL for a migration. Each is a script of several statements, without parameters. */
export interface PgTriggerSql {
  /**
   * Creates the function and the triggers, or replaces those of an earlier version. Running it again changes nothing.
   */
  readonly up: string;
  /** Removes them if they exist. */
  readonly down: string;
}

/**
 * Makes the SQL of a trigger that announces changes of a table, for a migration. It does not run the SQL.
 *
 * The trigger sends a {@link PgTableChange} for each statement and operation, in as many parts as PostgreSQL's limit of
 * 8,000 bytes requires. Neither many rows nor a long key make the write fail: the change is then announced without
 * keys.
 *
 * ```ts
 * const trigger = notifyTrigger({ table: 'products', channel: ProductChanges, key: 'id' });
 * await queryRunner.query(trigger.up);
 * ```
 *
 * Run it in a transaction as the owner of the table, who needs CREATE on its schema. It waits for current writers of
 * the table, and blocks others until the transaction ends. Set `lock_timeout` if that matters.
 *
 * @throws PgNotifyError of kind `configuration`, or `channel`, that names the option and what it takes.
 */
export function notifyTrigger(options: PgTriggerOptions): PgTriggerSql {
  const { up, down } = triggerSql(planTrigger(options));
  return { up, down };
}
