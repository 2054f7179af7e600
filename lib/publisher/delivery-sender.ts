import type { ConnectionSettings } from '../pg-notify.options.js';
import { PgSession } from '../session/pg-session.js';
import type { SessionFacts } from '../session/session-facts.js';
import { NOTIFY } from './pg-publisher.js';

export interface DeliverySenderOptions {
  readonly connection: ConnectionSettings;
  /** Milliseconds. */
  readonly connectTimeout: number;
  /** How long one statement may take, in milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

/** The second connection of a delivery check: a short-lived one, made as the publisher makes its own. */
export class PgDeliverySender {
  private constructor(
    private readonly session: PgSession,
    private readonly timeout: number,
  ) {}

  static async open({ connection, connectTimeout, timeout, signal }: DeliverySenderOptions): Promise<PgDeliverySender> {
    const applicationName = 'nest-pg-notify delivery check';
    return new PgDeliverySender(await PgSession.open(connection, { applicationName, connectTimeout, signal }), timeout);
  }

  get endpoint(): string {
    return this.session.endpoint;
  }

  get announcedPid(): number | undefined {
    return this.session.processId;
  }

  /** Resolves with where it was sent from, when it is committed. */
  async notify(channel: string, payload: string): Promise<SessionFacts> {
    await this.session.query({ text: NOTIFY, values: [channel, payload], timeout: this.timeout });
    return this.session.facts;
  }

  close(): Promise<void> {
    return this.session.close();
  }
}
