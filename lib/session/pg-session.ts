import type { QueryConfig, QueryResult } from 'pg';
import { ReceivedNotification } from '../channel/pg-notification.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { requireChannelBinding } from './channel-binding.js';
import { connectionFailure, NO_ANSWER_REMEDY } from './connection-failure.js';
import { readSettings } from './connection-settings.js';
import type { ConnectionSettings, PoolSettings } from './connection-settings.js';
import { withDeadline } from '../time/deadline.js';
import { readMessages } from './message-reader.js';
import { watchPassword } from './password-watch.js';
import { createClient, PROCESS_TYPES } from './pg-client.js';
import type { ParameterStatus } from './pg-client.js';
import { PoolLoan } from './pool-loan.js';
import type { PgBorrowOptions } from './pool-loan.js';
import type { SessionFacts } from './session-facts.js';
import { SessionIntroduction } from './session-introduction.js';
import { runTransaction } from './session-transaction.js';
import type { SessionTransaction, TransactionLimits } from './session-transaction.js';
import type { TurnBudget } from '../time/turn-budget.js';
import { OWN_TYPES } from './type-parsers.js';
import { WatchedClient } from './watched-client.js';
import type { AnswerLimits } from './watched-client.js';

export interface PgSessionOptions {
  /** Shown as `application_name` in pg_stat_activity, unless the connection names one. */
  readonly applicationName: string;
  /** The time limit of settings, TCP, TLS and login together, in milliseconds. */
  readonly connectTimeout: number;
  /** Aborts the attempt. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long an answer may take even if other messages are received, in milliseconds. Longer than any real backlog
   * takes.
   *
   * @default 60_000
   */
  readonly answerLimit?: number | undefined;
  /** For a session that sends: how long a statement may wait for a lock, in milliseconds. */
  readonly lockTimeout?: number | undefined;
  /**
   * For a session that sends: the facts of an earlier, direct one of the same connection. They are presumed, and nothing
   * is asked or set, until {@link PgSession.queryFirst}.
   */
  readonly earlier?: SessionFacts | undefined;
  /** Called for each notification while the socket is read. It must not throw. */
  readonly onNotification?: (notification: ReceivedNotification) => void;
  /** The budget that reading is counted against. */
  readonly budget?: TurnBudget | undefined;
  /**
   * Called if the internals of `pg` are not as expected. Notifications then come from its own event, at three times
   * the cost, and a burst cannot wait in the socket.
   */
  readonly onForeignClient?: () => void;
}

export interface PgStatement extends AnswerLimits {
  readonly text: string;
  /** The name under which it stays prepared. Only for a session that {@link PgSession.keepsStatements}. */
  readonly name?: string;
  readonly values?: readonly unknown[];
}

/** The SQLSTATE of a statement in a failed transaction. */
const FAILED_TRANSACTION = '25P02';

/** How long an answer may take even if other messages are received, in milliseconds. */
const ANSWER_LIMIT = 60_000;

/**
 * One physical connection, from connect to loss. When it is lost, everything in it is dead and it is thrown away
 * whole; it is never reused.
 */
export class PgSession {
  private readonly introduction = new SessionIntroduction(this);
  /**
   * Whether transactions are read-only by default, if the server reports it: since PostgreSQL 14, at connect and at
   * changes.
   */
  private toldReadOnly: boolean | undefined;
  private readonly onParameterStatus = ({ parameterName, parameterValue }: ParameterStatus): void => {
    if (parameterName === 'default_transaction_read_only') this.toldReadOnly = parameterValue === 'on';
  };

  private constructor(private readonly client: WatchedClient) {}

  /**
   * Connects. On any failure the socket is destroyed.
   *
   * @throws PgNotifyError of kind `connection` (or `configuration`, for settings that cannot be read), or the signal's
   * reason.
   */
  static async open(connection: ConnectionSettings, options: PgSessionOptions): Promise<PgSession> {
    const started = performance.now();
    const { connectTimeout, signal } = options;
    const late = (what: string, remedy = ''): Error =>
      new PgNotifyError('connection', `${what} within ${connectTimeout} ms.${remedy}`, { permanent: false });
    const given = await withDeadline(readSettings(connection), {
      timeout: connectTimeout,
      signal,
      expired: () => late(`The function in the option ${connection.option} has not returned`),
    });
    const { settings, isAwaited } = watchPassword(given);
    const client = createClient(settings, connection.option, options.applicationName);
    const watched = new WatchedClient(client, options.answerLimit ?? ANSWER_LIMIT);
    const session = new PgSession(watched);
    const { onNotification, budget, onForeignClient } = options;
    const take = (notification: ReceivedNotification): void => {
      if (!watched.isLost) onNotification?.(notification);
    };
    const onUnreadable = (error: Error): void => watched.destroy(error);
    readMessages(watched.connection, { onNotification: take, onUnreadable, budget }, () => {
      client.on('notification', ({ channel, payload = '', processId }) =>
        take(new ReceivedNotification(channel, payload, processId, new Date())),
      );
      onForeignClient?.();
    });
    watched.connection.on('parameterStatus', session.onParameterStatus);
    if (settings.requiresChannelBinding) requireChannelBinding(watched.connection, session);
    try {
      const lost = session.lost.then((error) => Promise.reject(error));
      await withDeadline(Promise.race([session.connect(options), lost]), {
        timeout: Math.max(0, connectTimeout - (performance.now() - started)),
        signal,
        expired: () =>
          isAwaited()
            ? late(`The function in the option ${connection.option}.password has not returned`)
            : late(`${session.endpoint}: no connection`, ` ${NO_ANSWER_REMEDY}`),
      });
    } catch (error) {
      const failure = signal?.aborted ? error : connectionFailure(error, session.endpoint);
      session.destroy(failure);
      throw failure;
    }
    return session;
  }

  /**
   * Borrows a client from a pool, for statements only. {@link close} returns it; a lost client is removed from the
   * pool.
   *
   * @throws PgNotifyError of kind `connection`, or the signal's reason.
   */
  static async borrow(pool: PoolSettings, options: PgBorrowOptions): Promise<PgSession> {
    const started = performance.now();
    const left = (): number => Math.max(0, options.connectTimeout - (performance.now() - started));
    for (;;) {
      const loan = await PoolLoan.take(pool, options, left());
      const session = new PgSession(new WatchedClient(loan.client, ANSWER_LIMIT, loan));
      const failure = await session.introduction.runBorrowed(options.lockTimeout, left()).then(
        () => undefined,
        (error: PgNotifyError) => error,
      );
      if (!failure && !loan.isInTransaction) return session;
      // A statement in a transaction that another user has begun would not be committed. The next client may be usable.
      const message = `${session.endpoint}: the client was given back to the pool in the middle of a transaction.`;
      session.destroy(failure ?? new PgNotifyError('connection', message));
      if (failure && failure.sqlState !== FAILED_TRANSACTION) throw failure;
    }
  }

  private async connect({ connectTimeout, lockTimeout, earlier }: PgSessionOptions): Promise<void> {
    await this.client.connect();
    if (earlier && lockTimeout !== undefined) this.introduction.presume(earlier, lockTimeout);
    else await this.introduction.run(lockTimeout, connectTimeout);
  }

  /** Resolves once, with the reason, when the connection is gone: lost, given up or closed. Never rejects. */
  get lost(): Promise<PgNotifyError> {
    return this.client.lost;
  }

  get isLost(): boolean {
    return this.client.isLost;
  }

  /** `host:port` of the server. */
  get endpoint(): string {
    return this.client.endpoint;
  }

  /** The backend's pid as announced at connect. A pooler announces a pid of its own. */
  get processId(): number | undefined {
    return this.client.processId;
  }

  /** Whether statements run in the backend that was announced at connect. Otherwise there is a pooler. */
  get isDirect(): boolean {
    return this.introduction.isDirect;
  }

  /** The facts that the server reported at connect. */
  get facts(): SessionFacts {
    return this.introduction.facts;
  }

  /**
   * Whether transactions are read-only, as of the server's last answer; undefined if it is not reported, as by old
   * servers, poolers and clients of a pool.
   */
  get isReadOnlyNow(): boolean | undefined {
    return this.isDirect ? this.toldReadOnly : undefined;
  }

  /** Whether prepared statements are kept. They are not behind a pooler, nor for a client of a pool. */
  get keepsStatements(): boolean {
    return this.isDirect && !this.client.loan;
  }

  /** Whether the connection uses TLS. It ends at a pooler, which may go on without TLS. */
  get isEncrypted(): boolean {
    return this.client.isEncrypted;
  }

  /**
   * The lock timeout that each sending statement must set by itself, because the session does not keep settings; in
   * milliseconds.
   */
  get lockTimeout(): number | undefined {
    return this.introduction.lockTimeout;
  }

  /**
   * The backend of a session that was lost during a statement, if it is known: it may still be running the statement.
   */
  get abandonedBackend(): SessionFacts | undefined {
    return this.client.wasLostAsking && this.isDirect ? this.facts : undefined;
  }

  /** Whether another user of the pool waits for the client. */
  get isWanted(): boolean {
    return this.client.loan?.isWanted === true;
  }

  /** When the server's last bytes came in, in milliseconds of `performance.now()`. */
  get lastHeard(): number {
    return this.client.lastHeard.time;
  }

  /** The same by the wall clock. Changes of the clocks cannot make it later. */
  get lastHeardAt(): Date {
    return this.client.lastHeard.toDate();
  }

  /** Whether its facts are presumed, so that its first statement must be run by {@link queryFirst}. */
  get isPresumed(): boolean {
    return this.introduction.isPresumed;
  }

  /**
   * Runs the first statement of a session whose facts are presumed, in one transaction with the settings and the
   * question for the facts. If the server refuses that, nothing was done, and the session is set up as any other.
   *
   * @returns Whether the statement was run.
   * @throws PgNotifyError of kind `connection` as {@link query}, and if the statement has waited too long for a lock.
   */
  queryFirst(statement: Omit<PgStatement, 'values' | 'name'>): Promise<boolean> {
    return this.introduction.withFirst(statement);
  }

  /** Applies the settings of a listening session, as far as the server has them. */
  applySettings(timeout: number): Promise<void> {
    return this.introduction.applyListeningSettings(timeout);
  }

  /**
   * Runs one statement, or several without values, and returns the rows of the last. Callers must not run two at a
   * time.
   *
   * @throws PgNotifyError of kind `connection` if the server refuses it, is silent for too long (the session is then
   * lost), or the session is lost.
   */
  async query(statement: PgStatement): Promise<readonly Record<string, unknown>[]> {
    const { name, text, values } = statement;
    // A borrowed client has the type parsers of its owner.
    const config = { text, values: values as unknown[], types: OWN_TYPES, ...(name && { name }) };
    const answer = await this.client.ask(config, statement).catch((error: unknown) => {
      throw connectionFailure(error, this.endpoint);
    });
    const result = Array.isArray(answer) ? answer.at(-1) : answer;
    return (result?.rows ?? []) as Record<string, unknown>[];
  }

  /**
   * Runs `work` in a transaction: commits if it resolves, rolls back if it rejects. No other statement may run on the
   * session meanwhile. If the outcome of the transaction is unknown, the session is given up.
   *
   * @throws The error of `work`, or the one that prevented the commit.
   */
  transaction(limits: TransactionLimits, work: (transaction: SessionTransaction) => Promise<void>): Promise<void> {
    return runTransaction(
      {
        isLost: () => this.isLost,
        connection: this.client.connection,
        query: (statement) => this.query(statement),
        send: (statement, limit) => this.send(statement, limit),
        destroy: (reason) => this.destroy(reason),
      },
      limits,
      work,
    );
  }

  /** Runs a statement of a user, with the results and errors of pg. */
  private async send({ name, ...statement }: QueryConfig, limit: number): Promise<QueryResult> {
    const types = this.client.loan ? undefined : PROCESS_TYPES;
    const named = this.keepsStatements && name !== undefined ? { name } : undefined;
    return (await this.client.ask({ types, ...statement, ...named }, { timeout: limit, limit })) as QueryResult;
  }

  /**
   * Ends the connection politely, and destroys the socket if that takes too long; or returns the client. Never rejects.
   */
  close(): Promise<void> {
    return this.client.close();
  }

  /** Gives up the session at once. */
  destroy(reason: unknown): void {
    this.client.destroy(reason);
  }
}
