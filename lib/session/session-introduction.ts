import type { PgNotifyError } from '../pg-notify.errors.js';
import type { PgSession, PgStatement } from './pg-session.js';
import { ASK_FACTS, askFacts, LIFT_TIMEOUT_WITHIN, presumeFacts, readFacts } from './session-facts.js';
import type { SessionFacts } from './session-facts.js';
import {
  applyEach,
  applyInTransaction,
  applyTogether,
  LIFT_STATEMENT_TIMEOUT,
  listeningSettings,
  sendingSettings,
} from './session-settings.js';

/** The SQLSTATE of a statement that has waited too long for a lock. */
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * How a session and its server get to know each other: the session asks for the server's facts, and applies its
 * settings where they stay its own.
 */
export class SessionIntroduction {
  private known: SessionFacts = readFacts(undefined);
  /** See {@link lockTimeout}. */
  private unkeptLockTimeout: number | undefined;
  /** The lock timeout that is still to be set, if the facts are presumed. */
  private presumedLockTimeout: number | undefined;

  constructor(private readonly session: Pick<PgSession, 'isLost' | 'processId' | 'query'>) {}

  /** The facts that the server reported, or those that are presumed. */
  get facts(): SessionFacts {
    return this.known;
  }

  /** Whether statements run in the backend that was announced at connect. Otherwise there is a pooler. */
  get isDirect(): boolean {
    return this.session.processId === this.known.backendPid;
  }

  /** The lock timeout that each sending statement must set by itself, in milliseconds. */
  get lockTimeout(): number | undefined {
    return this.unkeptLockTimeout;
  }

  /** Whether the facts are presumed: the first statement must be run by {@link withFirst}. */
  get isPresumed(): boolean {
    return this.presumedLockTimeout !== undefined;
  }

  /**
   * Asks for the facts, and applies the settings of a session that sends.
   *
   * @param lockTimeout Undefined for a session that only listens.
   */
  async run(lockTimeout: number | undefined, timeout: number): Promise<void> {
    await this.askFacts(timeout);
    if (lockTimeout === undefined) return;
    // Behind a pooler, settings would affect the next client of the backend.
    if (this.isDirect) await this.applySendingSettings(lockTimeout, timeout);
    else this.keepNoSettings(lockTimeout);
  }

  /** Asks for the facts of a client that is borrowed. Its settings are those of its owner. */
  async runBorrowed(lockTimeout: number | undefined, timeout: number): Promise<void> {
    await this.askFacts(timeout);
    this.keepNoSettings(lockTimeout);
  }

  /** Presumes the facts of an earlier session, and asks and sets nothing until {@link withFirst}. */
  presume(earlier: SessionFacts, lockTimeout: number): void {
    this.known = presumeFacts(earlier, this.session.processId);
    this.presumedLockTimeout = lockTimeout;
  }

  /** See {@link PgSession.queryFirst}. */
  async withFirst({ text, timeout, limit }: Omit<PgStatement, 'values' | 'name'>): Promise<boolean> {
    const lockTimeout = this.presumedLockTimeout!;
    this.presumedLockTimeout = undefined;
    const settings = applyInTransaction(lockTimeout, this.session.processId);
    const together = [LIFT_TIMEOUT_WITHIN, settings, text, ASK_FACTS].join(';\n');
    try {
      const [row] = await this.session.query({ text: together, timeout, ...(limit !== undefined && { limit }) });
      this.known = readFacts(row);
      return true;
    } catch (error) {
      if (this.session.isLost || (error as PgNotifyError).sqlState === LOCK_NOT_AVAILABLE) throw error;
      await this.run(lockTimeout, timeout);
      return false;
    }
  }

  /** Applies the settings of a session that listens, as far as the server has them. */
  async applyListeningSettings(timeout: number): Promise<void> {
    await this.session.query({ text: LIFT_STATEMENT_TIMEOUT, timeout });
    await applyTogether(this.session, this.known, listeningSettings(this.known.encoding), timeout);
  }

  private async askFacts(timeout: number): Promise<void> {
    this.known = await askFacts(async (text) => (await this.session.query({ text, timeout, limit: timeout }))[0]);
  }

  private async applySendingSettings(lockTimeout: number, timeout: number): Promise<void> {
    const settings = sendingSettings(lockTimeout);
    try {
      await applyTogether(this.session, this.known, settings, timeout);
    } catch (error) {
      if (this.session.isLost) throw error;
      await applyEach(this.session, settings, timeout); // One that the platform lacks must not prevent the others.
    }
  }

  private keepNoSettings(lockTimeout: number | undefined): void {
    if (this.known.mayConfigure) this.unkeptLockTimeout = lockTimeout;
  }
}
