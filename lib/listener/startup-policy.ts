import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyStartupOptions } from '../pg-notify.options.js';
import type { Clock } from '../session/clock.js';

/**
 * Decides how long the start of an application waits for PostgreSQL, and which failures end it. One time-out covers
 * every wait of the start.
 */
export class StartupPolicy {
  private readonly verdict: Promise<never>;
  private reject: (error: PgNotifyError) => void = () => undefined;
  /** How long the start may still wait: what other modules do in between does not count. */
  private remaining: number;
  /** How many waits are under way: none before the start, and none after it. */
  private waits = 0;
  private lastFailure: PgNotifyError | undefined;

  constructor(
    private readonly options: Required<PgNotifyStartupOptions>,
    private readonly clock: Clock,
  ) {
    this.remaining = options.timeout;
    this.verdict = new Promise((_, reject) => (this.reject = reject));
    this.verdict.catch(() => undefined); // After the start nobody waits for the verdict any more.
  }

  /** Tells of a failed attempt, or of a loss; returns whether that ends a start which is under way. */
  failed(error: PgNotifyError): boolean {
    this.lastFailure = error;
    const { mode } = this.options;
    const final = mode === 'fail' || (mode === 'wait' && error.permanent === true);
    if (final) this.reject(error);
    return final && this.waits > 0;
  }

  /**
   * Waits for `listening`, as long as the policy allows.
   *
   * @throws PgNotifyError that says why the application cannot start, and what to do.
   */
  async wait(listening: Promise<void>): Promise<void> {
    if (this.options.mode === 'background') {
      listening.catch(() => undefined); // Rejects when the application is closed first.
      return;
    }
    const begun = this.clock.now();
    this.waits += 1;
    const over = new AbortController();
    const expired = this.clock
      .sleep(Math.max(0, this.remaining), over.signal)
      .then(() => Promise.reject(this.timedOut()));
    try {
      await Promise.race([listening, this.verdict, expired]);
    } finally {
      over.abort();
      this.waits -= 1;
      this.remaining -= this.clock.now() - begun;
    }
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
