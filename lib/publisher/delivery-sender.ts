import { withDeadline } from '../time/deadline.js';
import type { PgSession } from '../session/pg-session.js';
import type { SessionFacts } from '../session/session-facts.js';
import { limitingLock, NOTIFY } from './notify-statements.js';

/** How long close() waits for the answer to a pending statement, in milliseconds. */
const ANSWER_TIMEOUT = 200;

/** The second connection of a delivery check. It is short-lived, and opened in the same way as the publisher's. */
export class PgDeliverySender {
  /** Settles when no statement is on its way. */
  private answered: Promise<unknown> = Promise.resolve();

  /**
   * @param session Owned by the sender from now on.
   * @param timeout How long the statement may take, in milliseconds.
   */
  constructor(
    private readonly session: PgSession,
    private readonly timeout: number,
  ) {}

  get endpoint(): string {
    return this.session.endpoint;
  }

  get announcedPid(): number | undefined {
    return this.session.processId;
  }

  /** When the notification is committed, resolves with the facts of its session. */
  async notify(channel: string, payload: string): Promise<SessionFacts> {
    const { session, timeout } = this;
    const text = limitingLock(NOTIFY, session.lockTimeout);
    const answer = session.query({ text, values: [channel, payload], timeout, limit: timeout });
    this.answered = answer.catch(() => undefined);
    await answer;
    return session.facts;
  }

  /** Waits for the answer first: a pooler drops the server connection of a client that leaves before it. */
  async close(): Promise<void> {
    const expired = (): Error => new Error('no answer');
    await withDeadline(this.answered, { timeout: ANSWER_TIMEOUT, expired }).catch(() => undefined);
    await this.session.close();
  }
}
