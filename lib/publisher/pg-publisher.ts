import { PgNotifyError } from '../pg-notify.errors.js';
import { withDeadline } from '../session/deadline.js';
import type { PgSession } from '../session/pg-session.js';
import { publishWith } from './pg-executor.js';
import type { PgExecutor } from './pg-executor.js';
import { publishError } from './publish-error.js';

/** The part of a session that publishing needs; tests bring sessions of their own. */
export type PublishingSession = Pick<PgSession, 'isLost' | 'facts' | 'query' | 'close' | 'destroy'>;

export interface PgPublisherOptions {
  readonly openSession: (signal: AbortSignal) => Promise<PublishingSession>;
  /** How long one statement may take, in milliseconds. */
  readonly timeout: number;
  /** How long a session without work is kept, in milliseconds. */
  readonly idleTimeout?: number;
}

interface Message {
  readonly channel: string;
  readonly raw: string;
  readonly resolve: () => void;
  readonly reject: (error: PgNotifyError) => void;
}

/** SQLSTATE of what a standby cannot do: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const READ_ONLY = '25006';

export const NOTIFY = `SELECT pg_catalog.pg_notify($1, $2),
  pg_catalog.current_setting('transaction_read_only') = 'on' AS read_only`;

/**
 * Sends notifications, one statement at a time and in the order of the calls, on a session of its own that is opened
 * when there is something to send and closed when there was nothing for a while.
 */
export class PgPublisher {
  private readonly waiting: Message[] = [];
  private session: PublishingSession | undefined;
  private sending: Promise<void> | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  private readonly givingUp = new AbortController();
  private closed: Promise<void> | undefined;

  constructor(private readonly options: PgPublisherOptions) {}

  /**
   * Sends one notification; resolves when PostgreSQL has committed it, or, with an executor, when it has taken it into the
   * transaction of the caller.
   *
   * @throws PgNotifyError of kind `publish`, whose `outcome` tells whether it may have been sent all the same.
   */
  publish(channel: string, raw: string, executor?: PgExecutor): Promise<void> {
    if (executor !== undefined) return publishWith(executor, channel, raw);
    if (this.closed) {
      return Promise.reject(
        new PgNotifyError(
          'closed',
          `Nothing can be sent to channel ${JSON.stringify(channel)}: the registration has been closed.`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ channel, raw, resolve, reject });
      this.sending ??= this.sendAll();
    });
  }

  /**
   * Sends what is waiting, as far as that is possible within `timeout` milliseconds, then closes the session. Never
   * rejects; repeated calls return the same promise.
   */
  close(timeout: number): Promise<void> {
    return (this.closed ??= this.shutDown(timeout));
  }

  private async sendAll(): Promise<void> {
    clearTimeout(this.idleTimer);
    for (let message = this.waiting.shift(); message; message = this.waiting.shift()) await this.send(message);
    this.sending = undefined;
    if (!this.closed) this.idleTimer = setTimeout(() => this.dropSession(), this.options.idleTimeout ?? 10_000);
  }

  private async send(message: Message, isRepeat = false): Promise<void> {
    const { channel, raw, resolve, reject } = message;
    let session: PublishingSession;
    try {
      session = await this.openSession();
    } catch (error) {
      reject(publishError(channel, error, 'not-sent'));
      this.rejectWaiting(error);
      return;
    }
    try {
      const [row] = await session.query({ text: NOTIFY, values: [channel, raw], timeout: this.options.timeout });
      if (row?.['read_only'] !== true || session.facts.readOnly || isRepeat) return resolve();
    } catch (error) {
      // A server that refuses a statement keeps the session; without an answer nobody knows.
      reject(publishError(channel, error, session.isLost ? 'unknown' : 'not-sent'));
      if (session.isLost) this.rejectWaiting(error);
      // A standby refuses all: by the next call the settings may lead to the primary.
      if (error instanceof PgNotifyError && error.sqlState === READ_ONLY) session.destroy(error);
      return;
    }
    // A primary that was demoted by making it read-only still takes NOTIFY, and its listeners have left: once more,
    // on a session to wherever the settings lead now.
    session.destroy(new PgNotifyError('connection', 'The server has become read-only.'));
    await this.send(message, true);
  }

  private async openSession(): Promise<PublishingSession> {
    if (this.session && !this.session.isLost) return this.session;
    this.session = await this.options.openSession(this.givingUp.signal);
    return this.session;
  }

  /** What waited behind a failed connection would each wait for a time-out of its own. */
  private rejectWaiting(error: unknown): void {
    for (const { channel, reject } of this.waiting.splice(0)) reject(publishError(channel, error, 'not-sent'));
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
