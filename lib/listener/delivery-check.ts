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
  /** Sends, and resolves with where it was sent from when it is committed. */
  notify(channel: string, payload: string): Promise<SessionFacts>;
  close(): Promise<void>;
}

export interface DeliveryCheckOptions {
  readonly openSender: (signal: AbortSignal) => Promise<DeliverySender>;
  /** How long after a proof the next one is asked for, in milliseconds. */
  readonly interval: number;
  /** How long a notification may take from its commit to its arrival, in milliseconds. */
  readonly timeout: number;
  readonly clock: Clock;
  /** Called with every verdict, before the notification that brought it is delivered. */
  readonly onVerdict: (now: PgDeliveryVerdict, before: PgDeliveryVerdict) => void;
}

interface ListeningEnd {
  readonly session: ListeningSession;
  readonly reconciler: ChannelReconciler;
  /** Whether no pooler is in between. */
  readonly isDirect: boolean;
}

type Attempt =
  | { readonly arrived: true }
  | { readonly missed: DeliveryEnd }
  /** Something urgent needed the session first; with the answer to what was sent, which may still be on its way. */
  | { readonly interrupted: Promise<unknown> }
  | { readonly unknown: PgNotifyError };

const MISSES_TO_FAIL = 3;

/** How long notifications of others that keep coming in may put off a miss, in milliseconds. */
const LONGEST_BACKLOG = 60_000;

/** What is left of the time for one to arrive, in milliseconds; an interruption does not bring back what was used up before. */
interface Patience {
  /** Since its commit, or since the last notification of others came in: it may stand behind many. */
  quiet: number;
  /** In all. */
  total: number;
}

/**
 * Proves that notifications arrive: sends one from a second connection and waits for it on the first, while none of our
 * statements is on its way there. On one connection, or while it is busy, a transaction pooler answers as if all were
 * well. A notification that another backend sent, and that arrives while nothing at all is asked, is as good a proof, and
 * puts the next check off. Not behind a pooler: in transaction mode stray ones come through, while the backend of our last
 * statement is still linked to us.
 */
export class DeliveryCheck {
  /** The channel of the checks of this registration; nobody else listens to it. */
  readonly channel = `nest_pg_notify_check:${randomUUID().slice(0, 13)}`;
  private current: PgDeliveryVerdict = { verdict: 'unknown', at: new Date() };
  private provenAt = -Infinity;
  private verifiedAt: Date | undefined;
  private failed = false;
  private expected: { readonly raw: string; readonly arrive: () => void; isCommitted: boolean } | undefined;
  /** When a notification of somebody else last came in, in milliseconds of the clock. */
  private othersAt = -Infinity;
  /** When those came in of which one was looked at. */
  private observedAt: Date | undefined;
  /** Whether the session that is checked now was ever verified. */
  private wasVerified = false;
  /** What was committed and waited for in vain. When a later one arrives first, these are lost: PostgreSQL keeps the order. */
  private readonly missing = new Set<string>();

  /** The end of the last second connection: nobody else waits for its server to notice. */
  private goodbye: Promise<void> = Promise.resolve();

  constructor(private readonly options: DeliveryCheckOptions) {}

  /** Resolves when no second connection is open; for after the end of the last run. */
  closed(): Promise<void> {
    return this.goodbye;
  }

  get verdict(): PgDeliveryVerdict {
    return this.current;
  }

  /** Whether it has failed since a notification last arrived, or since the session began. */
  get hasFailed(): boolean {
    return this.failed;
  }

  /** Whether something that was sent to it is missing: it was waited for, and has not arrived since. */
  get hasMissed(): boolean {
    return this.failed || this.missing.size > 0;
  }

  /** Whether something was sent that has not arrived, be it late or not yet, and nothing else arrives that it may stand behind. */
  get isDoubtful(): boolean {
    const isBehindOthers = this.options.clock.now() - this.othersAt < this.options.timeout;
    return !isBehindOthers && (this.hasMissed || this.expected?.isCommitted === true);
  }

  /** When a notification last arrived as it should; undefined before the first. */
  get lastVerifiedAt(): Date | undefined {
    return this.verifiedAt;
  }

  /** The session is gone: until the next one has shown that notifications arrive, nobody knows. */
  forget(): void {
    if (this.current.verdict === 'verified') this.current = { verdict: 'unknown', at: new Date() };
  }

  /** Checks now, and whenever there was no proof for a while, until the signal is aborted. Never rejects. */
  async run(end: ListeningEnd, signal: AbortSignal): Promise<void> {
    const { clock, interval } = this.options;
    this.current = { verdict: 'unknown', at: new Date() }; // Of this session nothing is known yet.
    this.failed = false;
    this.wasVerified = false;
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
    // What came in together proves as much as the first of it.
    else if (receivedAt !== this.observedAt) {
      this.observedAt = receivedAt;
      this.observeOther(processId, end);
    }
  }

  private observeOwn(raw: string, processId: number, { session }: ListeningEnd): void {
    this.observedAt = undefined;
    this.missing.delete(raw); // Late, not lost.
    if (this.expected?.raw === raw) {
      this.expected.arrive();
      this.prove();
    } else if (processId !== session.processId) this.othersAt = this.options.clock.now();
  }

  private observeOther(processId: number, { session, reconciler, isDirect }: ListeningEnd): void {
    if (processId === session.processId) {
      this.observedAt = undefined; // What comes behind it may be of somebody else.
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
        if (this.failed) return; // A second connection that fails as well mends nothing.
        return this.decide({ verdict: 'unknown', at: new Date(), ...explainUnknown(attempt.unknown) });
      }
      if ('interrupted' in attempt) continue; // With the patience that is left: it must come to an end.
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
    try {
      await this.goodbye;
      sender = await this.options.openSender(signal);
      const ready = sender;
      const attempt = await reconciler.whileQuiet((hurry) => this.send(ready, patience, signal, hurry));
      // A commit that hangs keeps its backend: the next attempt does not begin beside it.
      if ('interrupted' in attempt) await attempt.interrupted;
      return attempt;
    } catch (error) {
      const known = error instanceof PgNotifyError ? error : new PgNotifyError('connection', messageOf(error));
      return { unknown: known };
    } finally {
      if (sender) this.goodbye = sender.close();
    }
  }

  /** Sends once, and waits as long as there is patience; the end of the session, or a hurry, ends both early. */
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

  /** Waits until the signal is aborted, or there is no patience left; resolves with whether there is none. */
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
