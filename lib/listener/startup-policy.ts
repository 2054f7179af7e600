import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyStartupOptions } from '../pg-notify.options.js';
import type { Clock } from '../time/clock.js';

/**
 * Decides how long the start of an application waits for PostgreSQL, and which failures end it. One timeout covers all
 * waits of the start.
 */
export class StartupPolicy {
  private readonly verdict: Promise<never>;
  private reject: (error: PgNotifyError) => void = () => undefined;
  /** The remaining time of the start. The time that other modules need in between does not count. */
  private remaining: number;
  /** The number of waits under way; zero before the start and after it. */
  private waits = 0;
  private lastFailure: PgNotifyError | undefined;
  /** The time was over while only the verdict on delivery was missing. It is not waited for again. */
  private goesOnUnverified = false;

  constructor(
    private readonly options: Required<PgNotifyStartupOptions>,
    private readonly clock: Clock,
  ) {
    this.remaining = options.timeout;
    this.verdict = new Promise((_, reject) => (this.reject = reject));
    this.verdict.catch(() => undefined); // After the start the verdict is not waited for.
  }

  /** Whether a start is waiting. */
  get isUnderWay(): boolean {
    return this.waits > 0;
  }

  /** To be called for each failed attempt and each loss. Returns whether that ends a start under way. */
  failed(error: PgNotifyError): boolean {
    this.lastFailure = error;
    const { mode } = this.options;
    const final = this.waits > 0 && (mode === 'fail' || (mode === 'wait' && error.permanent === true));
    if (final) this.reject(error);
    return final;
  }

  /**
   * Waits for `listening`, and then for `verified`, as long as the policy allows.
   *
   * @param isDoubtful Whether the start fails if `verified` takes too long; if there is no reason to doubt, it
   * succeeds.
   * @throws PgNotifyError with the reason why the application cannot start, and the remedy.
   */
  async wait(listening: Promise<void>, verified: Promise<void>, isDoubtful: () => boolean): Promise<void> {
    if (this.options.mode === 'background') {
      listening.catch(() => undefined); // It rejects if the application is closed first.
      return;
    }
    const begun = this.clock.now();
    this.waits += 1;
    const over = new AbortController();
    let listeningAt: number | undefined;
    const all = async (): Promise<void> => {
      await listening;
      listeningAt = this.clock.now();
      if (!this.goesOnUnverified) await verified;
    };
    const expired = async (): Promise<void> => {
      await this.clock.sleep(Math.max(0, this.remaining), over.signal);
      if (listeningAt === undefined) throw this.timedOut();
      if (isDoubtful()) throw this.unverified();
      this.goesOnUnverified = true;
    };
    try {
      await Promise.race([all(), this.verdict, expired()]);
    } finally {
      over.abort();
      this.waits -= 1;
      // Time that the check has used up must not be taken from the LISTENs that follow.
      this.remaining -= (this.goesOnUnverified ? (listeningAt ?? this.clock.now()) : this.clock.now()) - begun;
    }
  }

  private unverified(): PgNotifyError {
    const { timeout } = this.options;
    return new PgNotifyError(
      'connection',
      `Listening, but no notification has arrived within the startup timeout of ${timeout} ms, and the delivery check was not over: ` +
        `is there a pooler in transaction mode? Raise startup.timeout to see the cause, or set ` +
        `deliveryCheck.onStartFailure to 'warn' to start anyway.`,
    );
  }

  private timedOut(): PgNotifyError {
    const { timeout } = this.options;
    const last = this.lastFailure ? ` The last failure: ${this.lastFailure.message}` : '';
    return new PgNotifyError(
      'connection',
      `Could not listen within the startup timeout of ${timeout} ms.${last} ` +
        `Raise startup.timeout, or set startup.mode to 'background' to boot without PostgreSQL.`,
      { cause: this.lastFailure },
    );
  }
}
