import { quoteLiteral } from '../executor/sql-text.js';
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
   * @param onRefused Called if the server refuses to run the first statement of a session with presumed facts in one
   *   transaction with its settings.
   */
  constructor(
    private readonly session: PgSession,
    private readonly timeout: number,
    private readonly onRefused: () => void = () => undefined,
  ) {}

  get endpoint(): string {
    return this.session.endpoint;
  }

  get announcedPid(): number | undefined {
    return this.session.processId;
  }

  /** When the notification is committed, resolves with the facts of its session. */
  async notify(channel: string, payload: string): Promise<SessionFacts> {
    const answer = this.send(channel, payload);
    this.answered = answer.catch(() => undefined);
    await answer;
    return this.session.facts;
  }

  private async send(channel: string, payload: string): Promise<void> {
    const { session, timeout } = this;
    const limits = { timeout, limit: timeout };
    if (session.isPresumed) {
      const text = `SELECT pg_catalog.pg_notify(${quoteLiteral(channel)}, ${quoteLiteral(payload)})`;
      if (await session.queryFirst({ text, ...limits })) return;
      this.onRefused();
    }
    await session.query({ text: limitingLock(NOTIFY, session.lockTimeout), values: [channel, payload], ...limits });
  }

  /** Waits for the answer first: a pooler drops the server connection of a client that leaves before it. */
  async close(): Promise<void> {
    const expired = (): Error => new Error('no answer');
    await withDeadline(this.answered, { timeout: ANSWER_TIMEOUT, expired }).catch(() => undefined);
    await this.session.close();
  }
}
