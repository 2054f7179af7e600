import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgExecutor } from './pg-executor.js';

/** The part of a Prisma client, or of an interactive transaction, that runs statements. */
export interface PrismaTransaction {
  $queryRawUnsafe(text: string, ...values: unknown[]): PromiseLike<unknown>;
}

/**
 * Makes an executor of a Prisma transaction.
 *
 * ```ts
 * await prisma.$transaction(async (tx) => {
 *   await tx.order.create({ data });
 *   await pgNotify.notify(OrderEvents, event, { executor: fromPrisma(tx) });
 * });
 * ```
 *
 * @param tx The argument of the callback of `$transaction()`. With the client itself the notification is sent at once,
 * in its own transaction.
 * @throws PgNotifyError of kind `configuration` for anything else.
 */
export function fromPrisma(tx: PrismaTransaction): PgExecutor {
  if (typeof (tx as Partial<PrismaTransaction> | undefined)?.$queryRawUnsafe !== 'function') {
    throw new PgNotifyError(
      'configuration',
      'fromPrisma(tx) takes the client that prisma.$transaction(async (tx) => …) hands to its callback: what it got has no method $queryRawUnsafe.',
    );
  }
  return (text, values) => tx.$queryRawUnsafe(text, ...values);
}
