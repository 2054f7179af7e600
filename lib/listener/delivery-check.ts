import { randomUUID } from 'node:crypto';
import type { RawPgNotification } from '../channel/pg-notification.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { Clock } from '../session/clock.js';
import { readArrived } from '../session/clock.js';
import { withDeadline } from '../session/deadline.js';
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
  /** Something urgent needed the session first. */
  | { readonly interrupted: true }
  | { readonly unknown: PgNotifyError };

const MISSES_TO_FAIL = 3;

/** What is left of the timeout, in milliseconds: for the commit, and from there on for the arrival. */
interface Patience {
  commit: number;
  arrival: number;
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

  /** Whether something was sent that has not arrived, be it late or not yet. */
  get hasUnanswered(): boolean {
    return this.hasMissed || this.expected?.isCommitted === true;
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
  observe({ channel, raw, processId }: RawPgNotification, { session, reconciler, isDirect }: ListeningEnd): void {
    if (channel === this.channel) {
      this.missing.delete(raw); // Late, not lost.
      if (this.expected?.raw !== raw) return;
      this.expected.arrive();
      this.prove();
    } else if (isDirect && processId !== session.processId && reconciler.isQuiet && (this.failed || !this.hasMissed)) {
      this.prove();
    }
  }

  private prove(): void {
    const at = new Date();
    if (this.current.verdict === 'verified' && !this.hasMissed) this.current = { verdict: 'verified', at };
    else this.decide({ verdict: 'verified', at });
    this.provenAt = this.options.clock.now();
    this.verifiedAt = at;
    this.failed = false;
    this.missing.clear();
  }

  private async check(end: ListeningEnd, signal: AbortSignal): Promise<void> {
    const { timeout } = this.options;
    let misses = 0;
    let patience: Patience = { commit: timeout, arrival: timeout };
    while (!signal.aborted) {
      const attempt = await this.attempt(end, patience, signal);
      if (signal.aborted || 'arrived' in attempt) return;
      if ('unknown' in attempt) {
        if (this.failed) return; // A second connection that fails as well mends nothing.
        return this.decide({ verdict: 'unknown', at: new Date(), ...explainUnknown(attempt.unknown) });
      }
      if ('interrupted' in attempt) continue; // With the patience that is left: it must come to an end.
      patience = { commit: timeout, arrival: timeout };
      misses += 1;
      if (misses < MISSES_TO_FAIL) continue;
      const { endpoint, processId: announcedPid, facts } = end.session;
      const explained = explainFailure({ endpoint, announcedPid, facts }, attempt.missed, timeout);
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
      return await reconciler.whileQuiet((hurry) => this.send(ready, patience, AbortSignal.any([signal, hurry])));
    } catch (error) {
      const known = error instanceof PgNotifyError ? error : new PgNotifyError('connection', messageOf(error));
      return { unknown: known };
    } finally {
      if (sender) this.goodbye = sender.close();
    }
  }

  /** Sends once, and waits as long as there is patience; the signal ends both early. */
  private async send(sender: DeliverySender, patience: Patience, signal: AbortSignal): Promise<Attempt> {
    const { timeout, clock } = this.options;
    const raw = randomUUID();
    let hasArrived = false;
    const arrival = new Promise<void>((resolve) => {
      this.expected = { raw, arrive: () => ((hasArrived = true), resolve()), isCommitted: false };
    });
    const over = new AbortController();
    let phase: keyof Patience = 'commit';
    let begun = clock.now();
    try {
      const expired = (): Error =>
        new PgNotifyError('connection', `${sender.endpoint}: no answer within ${timeout} ms.`);
      const sent = sender.notify(this.channel, raw);
      const facts = await withDeadline(sent, { timeout: Math.max(0, patience.commit), expired, signal });
      [phase, begun] = ['arrival', clock.now()];
      if (this.expected) this.expected.isCommitted = true;
      const wait = clock.sleep(patience.arrival, AbortSignal.any([signal, over.signal])).catch(() => undefined);
      await Promise.race([arrival, wait]);
      if (!hasArrived) await readArrived();
      if (hasArrived) return { arrived: true };
      this.missing.add(raw);
      if (signal.aborted && clock.now() - begun < patience.arrival) return { interrupted: true };
      const { endpoint, announcedPid } = sender;
      return { missed: { endpoint, announcedPid, facts } };
    } catch (error) {
      if (signal.aborted) return { interrupted: true };
      throw error;
    } finally {
      patience[phase] -= clock.now() - begun;
      over.abort();
      this.expected = undefined;
    }
  }

  private decide(verdict: PgDeliveryVerdict): void {
    const before = this.current;
    this.current = verdict;
    this.options.onVerdict(verdict, before);
  }
}
