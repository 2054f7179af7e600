import { withDeadline } from '../time/deadline.js';
import type { PgSession } from '../session/pg-session.js';
import type { SessionFacts } from '../session/session-facts.js';
import { limitingLock, NOTIFY } from './notify-statements.js';

/** How long the goodbye waits for the answer to a statement that is on its way, in milliseconds. */
const ANSWER_TIMEOUT = 200;

/** The second connection of a delivery check: a short-lived one, made as the publisher makes its own. */
export class PgDeliverySender {
  /** Settles when no statement is on its way. */
  private answered: Promise<unknown> = Promise.resolve();

  /**
   * @param session Its own from now on.
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

  /** Resolves with where it was sent from, when it is committed. */
  async notify(channel: string, payload: string): Promise<SessionFacts> {
    const { session, timeout } = this;
    const text = limitingLock(NOTIFY, session.lockTimeout);
    const answer = session.query({ text, values: [channel, payload], timeout, limit: timeout });
    this.answered = answer.catch(() => undefined);
    await answer;
    return session.facts;
  }

  /** A pooler gives up the server connection of a client that leaves before its statement is answered: that takes its time. */
  async close(): Promise<void> {
    const expired = (): Error => new Error('no answer');
    await withDeadline(this.answered, { timeout: ANSWER_TIMEOUT, expired }).catch(() => undefined);
    await this.session.close();
  }
}
