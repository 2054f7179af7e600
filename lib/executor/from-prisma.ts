import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgExecutor } from './pg-executor.js';

/** The part of a Prisma client, or of the client of its interactive transaction, that sends. */
export interface PrismaTransaction {
  $queryRawUnsafe(text: string, ...values: unknown[]): PromiseLike<unknown>;
}

/**
 * Sends inside a transaction of Prisma.
 *
 * ```ts
 * await prisma.$transaction(async (tx) => {
 *   await tx.order.create({ data });
 *   await pgNotify.notify(OrderEvents, event, { executor: fromPrisma(tx) });
 * });
 * ```
 *
 * @param tx What `$transaction()` hands to its callback. With the client itself it is sent at once, in a transaction of
 * its own.
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
