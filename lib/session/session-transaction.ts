import type { QueryConfig, QueryResult } from 'pg';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { ClientConnection } from './pg-client.js';
import type { PgStatement } from './pg-session.js';
import { TransactionClient } from './transaction-client.js';
import type { PgTransactionClient } from './transaction-client.js';

/** The time limits of a transaction, in milliseconds. */
export interface TransactionLimits {
  /** How long it may wait for the next statement. Then the server rolls back, and ends the session. */
  readonly idleTimeout: number;
  /** How long the server may be silent after a statement of our own. */
  readonly timeout: number;
  /** How long a statement of {@link SessionTransaction.client} may take. */
  readonly statementLimit: number;
}

/** The part of a session that a transaction needs. */
export interface TransactionSession {
  isLost(): boolean;
  readonly connection: ClientConnection;
  query(statement: PgStatement): Promise<readonly Record<string, unknown>[]>;
  /** Runs a statement of a user, with the results and errors of pg. */
  send(statement: QueryConfig, limit: number): Promise<QueryResult>;
  destroy(reason: unknown): void;
}

/** A transaction under way. */
export interface SessionTransaction {
  /** For code that expects a client of pg. */
  readonly client: PgTransactionClient;
  /** Runs our own statement after all earlier statements of the client. */
  query(statement: PgStatement): Promise<readonly Record<string, unknown>[]>;
  /** Gives up the transaction and its session at once. Pending statements reject, and the server rolls back. */
  abandon(reason: unknown): void;
}

/** The SQLSTATEs of statements that fail because the transaction has failed or ended before. */
const IN_FAILED_TRANSACTION = '25P02';
const NO_TRANSACTION = '25P01';

/** The transaction status in each answer: `I` outside of a transaction, `T` in one, `E` in a failed one. */
type Status = 'I' | 'T' | 'E';

/**
 * Runs `work` in a transaction of the session: commits if it resolves; rolls back and rejects with its reason if it
 * rejects. It rejects whenever the transaction was not committed, even if `work` has caught the failure of a statement.
 */
export async function runTransaction(
  session: TransactionSession,
  limits: TransactionLimits,
  work: (transaction: SessionTransaction) => Promise<void>,
): Promise<void> {
  let status: Status = 'I';
  const onReady = (message: { readonly status: Status }): void => void (status = message.status);
  session.connection.on('readyForQuery', onReady);
  const transaction = new Transaction(session, limits, () => status);
  try {
    await transaction.run(work);
  } finally {
    session.connection.off('readyForQuery', onReady);
  }
}

class Transaction implements SessionTransaction {
  readonly client = new TransactionClient((statement) => {
    this.refuseIfEnded();
    return this.session.send(statement, this.limits.statementLimit);
  });

  constructor(
    private readonly session: TransactionSession,
    private readonly limits: TransactionLimits,
    private readonly status: () => Status,
  ) {}

  query(statement: PgStatement): Promise<readonly Record<string, unknown>[]> {
    return this.client.inTurn(() => {
      this.refuseIfEnded();
      return this.session.query(statement);
    });
  }

  abandon(reason: unknown): void {
    this.session.destroy(reason);
  }

  async run(work: (transaction: SessionTransaction) => Promise<void>): Promise<void> {
    try {
      await this.session.query({ text: begin(this.limits), timeout: this.limits.timeout });
      await work(this);
      await this.client.drain();
      await this.client.close(over());
      await this.commit();
    } catch (error) {
      await this.client.close(over());
      await this.rollBack();
      throw error;
    }
  }

  /** COMMIT of a failed transaction succeeds as well, but rolls back. */
  private async commit(): Promise<void> {
    this.refuseIfEnded();
    const { command } = await this.session.send({ text: 'COMMIT' }, this.limits.timeout);
    if (command === 'COMMIT') return;
    throw new PgNotifyError(
      'connection',
      'The transaction was rolled back: one of its statements has failed, and that failure was caught or not awaited. Let it reject, or run what may fail in a savepoint.',
      { permanent: false, sqlState: IN_FAILED_TRANSACTION },
    );
  }

  /** If it fails, the session is given up. */
  private async rollBack(): Promise<void> {
    if (this.session.isLost() || this.status() === 'I') return;
    try {
      await this.session.query({ text: 'ROLLBACK', timeout: this.limits.timeout });
    } catch (error) {
      this.session.destroy(error);
    }
  }

  /** Prevents statements after the transaction's end, because they would take effect by themselves. */
  private refuseIfEnded(): void {
    if (this.session.isLost() || this.status() !== 'I') return;
    throw new PgNotifyError(
      'configuration',
      'A statement has ended the transaction that it ran in. A handler must leave BEGIN, COMMIT and ROLLBACK out, also in procedures: its transaction is begun and ended for it.',
      { sqlState: NO_TRANSACTION },
    );
  }
}

/**
 * Independent of the defaults of the role and the database, and without the session's own lock timeout.
 */
function begin({ idleTimeout }: TransactionLimits): string {
  return `BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE;
SET LOCAL idle_in_transaction_session_timeout = ${Math.ceil(idleTimeout)};
SET LOCAL lock_timeout TO DEFAULT`;
}

function over(): PgNotifyError {
  const message = 'The transaction of the handler is over. Await every statement before the handler resolves.';
  return new PgNotifyError('closed', message);
}
