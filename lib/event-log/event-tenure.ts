import type { Clock } from '../time/clock.js';
import type { EventConsumerDefinition } from './event-consumer-definition.js';
import { EventDelivery } from './event-deliveries.js';
import { comparePositions, EventFailures } from './event-failures.js';
import { EventLease, Fenced } from './event-lease.js';
import type {
  EventClaim,
  EventCursor,
  EventOutcome,
  EventShardStore,
  EventTransaction,
  StoredEvent,
} from './event-store.js';

/** After so many owners in a row that ended while they handled the same event, the event is blamed. */
const MOST_CRASHES = 3;

export interface TenureOptions {
  readonly definition: EventConsumerDefinition;
  readonly store: EventShardStore;
  readonly clock: Clock;
  /** How many events are handled one at a time after an owner crashed: at least one page, because the crash was in it. */
  readonly carefulFor: number;
  readonly onSettled: (outcome: EventOutcome) => void;
}

/** A batch that has used up its attempts as a whole. */
interface CutBatch {
  /** The position of its last event. */
  readonly upTo: string;
  readonly length: number;
  /** 1 for halves, 2 for quarters … */
  readonly halvings: number;
}

/** The state of an owned shard, from the claim until it is lost or released. A new claim makes a new one. */
export class EventTenure {
  failures: EventFailures;
  /** When the failures were read, by the local clock. */
  private readAt: number;
  readonly lease: EventLease;
  cursor: EventCursor;
  /** How many attempts the event or batch at the cursor has had: for strict order and for batches. */
  standingAttempts: number;
  /** No event starts before this time of the local clock: for strict order and for batches. */
  notBefore = -Infinity;
  /** That of the event or batch at the cursor: for strict order and for batches. */
  delivery = new EventDelivery();
  /** Whether the consumer is paused: no more events start, and the shard is released. */
  isPaused = false;
  /** How many more events are handled one at a time. */
  private careful: number;
  /** The batch that is delivered in parts. */
  private cut: CutBatch | undefined;
  /** The event that the crashed owner had started. Forgotten at the first settle. */
  private suspected: string | undefined;
  /** The event that is blamed for the crashes. */
  private poison: string | undefined;

  private constructor(
    private readonly options: TenureOptions,
    private readonly claim: EventClaim,
    askedAt: number,
    failures: EventFailures,
  ) {
    const { store, definition, clock } = options;
    const { crashes, suspect } = claim;
    this.failures = failures;
    this.readAt = askedAt;
    this.lease = new EventLease(store, definition.name, claim.epoch, clock, askedAt);
    this.cursor = claim.cursor;
    this.standingAttempts = claim.attempts;
    this.careful = crashes > 0 ? options.carefulFor : 0;
    this.suspected = crashes > 0 ? suspect : undefined;
    this.poison = crashes >= MOST_CRASHES ? suspect : undefined;
  }

  /** Claims the shard. Resolves with undefined if another instance owns it. */
  static async begin(options: TenureOptions): Promise<EventTenure | undefined> {
    const { store, definition, clock } = options;
    const askedAt = clock.now();
    const claim = await store.claim();
    if (!claim) return undefined;
    const failures = claim.isForeign ? [] : await store.failures();
    return new EventTenure(options, claim, askedAt, new EventFailures(definition.ordering, failures, clock.now()));
  }

  get isForeign(): boolean {
    return this.claim.isForeign;
  }

  /** The owner before, if it did not release the shard. */
  get lost(): EventClaim['lost'] {
    return this.claim.lost;
  }

  get epoch(): string {
    return this.claim.epoch;
  }

  /** How many owners in a row crashed. */
  get crashes(): number {
    return this.claim.crashes;
  }

  /** Whether events are handled one at a time, each recorded before it starts. */
  get isCareful(): boolean {
    return this.careful > 0;
  }

  /**
   * Call it before an event starts. It records the event if the last owner crashed, and renews a lease that may have expired.
   * Otherwise it returns undefined: there is nothing to wait for.
   *
   * @throws Fenced
   */
  beginning(seq: string): Promise<void> | undefined {
    if (this.careful > 0) return this.suspect(seq);
    return this.lease.isDoubtful ? this.renew() : undefined;
  }

  /** Ends the one-at-a-time handling. Call it when no unsettled event is left. */
  endCare(): void {
    this.careful = 0;
    this.suspected = undefined;
  }

  /**
   * The failures that are due, each with the events behind it. An event that a crashed owner had started comes before all
   * others, because settling another one would reset the count of crashes.
   *
   * @param mayBegin Whether a page may be read. The suspected event is there if it is not a failure: then no failure is returned.
   */
  dueFailures(mayBegin: boolean): ReturnType<EventFailures['due']> {
    const { failures, suspected } = this;
    const due = failures.due(this.options.clock.now());
    if (suspected === undefined) return due;
    const first = due.filter((lane) => lane.some(({ seq }) => seq === suspected));
    if (first.length > 0) return first;
    return mayBegin && !failures.has(suspected) ? [] : due;
  }

  /** Whether the event is blamed for the crashes. True only once: the caller makes the event a dead letter. */
  isPoison(seq: string): boolean {
    if (seq !== this.poison) return false;
    this.poison = undefined;
    return true;
  }

  /** How many of a page's events form the next batch. @param most How many attempts a whole batch gets. */
  batchSize(length: number, most: number): number {
    const { cut } = this;
    if (cut) return Math.max(1, Math.floor(cut.length / 2 ** cut.halvings));
    return this.standingAttempts >= most ? Math.max(1, Math.floor(length / 2)) : length;
  }

  /** Makes the next part half as large, because a batch or a part of it has used up its attempts. */
  halveBatch(events: readonly StoredEvent[]): void {
    const { cut } = this;
    this.cut = cut
      ? { ...cut, halvings: cut.halvings + 1 }
      : { upTo: events.at(-1)!.seq, length: events.length, halvings: 1 };
  }

  /** Ends the delivery of a batch when its last event is settled. */
  batchHandled(seq: string): void {
    if (this.isCutBehind(seq)) return;
    this.cut = undefined;
    this.delivery = new EventDelivery();
  }

  /** The attempts to record after a success up to this event: 0, unless the rest of the cut batch is still to come. */
  standingAfter(seq: string): Pick<EventOutcome, 'attempts'> {
    return this.isCutBehind(seq) ? { attempts: this.standingAttempts } : {};
  }

  private isCutBehind(seq: string): boolean {
    return this.cut !== undefined && comparePositions(seq, this.cut.upTo) < 0;
  }

  /** Moves the cursor and records the outcome. @throws Fenced */
  async settle(to: EventCursor, outcome: EventOutcome = {}): Promise<void> {
    const askedAt = this.options.clock.now();
    const hold = await this.options.store.settle(this.epoch, to, outcome);
    this.settled(this.lease.take(hold, askedAt), to, outcome);
  }

  /** The same inside a transaction. The caller must call the returned function after the commit. @throws Fenced */
  async settleIn(transaction: EventTransaction, to: EventCursor, outcome: EventOutcome = {}): Promise<() => void> {
    const askedAt = this.options.clock.now();
    const hold = await transaction.settle(this.epoch, to, outcome);
    if (hold === 'fenced') throw new Fenced(this.options.definition.name);
    return () => this.settled(this.lease.take(hold, askedAt), to, outcome);
  }

  /** Renews the lease, and reads again the failures and whether the consumer is paused. @throws Fenced */
  async renew(): Promise<void> {
    this.isPaused = (await this.lease.renew()) === 'paused';
    if (!this.isPaused) await this.reload();
  }

  /** Whether it is time to read the failures again, in case the wake-up of a change was lost. */
  get isStale(): boolean {
    const { clock, store } = this.options;
    return clock.now() >= this.readAt + store.lease / 3;
  }

  /** Reads the failures again, because dead letters may have been requeued. */
  async reload(): Promise<void> {
    const { store, clock, definition } = this.options;
    this.readAt = clock.now();
    const rows = await store.failures();
    this.failures = new EventFailures(definition.ordering, rows, clock.now());
  }

  private async suspect(seq: string): Promise<void> {
    this.careful -= 1;
    const isHeld = await this.options.store.suspect(this.epoch, seq);
    if (!isHeld) throw new Fenced(this.options.definition.name);
  }

  private settled(hold: 'held' | 'paused', to: EventCursor, outcome: EventOutcome): void {
    this.cursor = to;
    this.suspected = undefined;
    this.standingAttempts = outcome.attempts ?? 0;
    this.isPaused = hold === 'paused';
    this.failures.apply(outcome, this.options.clock.now());
    this.options.onSettled(outcome);
  }
}
