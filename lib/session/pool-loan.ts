import type { PoolClient } from 'pg';
import { PgNotifyError } from '../pg-notify.errors.js';
import { connectionFailure } from './connection-failure.js';
import type { PoolSettings } from './connection-settings.js';
import { withDeadline } from '../time/deadline.js';
import { connectionOf } from './pg-client.js';

export interface PgBorrowOptions {
  /** The time limit for getting a client from the pool and for its first questions, in milliseconds. */
  readonly connectTimeout: number;
  /** How long a statement may wait for a lock, in milliseconds. */
  readonly lockTimeout?: number | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

/** The part of a message that shows whether the client is in a transaction; `I` is idle. */
interface ReadyForQuery {
  readonly status: string;
}

/** A client that is borrowed from the user's pool. */
export class PoolLoan {
  private status = '';
  private readonly onReady = ({ status }: ReadyForQuery): void => void (this.status = status);

  private constructor(
    readonly client: PoolClient,
    private readonly pool: PoolSettings,
  ) {
    connectionOf(client).on('readyForQuery', this.onReady);
  }

  /**
   * Waits for a client. A client that comes too late is returned.
   *
   * @param timeout The remaining time, in milliseconds.
   * @throws PgNotifyError of kind `connection`, or the signal's reason.
   */
  static async take(
    pool: PoolSettings,
    { connectTimeout, signal }: PgBorrowOptions,
    timeout: number,
  ): Promise<PoolLoan> {
    const { option } = pool;
    const expired = (): Error =>
      new PgNotifyError(
        'connection',
        `${option}: no client within ${connectTimeout} ms. Does everything release its clients, and is the "max" of the pool large enough?`,
        { permanent: false },
      );
    const borrowed = pool.connect();
    try {
      return new PoolLoan(await withDeadline(borrowed, { timeout, signal, expired }), pool);
    } catch (error) {
      void borrowed.then(
        (late) => late.release(),
        () => undefined,
      );
      throw signal?.aborted ? error : connectionFailure(error, option);
    }
  }

  /** Whether other users wait for a client. */
  get isWanted(): boolean {
    return this.pool.isShort();
  }

  /** Whether a transaction is open, as of the last answer: another user has returned the client during it. */
  get isInTransaction(): boolean {
    return this.status !== 'I';
  }

  /** @param error Why the client can no longer be used. */
  giveBack(error?: Error): void {
    connectionOf(this.client).off('readyForQuery', this.onReady);
    this.client.release(error);
  }
}
