import { setMaxListeners } from 'node:events';
import { isPgNotifyError, PgNotifyError } from '../pg-notify.errors.js';
import { sqlStateOf } from './event-failure.js';
import type { ConnectionSettings, PoolSettings } from '../session/connection-settings.js';
import { PgSession } from '../session/pg-session.js';
import type { PgStatement } from '../session/pg-session.js';
import type { SessionTransaction, TransactionLimits } from '../session/session-transaction.js';

export type { SessionTransaction } from '../session/session-transaction.js';

export interface EventSessionsOptions {
  readonly connection: ConnectionSettings;
  /** Clients are borrowed from here, if it is given, and not connected. */
  readonly pool?: PoolSettings | undefined;
  /** At least 2: transactions leave one to the statements that renew leases. */
  readonly maxConnections: number;
  /** Bounds a connection attempt, and the wait for a session that is free; milliseconds. */
  readonly connectTimeout: number;
  readonly applicationName: string;
  /** How long a transaction may wait for its next statement, in milliseconds: as long as the owner of a shard is sure of it. */
  readonly lease: number;
  /** How long a statement of a handler may take, in milliseconds. */
  readonly statementLimit: number;
  /**
   * How long a session of its own is kept without work, in milliseconds.
   *
   * @default 10_000
   */
  readonly idleTimeout?: number;
}

/** A statement of the event log; the name is used only where statements stay prepared. */
export interface EventStatement extends Pick<PgStatement, 'text' | 'name' | 'values' | 'timeout' | 'limit'> {
  /** Makes of what the server has refused the statement with what the caller is told; failures to connect are left as they are. */
  readonly explain?: (error: unknown) => unknown;
}

export type EventRows = readonly Readonly<Record<string, unknown>>[];

const IDLE_TIMEOUT = 10_000;

/** SQLSTATEs of a statement that is not prepared any more, or already: there is a pooler in between that nothing gave away. */
const FORGOTTEN = ['26000', '42P05'];

/** The part of a statement's time that it may wait for locks: the server has to end it before it is given up here. */
const LOCK_SHARE = 0.9;

/** The shortest time that a statement of the log may take, in milliseconds. */
const LEAST_TIMEOUT = 5_000;

/** How long a short statement may take, in milliseconds: after a lease, its answer says nothing any more. */
export function statementTimeout(lease: number): number {
  return Math.max(LEAST_TIMEOUT, lease);
}

/** A statement or a transaction that waits for a session. */
interface Waiting {
  readonly forTransaction: boolean;
  readonly take: () => void;
}

/**
 * The few sessions that the event log works with, opened when there is work and closed when there was none for a while.
 * Statements and transactions get one in the order of their calls, except that transactions leave at least one to the
 * statements: with all of them in transactions, no lease could be renewed.
 */
export class EventSessions {
  private readonly idle = new Map<PgSession, NodeJS.Timeout>();
  private readonly used = new Set<PgSession>();
  private readonly waiting: Waiting[] = [];
  /** How many are used, or being opened. */
  private busy = 0;
  private inTransactions = 0;
  /** Whether prepared statements cannot be relied on, although it looked so. */
  private isForgetful = false;
  private readonly closing = new AbortController();

  constructor(private readonly options: EventSessionsOptions) {
    setMaxListeners(0, this.closing.signal); // Each of those that wait for a session listens.
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
   * Runs `work` in one transaction: READ COMMITTED, and ended by the server when it is left idle for a lease.
   *
   * @throws what `work` throws, or a PgNotifyError, or pg's error of COMMIT: then nothing was committed, unless the connection
   * was lost during COMMIT.
   */
  transaction(work: (transaction: SessionTransaction) => Promise<void>): Promise<void> {
    const { lease, statementLimit } = this.options;
    const limits: TransactionLimits = { idleTimeout: lease, timeout: statementTimeout(lease), statementLimit };
    return this.use(true, (session) => session.transaction(limits, work));
  }

  /** Closes the sessions; those in use are given up, and whoever waits is refused. Never rejects. */
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
      return session.query(statement); // It was not run.
    }
  }

  private async use<T>(forTransaction: boolean, work: (session: PgSession) => Promise<T>): Promise<T> {
    await this.untilFree(forTransaction);
    let session: PgSession | undefined;
    try {
      session = await this.open().catch(asNotSent);
      return await work(session);
    } finally {
      if (session) this.putBack(session);
      this.busy -= 1;
      if (forTransaction) this.inTransactions -= 1;
      this.letNextIn();
    }
  }

  /** Resolves when the caller is counted as one of those who have a session. */
  private async untilFree(forTransaction: boolean): Promise<void> {
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
      const timer = setTimeout(() => leave(noneFree(connectTimeout, maxConnections)), connectTimeout);
      const waiting: Waiting = {
        forTransaction,
        take: () => {
          end();
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(waiting);
      this.letNextIn();
    });
  }

  private letNextIn(): void {
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
    // The last one used, so that those that are not needed grow old.
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
    if (this.options.pool) return void session.close(); // Others may wait for it, and nothing would tell.
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

function noneFree(timeout: number, max: number): PgNotifyError {
  return new PgNotifyError(
    'connection',
    `The event log: none of its ${max} connections was free within ${timeout} ms. Transactional handlers keep one each while they run: make them shorter, or raise the option maxConnections.`,
    { permanent: false, outcome: 'not-sent' },
  );
}

/** Without a session nothing was sent: whoever publishes may try again without fear of a repeat. */
function asNotSent(error: unknown): never {
  throw isPgNotifyError(error) ? Object.assign(error, { outcome: 'not-sent' as const }) : error;
}
