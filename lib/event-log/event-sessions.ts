import { setMaxListeners } from 'node:events';
import { isPgNotifyError, PgNotifyError } from '../pg-notify.errors.js';
import { sqlStateOf } from './event-log-error.js';
import type { EventRows } from './event-rows.js';
import type { ConnectionSettings, PoolSettings } from '../session/connection-settings.js';
import { PgSession } from '../session/pg-session.js';
import type { PgStatement } from '../session/pg-session.js';
import type { SessionTransaction, TransactionLimits } from '../session/session-transaction.js';

export type { SessionTransaction } from '../session/session-transaction.js';

export interface EventSessionsOptions {
  readonly connection: ConnectionSettings;
  /** If given, clients are borrowed from it, and `connection` is not used. */
  readonly pool?: PoolSettings | undefined;
  /** At least 2: transactions leave one for the statements that renew leases. */
  readonly maxConnections: number;
  /** The limit of a connection attempt, and of the wait for a free session, in milliseconds. */
  readonly connectTimeout: number;
  readonly applicationName: string;
  /** The lease of a shard, in milliseconds. The server ends a transaction that is idle for so long. */
  readonly lease: number;
  /** The time limit of a handler's statement, in milliseconds. */
  readonly statementLimit: number;
  /**
   * How long an unused connection stays open, in milliseconds.
   *
   * @default 10_000
   */
  readonly idleTimeout?: number;
}

/** A statement of the event log. The name is ignored on sessions that do not keep prepared statements. */
export interface EventStatement extends Pick<PgStatement, 'text' | 'name' | 'values' | 'timeout' | 'limit'> {
  /** Converts the error of the statement for the caller. It does not get errors of connecting. */
  readonly explain?: (error: unknown) => unknown;
}

const IDLE_TIMEOUT = 10_000;

/** SQLSTATEs of a prepared statement that does not exist, or exists already: an unrecognized pooler switches connections. */
const FORGOTTEN = ['26000', '42P05'];

/** The share of a statement's time limit that it may wait for locks, so that the server ends it before this side gives up. */
const LOCK_SHARE = 0.9;

/** In milliseconds. */
const LEAST_TIMEOUT = 5_000;

/** The time limit of a short statement, in milliseconds. After a lease, its result would no longer be valid. */
export function statementTimeout(lease: number): number {
  return Math.max(LEAST_TIMEOUT, lease);
}

/** A statement or a transaction that waits for a session. */
interface Waiting {
  readonly forTransaction: boolean;
  readonly take: () => void;
}

/**
 * A small pool of sessions, opened on demand and closed when idle. Statements and transactions get a session in the order of
 * their calls, except that transactions leave at least one for statements: otherwise no lease could be renewed.
 */
export class EventSessions {
  private readonly idle = new Map<PgSession, NodeJS.Timeout>();
  private readonly used = new Set<PgSession>();
  private readonly waiting: Waiting[] = [];
  /** How many sessions are in use or being opened. */
  private busy = 0;
  private inTransactions = 0;
  /** Whether a prepared statement was lost: none is used after that. */
  private isForgetful = false;
  private readonly closing = new AbortController();

  constructor(private readonly options: EventSessionsOptions) {
    setMaxListeners(0, this.closing.signal); // Each waiting caller adds a listener.
  }

  /** Runs one statement on any session. @throws PgNotifyError of kind `connection` or `closed`. */
  ask({ name, explain, ...statement }: EventStatement): Promise<EventRows> {
    return this.use(false, async (session) => {
      try {
        return await this.run(session, name, statement);
      } catch (error) {
        throw explain ? explain(error) : error;
      }
    });
  }

  /**
   * Runs `work` in one READ COMMITTED transaction, which the server ends if it is idle for a lease.
   *
   * @throws the error of `work`, a PgNotifyError, or pg's error of COMMIT. Then nothing was committed, unless the connection was
   * lost during COMMIT.
   */
  transaction(work: (transaction: SessionTransaction) => Promise<void>): Promise<void> {
    const { lease, statementLimit } = this.options;
    const limits: TransactionLimits = { idleTimeout: lease, timeout: statementTimeout(lease), statementLimit };
    return this.use(true, (session) => session.transaction(limits, work));
  }

  /** Closes idle sessions, destroys those in use, and rejects waiting calls. Never rejects. */
  async close(): Promise<void> {
    const closed = new PgNotifyError('closed', 'The event log has been closed.');
    this.closing.abort(closed);
    for (const session of this.used) session.destroy(closed);
    const idle = [...this.idle.keys()];
    await Promise.all(idle.map((session) => this.drop(session)));
  }

  private async run(
    session: PgSession,
    name: string | undefined,
    statement: Omit<EventStatement, 'name' | 'explain'>,
  ): Promise<EventRows> {
    if (name === undefined || this.isForgetful || !session.keepsStatements) return session.query(statement);
    try {
      return await session.query({ name, ...statement });
    } catch (error) {
      if (!FORGOTTEN.includes(sqlStateOf(error) ?? '')) throw error;
      this.isForgetful = true;
      return session.query(statement); // The first attempt did not run.
    }
  }

  private async use<T>(forTransaction: boolean, work: (session: PgSession) => Promise<T>): Promise<T> {
    await this.waitForTurn(forTransaction);
    let session: PgSession | undefined;
    try {
      session = await this.open().catch(asNotSent);
      return await work(session);
    } finally {
      if (session) this.putBack(session);
      this.busy -= 1;
      if (forTransaction) this.inTransactions -= 1;
      this.admitWaiting();
    }
  }

  /** Resolves when the caller may use a session; it is counted in `busy` then. */
  private async waitForTurn(forTransaction: boolean): Promise<void> {
    this.closing.signal.throwIfAborted();
    const { signal } = this.closing;
    const { connectTimeout, maxConnections } = this.options;
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const leave = (reason: unknown): void => {
        end();
        this.waiting.splice(this.waiting.indexOf(waiting), 1);
        reject(reason);
      };
      const onAbort = (): void => leave(signal.reason);
      const timer = setTimeout(() => leave(noFreeConnection(connectTimeout, maxConnections)), connectTimeout);
      const waiting: Waiting = {
        forTransaction,
        take: () => {
          end();
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(waiting);
      this.admitWaiting();
    });
  }

  private admitWaiting(): void {
    for (;;) {
      const next = this.waiting.findIndex(({ forTransaction }) => this.hasRoom(forTransaction));
      if (next === -1) return;
      const [waiting] = this.waiting.splice(next, 1) as [Waiting];
      this.busy += 1;
      if (waiting.forTransaction) this.inTransactions += 1;
      waiting.take();
    }
  }

  private hasRoom(forTransaction: boolean): boolean {
    const { maxConnections } = this.options;
    return this.busy < maxConnections && (!forTransaction || this.inTransactions < maxConnections - 1);
  }

  private async open(): Promise<PgSession> {
    const session = this.takeIdle() ?? (await this.connect());
    this.used.add(session);
    if (!this.closing.signal.aborted) return session;
    session.destroy(this.closing.signal.reason);
    this.putBack(session);
    throw this.closing.signal.reason;
  }

  private takeIdle(): PgSession | undefined {
    // The most recently used one, so that the others reach their idle timeout.
    const session = [...this.idle.keys()].at(-1);
    if (!session) return undefined;
    clearTimeout(this.idle.get(session));
    this.idle.delete(session);
    return session;
  }

  private async connect(): Promise<PgSession> {
    const { connection, pool, connectTimeout, applicationName, lease } = this.options;
    const { signal } = this.closing;
    const lockTimeout = Math.floor(LOCK_SHARE * statementTimeout(lease));
    if (pool) return PgSession.borrow(pool, { connectTimeout, lockTimeout, signal });
    const session = await PgSession.open(connection, { applicationName, connectTimeout, lockTimeout, signal });
    void session.lost.then(() => this.forget(session));
    return session;
  }

  private putBack(session: PgSession): void {
    this.used.delete(session);
    if (session.isLost) return;
    if (this.options.pool) return void session.close(); // The pool's other users may be waiting for the client.
    const timer = setTimeout(() => void this.drop(session), this.options.idleTimeout ?? IDLE_TIMEOUT);
    this.idle.set(session, timer);
  }

  private forget(session: PgSession): void {
    clearTimeout(this.idle.get(session));
    this.idle.delete(session);
  }

  private async drop(session: PgSession): Promise<void> {
    this.forget(session);
    await session.close(); // Never rejects.
  }
}

function noFreeConnection(timeout: number, max: number): PgNotifyError {
  return new PgNotifyError(
    'connection',
    `The event log: none of its ${max} connections was free within ${timeout} ms. Transactional handlers keep one each while they run: make them shorter, or raise the option maxConnections.`,
    { permanent: false, outcome: 'not-sent' },
  );
}

/** Nothing is sent without a session, so a publisher can retry without risking a repeat. */
function asNotSent(error: unknown): never {
  throw isPgNotifyError(error) ? Object.assign(error, { outcome: 'not-sent' as const }) : error;
}
