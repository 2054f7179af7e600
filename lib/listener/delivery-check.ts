import { randomUUID } from 'node:crypto';
import type { RawPgNotification } from '../channel/pg-notification.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { unlessAborted, withEitherSignal } from '../time/abort.js';
import type { Clock } from '../time/clock.js';
import { readArrived } from '../time/clock.js';
import { withDeadline } from '../time/deadline.js';
import type { SessionFacts } from '../session/session-facts.js';
import type { ChannelReconciler, ListeningSession } from './channel-reconciler.js';
import { explainFailure, explainUnknown } from './delivery-verdict.js';
import type { DeliveryEnd, PgDeliveryVerdict } from './delivery-verdict.js';

/** The second connection of a check. */
export interface DeliverySender extends Omit<DeliveryEnd, 'facts'> {
  /** Sends a notification. When it is committed, resolves with the facts of the session that sent it. */
  notify(channel: string, payload: string): Promise<SessionFacts>;
  close(): Promise<void>;
}

export interface DeliveryCheckOptions {
  /**
   * Opens the second connection.
   *
   * @param isRepeated Whether the last notification of a check has arrived on the same session: this check is expected
   *   to confirm that, and may spare questions about the second connection until it answers.
   */
  readonly openSender: (signal: AbortSignal, isRepeated: boolean) => Promise<DeliverySender>;
  /** The time between a proof and the next check, in milliseconds. */
  readonly interval: number;
  /** How long a notification may take from its commit to its arrival, in milliseconds. */
  readonly timeout: number;
  readonly clock: Clock;
  /** Called with every verdict, before the notification that caused it is delivered. */
  readonly onVerdict: (now: PgDeliveryVerdict, before: PgDeliveryVerdict) => void;
}

interface ListeningEnd {
  readonly session: ListeningSession;
  readonly reconciler: ChannelReconciler;
  /** Whether the session uses no pooler. */
  readonly isDirect: boolean;
}

type Attempt =
  | { readonly arrived: true }
  | { readonly missed: DeliveryEnd }
  /**
   * An urgent caller needed the session first. Carries the answer to the sent notification, which may still be pending.
   */
  | { readonly interrupted: Promise<unknown> }
  | { readonly unknown: PgNotifyError };

const MISSES_TO_FAIL = 3;

/** How long a steady flow of other notifications may postpone a miss, in milliseconds. */
const LONGEST_BACKLOG = 60_000;

/** The remaining time for a notification to arrive, in milliseconds. An interruption does not restore it. */
interface Patience {
  /** Since its commit, or since the last other notification came in: it may be queued behind many. */
  quiet: number;
  /** In all. */
  total: number;
}

/**
 * Proves that notifications arrive: it sends one from a second connection and waits for it on the first, while none of
 * our statements is on its way there. On a single connection, or on a busy one, a transaction pooler answers as if all
 * were well. A notification from another backend that arrives while no statement is on its way is also a proof, and
 * postpones the next check. This does not hold behind a pooler: in transaction mode stray notifications arrive while
 * the backend of our last statement is still linked to us.
 */
export class DeliveryCheck {
  /** The channel of this registration's checks. No other session listens to it. */
  readonly channel = `nest_pg_notify_check:${randomUUID().slice(0, 13)}`;
  private current: PgDeliveryVerdict = { verdict: 'unknown', at: new Date() };
  private provenAt = -Infinity;
  private verifiedAt: Date | undefined;
  private failed = false;
  private expected: { readonly raw: string; readonly arrive: () => void; isCommitted: boolean } | undefined;
  /** When another session's notification last came in, in milliseconds of the clock. */
  private othersAt = -Infinity;
  /** The `receivedAt` of the last examined notification. */
  private observedAt: Date | undefined;
  /** Whether the current session was ever verified. */
  private wasVerified = false;
  /** Whether a notification of a check has arrived on the current session. */
  private hasArrived = false;
  private isAttempting = false;
  /**
   * Committed notifications that did not arrive in time. They are lost if a later one arrives, because PostgreSQL keeps
   * the order.
   */
  private readonly missing = new Set<string>();

  /** Settles when the last second connection has ended. */
  private goodbye: Promise<void> = Promise.resolve();

  constructor(private readonly options: DeliveryCheckOptions) {}

  /** Resolves when no second connection is open. To be called after the end of the last run. */
  closed(): Promise<void> {
    return this.goodbye;
  }

  get verdict(): PgDeliveryVerdict {
    return this.current;
  }

  /** Whether the check has failed since a notification last arrived, or since the session began. */
  get hasFailed(): boolean {
    return this.failed;
  }

  /** Whether a notification of the check is missing: it did not arrive in time, nor later. */
  get hasMissed(): boolean {
    return this.failed || this.missing.size > 0;
  }

  /** Whether a sent notification has not arrived, and no others arrive that it may be queued behind. */
  get isDoubtful(): boolean {
    const isBehindOthers = this.options.clock.now() - this.othersAt < this.options.timeout;
    return !isBehindOthers && (this.hasMissed || this.expected?.isCommitted === true);
  }

  /** Whether a second connection is being opened, or a notification of the check is on its way. */
  get isUnderWay(): boolean {
    return this.isAttempting;
  }

  /** When delivery was last verified; undefined before the first time. */
  get lastVerifiedAt(): Date | undefined {
    return this.verifiedAt;
  }

  /** The session is lost. Delivery is unknown until it is verified on the next session. */
  forget(): void {
    if (this.current.verdict === 'verified') this.current = { verdict: 'unknown', at: new Date() };
  }

  /** Checks now, and again whenever the last proof is too old, until the signal is aborted. Never rejects. */
  async run(end: ListeningEnd, signal: AbortSignal): Promise<void> {
    const { clock, interval } = this.options;
    this.current = { verdict: 'unknown', at: new Date() }; // Nothing is known of this session yet.
    this.failed = false;
    this.wasVerified = false;
    this.hasArrived = false;
    this.othersAt = -Infinity;
    this.missing.clear();
    while (!signal.aborted) {
      await this.check(end, signal);
      do {
        const quietFor = clock.now() - this.provenAt;
        const pause = quietFor < interval ? interval - quietFor : interval;
        await clock.sleep(pause, signal).catch(() => undefined); // Rejects at the end.
      } while (!signal.aborted && clock.now() - this.provenAt < interval);
    }
  }

  /** Sees every notification of the session, before it is delivered. */
  observe({ channel, raw, processId, receivedAt }: RawPgNotification, end: ListeningEnd): void {
    if (channel === this.channel) this.observeOwn(raw, processId, end);
    // Notifications that came in together prove as much as the first of them.
    else if (receivedAt !== this.observedAt) {
      this.observedAt = receivedAt;
      this.observeOther(processId, end);
    }
  }

  private observeOwn(raw: string, processId: number, { session }: ListeningEnd): void {
    this.observedAt = undefined;
    this.missing.delete(raw); // It was late, not lost.
    if (this.expected?.raw === raw) {
      this.expected.arrive();
      this.hasArrived = true;
      this.prove();
    } else if (processId !== session.processId) this.othersAt = this.options.clock.now();
  }

  private observeOther(processId: number, { session, reconciler, isDirect }: ListeningEnd): void {
    if (processId === session.processId) {
      this.observedAt = undefined; // The next one may come from another session.
      return;
    }
    this.othersAt = this.options.clock.now();
    if (isDirect && reconciler.isQuiet && (this.failed || !this.hasMissed)) this.prove();
  }

  private prove(): void {
    const at = new Date();
    if (this.current.verdict === 'verified' && !this.hasMissed) this.current = { verdict: 'verified', at };
    else this.decide({ verdict: 'verified', at });
    this.provenAt = this.options.clock.now();
    this.verifiedAt = at;
    this.failed = false;
    this.wasVerified = true;
    this.missing.clear();
  }

  private async check(end: ListeningEnd, signal: AbortSignal): Promise<void> {
    const { timeout } = this.options;
    let misses = 0;
    let patience: Patience = { quiet: timeout, total: LONGEST_BACKLOG };
    while (!signal.aborted) {
      const attempt = await this.attempt(end, patience, signal);
      if (signal.aborted || 'arrived' in attempt) return;
      if ('unknown' in attempt) {
        if (this.failed) return; // A failed second connection does not change the verdict.
        return this.decide({ verdict: 'unknown', at: new Date(), ...explainUnknown(attempt.unknown, end.session) });
      }
      if ('interrupted' in attempt) continue; // It continues with the remaining time, so that it ends.
      patience = { quiet: timeout, total: LONGEST_BACKLOG };
      misses += 1;
      if (misses < MISSES_TO_FAIL) continue;
      const { endpoint, processId: announcedPid, facts } = end.session;
      const listener = { endpoint, announcedPid, facts, wasVerified: this.wasVerified };
      const explained = explainFailure(listener, attempt.missed, timeout);
      this.failed = true;
      return this.decide({ verdict: 'failing', at: new Date(), ...explained });
    }
  }

  private async attempt({ reconciler }: ListeningEnd, patience: Patience, signal: AbortSignal): Promise<Attempt> {
    let sender: DeliverySender | undefined;
    this.isAttempting = true;
    try {
      await this.goodbye;
      const isRepeated = this.hasArrived && this.current.verdict === 'verified' && !this.hasMissed;
      sender = await this.options.openSender(signal, isRepeated);
      const ready = sender;
      const attempt = await reconciler.whileQuiet((hurry) => this.send(ready, patience, signal, hurry));
      // A hanging commit keeps its backend busy, so the next attempt must wait for it.
      if ('interrupted' in attempt) await attempt.interrupted;
      return attempt;
    } catch (error) {
      const known = error instanceof PgNotifyError ? error : new PgNotifyError('connection', messageOf(error));
      return { unknown: known };
    } finally {
      this.isAttempting = false;
      if (sender) this.goodbye = sender.close();
    }
  }

  /** Sends once, and waits for the remaining time. The end of the session or an urgent caller ends both early. */
  private async send(
    sender: DeliverySender,
    patience: Patience,
    signal: AbortSignal,
    hurry: AbortSignal,
  ): Promise<Attempt> {
    const { timeout } = this.options;
    const { endpoint, announcedPid } = sender;
    const raw = randomUUID();
    const arrived = new AbortController();
    this.expected = { raw, arrive: () => arrived.abort(), isCommitted: false };
    const expired = (): Error => new PgNotifyError('connection', `${endpoint}: no answer within ${timeout} ms.`);
    const answer = withDeadline(sender.notify(this.channel, raw), { timeout, expired, signal });
    try {
      const facts = await unlessAborted(answer, hurry).catch((error: unknown) => {
        if (!hurry.aborted) throw error;
      });
      if (!facts) return { interrupted: answer };
      this.expected.isCommitted = true;
      const isOver = await withEitherSignal([signal, hurry, arrived.signal], (over) => this.wait(patience, over));
      if (!arrived.signal.aborted) await readArrived();
      if (arrived.signal.aborted) return { arrived: true };
      this.missing.add(raw);
      return isOver ? { missed: { endpoint, announcedPid, facts } } : { interrupted: answer };
    } finally {
      this.expected = undefined;
    }
  }

  /** Waits until the signal is aborted, or no time remains. Resolves with whether the time is over. */
  private async wait(patience: Patience, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.options;
    const begun = clock.now();
    const left = (): number =>
      Math.min(Math.max(begun, this.othersAt) + patience.quiet, begun + patience.total) - clock.now();
    while (!signal.aborted && left() > 0) {
      await clock.sleep(left(), signal).catch(() => undefined); // Rejects when it is ended early.
    }
    const quiet = Math.max(0, left());
    patience.total -= clock.now() - begun;
    patience.quiet = quiet;
    return quiet === 0;
  }

  private decide(verdict: PgDeliveryVerdict): void {
    const before = this.current;
    this.current = verdict;
    this.options.onVerdict(verdict, before);
  }
}
