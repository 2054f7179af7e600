import type { PoolClient } from 'pg';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PoolSettings } from '../pg-notify.resolved-options.js';
import { connectionFailure } from './connection-failure.js';
import { withDeadline } from './deadline.js';

export interface PgBorrowOptions {
  /** Bounds the wait for a client of the pool, and what is asked of it first; milliseconds. */
  readonly connectTimeout: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits for a client of a pool; one that comes too late goes back.
 *
 * @param timeout What is left of the time, in milliseconds.
 * @throws PgNotifyError of kind `connection`, or the signal's reason.
 */
export async function takeClient(
  { option, connect }: PoolSettings,
  { connectTimeout, signal }: PgBorrowOptions,
  timeout: number,
): Promise<PoolClient> {
  const expired = (): Error =>
    new PgNotifyError(
      'connection',
      `${option}: no client within ${connectTimeout} ms. Does everything release its clients, and is the "max" of the pool large enough?`,
      { permanent: false },
    );
  const borrowed = connect();
  try {
    return await withDeadline(borrowed, { timeout, signal, expired });
  } catch (error) {
    void borrowed.then(
      (late) => late.release(),
      () => undefined,
    );
    throw signal?.aborted ? error : connectionFailure(error, option);
  }
}
