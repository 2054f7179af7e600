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

/** The part of a session that publishing needs; tests bring sessions of their own. */
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
  /** Whether one is enough, where several that are equal wait. */
  readonly fold?: boolean | undefined;
}

/** What a standby cannot do, by its SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const READ_ONLY = '25006';
const QUEUE_FULL = '54000';
const LOCK_TIMEOUT = '55P03';

/**
 * PostgreSQL looks whether its queue has been read when somebody sends to it or asks how full it is; when it is full, to
 * send fails before it looks. Measured on 18.4: with all listeners gone it refused until somebody asked.
 */
const ADVANCE_QUEUE = 'SELECT pg_catalog.pg_notification_queue_usage()';

/** SQLSTATEs of a statement that is not prepared any more, or already: there is a pooler in between that nothing told of. */
const FORGOTTEN = ['26000', '42P05'];

/**
 * Sends notifications in the order of the calls, on a session of its own that is opened when there is something to send
 * and closed when there was nothing for a while. One statement is on its way at a time; what is to be sent meanwhile shares
 * the next one.
 */
export class PgPublisher {
  private readonly outbox = new Outbox();
  private session: PublishingSession | undefined;
  private sending: Promise<void> | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  /** Whether prepared statements cannot be relied on, although it looked so. */
  private isForgetful = false;
  private readonly givingUp = new AbortController();
  /** What is sent for many must not run in the async context of the one who called first. */
  private readonly inOwnContext = AsyncLocalStorage.snapshot();
  private closed: Promise<void> | undefined;

  constructor(private readonly options: PgPublisherOptions) {}

  /**
   * Sends one notification; resolves when PostgreSQL has committed it, or, with an executor, when it has taken it into the
   * transaction of the caller.
   *
   * @throws PgNotifyError of kind `publish`, whose `outcome` tells whether it may have been sent all the same.
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
   * Sends several notifications of one channel; resolves with those that were not, or perhaps not, sent, when the fate of
   * all is known. Never rejects.
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
   * Sends what is waiting, as far as that is possible within `timeout` milliseconds, then closes the session. Never
   * rejects; repeated calls return the same promise.
   */
  close(timeout: number): Promise<void> {
    return (this.closed ??= this.shutDown(timeout));
  }

  /** How many calls wait for a statement. */
  get waiting(): number {
    return this.outbox.waiting;
  }

  private async sendAll(): Promise<void> {
    clearTimeout(this.idleTimer);
    await Promise.resolve(); // Callers whom one answer has let go on call again together: let them share a statement.
    while (this.outbox.size > 0) {
      const obstacle = await this.send(this.outbox.takeBatch());
      // What waits behind it would each wait for a time-out of its own.
      if (obstacle) failAll(this.outbox.takeAll(), obstacle, 'not-sent');
      if (this.session?.isWanted) this.dropSession();
    }
    this.sending = undefined;
    if (!this.closed) this.idleTimer = setTimeout(() => this.dropSession(), this.options.idleTimeout);
  }

  /** Resolves with what would keep others from being sent as well, if something does: the connection was lost, say. Never rejects. */
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
    // A primary that was demoted by making it read-only still takes NOTIFY, and its listeners have left: once more,
    // on a session to wherever the settings lead now.
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
    // A server that refuses a statement keeps the session; without an answer nobody knows.
    if (session.isLost) {
      failAll(batch, error, 'unknown');
      return error;
    }
    if (!this.isForgetful && FORGOTTEN.includes(sqlState)) {
      this.isForgetful = true;
      return this.send(batch);
    }
    if (sqlState === QUEUE_FULL && !isRepeat && (await this.emptyQueue(session))) return this.send(batch, true);
    // Class 22, data: one of them holds what the encoding of the database lacks. The others must not fail with it.
    if (batch.length > 1 && sqlState.startsWith('22')) return this.sendInHalves(batch);
    failAll(batch, error, 'not-sent');
    // A standby refuses all: by the next call the settings may lead to the primary.
    if (sqlState === READ_ONLY) session.destroy(error);
    // What waits would each wait as long for the same lock.
    return sqlState === LOCK_TIMEOUT ? error : undefined;
  }

  private async sendInHalves(batch: readonly OutboxMessage[]): Promise<PgNotifyError | undefined> {
    const middle = Math.ceil(batch.length / 2);
    const obstacle = await this.send(batch.slice(0, middle));
    if (!obstacle) return this.send(batch.slice(middle));
    failAll(batch.slice(middle), obstacle, 'not-sent');
    return obstacle;
  }

  /** Lets the server notice that its queue has been read; resolves with whether it could be asked to. */
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
