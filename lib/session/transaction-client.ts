import type { QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { PgNotifyError } from '../pg-notify.errors.js';

/**
 * Runs statements in a transaction that is begun and ended elsewhere. It has the method `query` of pg's clients.
 */
export interface PgTransactionClient {
  /**
   * Runs one statement. Statements that are not awaited run one after the other, and still belong to the transaction.
   *
   * @throws The error of pg, or PgNotifyError if the transaction is over.
   */
  query<Row extends QueryResultRow = Record<string, unknown>>(
    statement: string | QueryConfig,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>>;
}

/** A statement as pg takes it, with any further properties. */
type ClientStatement = QueryConfig & { readonly callback?: unknown; readonly submit?: unknown };

/** Statements that begin or end a transaction. A rollback to a savepoint is allowed. */
const TRANSACTION_CONTROL =
  /^\s*(?:begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b))\b/i;

/** Runs the statements of a transaction one after the other, until it is closed. */
export class TransactionClient implements PgTransactionClient {
  private closed: PgNotifyError | undefined;
  private last: Promise<unknown> = Promise.resolve();

  /** @param run Runs one statement. It is never called while another one is on its way. */
  constructor(private readonly run: (statement: QueryConfig) => Promise<QueryResult>) {}

  query<Row extends QueryResultRow = Record<string, unknown>>(
    statement: string | QueryConfig,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>> {
    const config: ClientStatement = {
      ...(typeof statement === 'string' ? { text: statement } : statement),
      ...(values !== undefined && { values: values as unknown[] }),
    };
    const refusal = refusalOf(config, values);
    return this.inTurn(() => {
      if (refusal) throw refusal;
      return this.run(config) as Promise<QueryResult<Row>>;
    });
  }

  /** Runs something after all earlier statements, unless the transaction is over by then. */
  inTurn<T>(task: () => Promise<T>): Promise<T> {
    if (this.closed) return handled(Promise.reject(this.closed));
    const answer = this.last.then(() => {
      if (this.closed) throw this.closed;
      return task();
    });
    this.last = answer.catch(() => undefined);
    return handled(answer);
  }

  /** Waits until all statements have run. */
  async drain(): Promise<void> {
    let last;
    do {
      last = this.last;
      await last;
    } while (last !== this.last);
  }

  /** Refuses further statements, and waits for the one on its way. */
  async close(reason: PgNotifyError): Promise<void> {
    this.closed ??= reason;
    await this.last;
  }
}

/** The failure of a statement that its caller does not await must not end the process. */
function handled<T>(answer: Promise<T>): Promise<T> {
  answer.catch(() => undefined);
  return answer;
}

function refusalOf({ text, submit, callback }: Partial<ClientStatement>, values: unknown): PgNotifyError | undefined {
  if ([submit, callback, values].some((given) => typeof given === 'function')) {
    return refused('returns a promise: neither callbacks nor cursors can be used');
  }
  if (typeof text !== 'string') return refused('takes a text, or an object with one');
  if (!TRANSACTION_CONTROL.test(text)) return undefined;
  return refused('runs in a transaction that is begun and ended for the handler: use savepoints instead');
}

function refused(what: string): PgNotifyError {
  return new PgNotifyError('configuration', `The query() of a handler's transaction ${what}.`);
}
