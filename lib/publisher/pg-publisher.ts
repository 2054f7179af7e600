import { AsyncLocalStorage } from 'node:async_hooks';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { withDeadline } from '../time/deadline.js';
import type { PgSession } from '../session/pg-session.js';
import { statementFor } from './notify-statements.js';
import { Outbox, rejectAll, resolveAll } from './outbox.js';
import type { OutboxMessage } from './outbox.js';
import { SendingGroup } from './sending-group.js';
import type { FailedNotification } from './sending-group.js';
import { publishManyWith, publishWith } from './transactional-publish.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import { closedError, publishError } from './publish-error.js';

/** The part of a session that publishing needs. Tests use other implementations. */
export type PublishingSession = Pick<
  PgSession,
  'isLost' | 'isWanted' | 'facts' | 'isReadOnlyNow' | 'keepsStatements' | 'lockTimeout' | 'query' | 'close' | 'destroy'
>;

export interface PgPublisherOptions {
  readonly openSession: (signal: AbortSignal) => Promise<PublishingSession>;
  /** How long one statement may take, in milliseconds. */
  readonly timeout: number;
  /** How long a session without work is kept, in milliseconds. */
  readonly idleTimeout: number;
}

export interface PublishOptions {
  /** Runs the statement inside the caller's own transaction. */
  readonly executor?: PgExecutor | undefined;
  /** Whether equal notifications that wait become one. */
  readonly fold?: boolean | undefined;
}

/**
 * The SQLSTATE of a statement that a standby refuses: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const READ_ONLY = '25006';
const QUEUE_FULL = '54000';
const LOCK_TIMEOUT = '55P03';

/**
 * PostgreSQL checks whether its queue has been read when a client sends or asks for the usage. With a full queue
 * sending fails before that check: on 18.4, with all listeners gone, it failed until somebody asked for the usage.
 */
const ADVANCE_QUEUE = 'SELECT pg_catalog.pg_notification_queue_usage()';

/** SQLSTATEs of a statement that is no longer prepared, or already prepared: there is an undetected pooler. */
const FORGOTTEN = ['26000', '42P05'];

/**
 * Sends notifications in the order of the calls, on its own session, which is opened at the first call and closed after
 * an idle time. One statement is on its way at a time, and calls that are made meanwhile share the next one.
 */
export class PgPublisher {
  private readonly outbox = new Outbox();
  private session: PublishingSession | undefined;
  private sending: Promise<void> | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  /** Whether prepared statements have turned out to be unreliable. */
  private isForgetful = false;
  private readonly givingUp = new AbortController();
  /** A statement serves many callers, so it must not run in the async context of the first one. */
  private readonly inOwnContext = AsyncLocalStorage.snapshot();
  private closed: Promise<void> | undefined;

  constructor(private readonly options: PgPublisherOptions) {}

  /**
   * Sends one notification. Resolves when PostgreSQL has committed it or, with an executor, when it is part of the
   * caller's transaction.
   *
   * @throws PgNotifyError of kind `publish`, whose `outcome` shows whether it may have been sent nevertheless.
   */
  publish(channel: string, raw: string, { executor, fold = false }: PublishOptions = {}): Promise<void> {
    if (executor !== undefined) return publishWith(executor, channel, raw);
    if (this.closed) return Promise.reject(closedError(channel));
    return new Promise((resolve, reject) => {
      this.outbox.push({ channel, raw, fold }, { resolve: () => resolve(), reject });
      this.sending ??= this.inOwnContext(() => this.sendAll());
    });
  }

  /**
   * Sends several notifications of one channel. When all outcomes are known, resolves with the notifications that were
   * not, or perhaps not, sent. Never rejects.
   */
  publishMany(
    channel: string,
    raws: readonly string[],
    { executor, fold = false }: PublishOptions = {},
  ): Promise<readonly FailedNotification[]> {
    if (executor !== undefined) return publishManyWith(executor, channel, raws);
    if (this.closed) return Promise.resolve(raws.map((_, index) => ({ index, error: closedError(channel) })));
    const group = new SendingGroup(raws.length);
    raws.forEach((raw, index) => this.outbox.push({ channel, raw, fold }, group, index));
    this.sending ??= this.inOwnContext(() => this.sendAll());
    return group.settled;
  }

  /**
   * Sends the waiting notifications as far as that is possible within `timeout` milliseconds, then closes the session.
   * Never rejects; repeated calls return the same promise.
   */
  close(timeout: number): Promise<void> {
    return (this.closed ??= this.shutDown(timeout));
  }

  /** The number of calls that wait for a statement. */
  get waiting(): number {
    return this.outbox.waiting;
  }

  private async sendAll(): Promise<void> {
    clearTimeout(this.idleTimer);
    await Promise.resolve(); // Callers that one answer has resolved may call again together, and should share a statement.
    while (this.outbox.size > 0) {
      const obstacle = await this.send(this.outbox.takeBatch());
      // Otherwise each waiting notification would wait for its own timeout.
      if (obstacle) failAll(this.outbox.takeAll(), obstacle, 'not-sent');
      if (this.session?.isWanted) this.dropSession();
    }
    this.sending = undefined;
    if (!this.closed) this.idleTimer = setTimeout(() => this.dropSession(), this.options.idleTimeout);
  }

  /**
   * Resolves with the error that keeps other notifications from being sent as well, such as a lost connection. Never
   * rejects.
   */
  private async send(batch: readonly OutboxMessage[], isRepeat = false): Promise<PgNotifyError | undefined> {
    let session: PublishingSession;
    try {
      session = await this.openSession();
    } catch (error) {
      failAll(batch, error, 'not-sent');
      return asError(error);
    }
    try {
      const { isReadOnlyNow, lockTimeout } = session;
      const keepsStatements = session.keepsStatements && !this.isForgetful;
      const statement = statementFor(batch, { isReadOnlyNow, keepsStatements, lockTimeout });
      const { timeout } = this.options;
      const [row] = await session.query({ ...statement, timeout, limit: timeout });
      const isReadOnly = session.isReadOnlyNow ?? row?.['read_only'] === true;
      if (!isReadOnly || session.facts.readOnly || isRepeat) {
        resolveAll(batch);
        return undefined;
      }
    } catch (error) {
      return this.handleFailure(batch, session, asError(error), isRepeat);
    }
    // A primary that was demoted by making it read-only still accepts NOTIFY, but its listeners have left. It is sent once
    // more, on a session to the server that the settings lead to now.
    session.destroy(new PgNotifyError('connection', 'The server has become read-only.'));
    return this.send(batch, true);
  }

  private async handleFailure(
    batch: readonly OutboxMessage[],
    session: PublishingSession,
    error: PgNotifyError,
    isRepeat: boolean,
  ): Promise<PgNotifyError | undefined> {
    const { sqlState = '' } = error;
    // A server that refuses a statement keeps the session. Without an answer the outcome is unknown.
    if (session.isLost) {
      failAll(batch, error, 'unknown');
      return error;
    }
    if (!this.isForgetful && FORGOTTEN.includes(sqlState)) {
      this.isForgetful = true;
      return this.send(batch);
    }
    if (sqlState === QUEUE_FULL && !isRepeat && (await this.emptyQueue(session))) return this.send(batch, true);
    // Class 22, data: one payload has a character that the database's encoding lacks. The others must not fail with it.
    if (batch.length > 1 && sqlState.startsWith('22')) return this.sendInHalves(batch);
    failAll(batch, error, 'not-sent');
    // A standby refuses all. At the next call the settings may lead to the primary.
    if (sqlState === READ_ONLY) session.destroy(error);
    // Otherwise each waiting notification would wait as long for the same lock.
    return sqlState === LOCK_TIMEOUT ? error : undefined;
  }

  private async sendInHalves(batch: readonly OutboxMessage[]): Promise<PgNotifyError | undefined> {
    const middle = Math.ceil(batch.length / 2);
    const obstacle = await this.send(batch.slice(0, middle));
    if (!obstacle) return this.send(batch.slice(middle));
    failAll(batch.slice(middle), obstacle, 'not-sent');
    return obstacle;
  }

  /** Makes the server notice that its queue has been read. Resolves with whether the question has succeeded. */
  private emptyQueue(session: PublishingSession): Promise<boolean> {
    const { timeout } = this.options;
    return session.query({ text: ADVANCE_QUEUE, timeout, limit: timeout }).then(
      () => true,
      () => false,
    );
  }

  private async openSession(): Promise<PublishingSession> {
    if (this.session && !this.session.isLost) return this.session;
    this.session = await this.options.openSession(this.givingUp.signal);
    this.isForgetful = false;
    return this.session;
  }

  private dropSession(): void {
    void this.session?.close(); // Never rejects.
    this.session = undefined;
  }

  private async shutDown(timeout: number): Promise<void> {
    const expired = (): PgNotifyError =>
      new PgNotifyError('closed', `The registration was closed, and sending took longer than ${timeout} ms.`);
    await withDeadline(this.sending ?? Promise.resolve(), { timeout, expired }).catch((error: unknown) => {
      this.givingUp.abort(error);
      this.session?.destroy(error);
    });
    await this.sending;
    clearTimeout(this.idleTimer);
    await this.session?.close();
  }
}

function asError(error: unknown): PgNotifyError {
  return error instanceof PgNotifyError ? error : new PgNotifyError('connection', messageOf(error), { cause: error });
}

function failAll(messages: readonly OutboxMessage[], error: unknown, outcome: 'not-sent' | 'unknown'): void {
  rejectAll(messages, (channel) => publishError(channel, error, outcome));
}
