import type { PgSession } from '../session/pg-session.js';
import type { SessionFacts } from '../session/session-facts.js';
import { PgDeliverySender } from './delivery-sender.js';
import type { SendingSessionRequest } from './sending-sessions.js';

/**
 * Opens the second connections of a registration's delivery checks. A check that only repeats a successful one costs one
 * transaction on its connection, not three: the facts of the earlier session are presumed until the answer.
 */
export class DeliverySenders {
  private earlier: SessionFacts | undefined;
  private takesAllTogether = true;

  /** @param timeout How long a statement may take, in milliseconds. */
  constructor(
    private readonly openSession: (request: SendingSessionRequest) => Promise<PgSession>,
    private readonly timeout: number,
  ) {}

  /** @param isRepeated Whether the last notification of a check has arrived on the same listening session. */
  async open(signal: AbortSignal, isRepeated: boolean): Promise<PgDeliverySender> {
    const { timeout, earlier } = this;
    const presumed = isRepeated && this.takesAllTogether ? earlier : undefined;
    const applicationName = 'nest-pg-notify delivery check';
    const session = await this.openSession({ applicationName, timeout, signal, earlier: presumed });
    // Behind a pooler, or with a role that may not change settings, there is nothing to presume.
    if (!session.isPresumed) {
      this.earlier = session.keepsStatements && session.facts.mayConfigure ? session.facts : undefined;
    }
    return new PgDeliverySender(session, timeout, () => (this.takesAllTogether = false));
  }
}
