import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgExecutor } from './pg-executor.js';
import { statementParts } from './statement-parts.js';

/** The part of a Knex transaction that runs statements. */
export interface KnexTransaction {
  raw(text: string, bindings: readonly unknown[]): PromiseLike<unknown>;
}

/**
 * Makes an executor of a Knex transaction.
 *
 * ```ts
 * await knex.transaction(async (trx) => {
 *   await trx('orders').insert(order);
 *   await pgNotify.notify(OrderEvents, event, { executor: fromKnex(trx) });
 * });
 * ```
 *
 * @param trx The argument of the callback of `transaction()`. With `knex` itself the notification is sent at once, in
 * its own transaction.
 * @throws PgNotifyError of kind `configuration` for anything else.
 */
export function fromKnex(trx: KnexTransaction): PgExecutor {
  if (typeof (trx as Partial<KnexTransaction> | undefined)?.raw !== 'function') {
    throw new PgNotifyError(
      'configuration',
      'fromKnex(trx) takes the transaction that knex.transaction(async (trx) => …) hands to its callback: what it got has no method raw.',
    );
  }
  return async (text, values) => {
    const parts = statementParts(text, values);
    const bindings = parts.flatMap((part) => (typeof part === 'string' ? [] : [part.value]));
    // The space separates a placeholder from a question mark before it: Knex takes two of them for an identifier.
    const statement = parts.map((part) => (typeof part === 'string' ? escaped(part) : ' ?')).join('');
    try {
      return await trx.raw(statement, bindings);
    } catch (error) {
      shorten(error, parts.at(-1) as string);
      throw error;
    }
  };
}

/** Knex puts the statement with its values before the server's message. A payload must not be logged. */
function shorten(error: unknown, endOfStatement: string): void {
  if (!(error instanceof Error)) return;
  const end = `${endOfStatement} - `;
  const at = error.message.lastIndexOf(end);
  if (at !== -1) error.message = error.message.slice(at + end.length);
}

/** Knex takes a question mark for a placeholder, and removes all backslashes before one. */
function escaped(text: string): string {
  if (!text.includes('\\?')) return text.replaceAll('?', '\\?');
  throw new PgNotifyError(
    'configuration',
    'Knex cannot carry a statement with a backslash before a question mark: pass that text as a value.',
  );
}
