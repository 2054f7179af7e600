import type { Clock } from '../time/clock.js';
import type { EventConsumerDefinition } from './event-consumer-definition.js';
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

/** How many owners in a row may end while they handle an event before that one is taken for the reason. */
const MOST_CRASHES = 3;

export interface TenureOptions {
  readonly definition: EventConsumerDefinition;
  readonly store: EventShardStore;
  readonly clock: Clock;
  /** How many events are handled one at a time after an owner ended without a word: at least the page that it was at. */
  readonly carefulFor: number;
  /** Is told what was written down. */
  readonly onSettled: (outcome: EventOutcome) => void;
}

/** A batch that has failed for good as a whole. */
interface CutBatch {
  /** Its last event. */
  readonly upTo: string;
  readonly length: number;
  /** How often it was cut: in halves, in quarters … */
  readonly halvings: number;
}

/** The time for which a shard is ours: from the claim until it is lost or given up, and thrown away whole then. */
export class EventTenure {
  /** What waits to be tried again. */
  failures: EventFailures;
  /** When the failures were read, by our clock. */
  private readAt: number;
  readonly lease: EventLease;
  /** How far the shard has come. */
  cursor: EventCursor;
  /** How often what stands at the cursor has been tried: for strict order and for batches. */
  standingAttempts: number;
  /** Until when nothing is begun, by our clock: for strict order and for batches. */
  notBefore = -Infinity;
  /** Whether somebody has paused the consumer: nothing more is begun, and the shard is given up. */
  isPaused = false;
  /** How many events are still to be handled one at a time. */
  private careful: number;
  /** The batch that is handed over in parts. */
  private cut: CutBatch | undefined;
  /** The event that the last owner had begun when it ended, until something is settled. */
  private suspected: string | undefined;
  /** The event that has ended the process, as far as anybody knows. */
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

  /** Undefined if the shard is not to be had. */
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

  get epoch(): string {
    return this.claim.epoch;
  }

  /** How often the process of an owner has ended while it was at the event that is taken for the reason. */
  get crashes(): number {
    return this.claim.crashes;
  }

  /** Whether events are handled one at a time, each written down before. */
  get isCareful(): boolean {
    return this.careful > 0;
  }

  /**
   * Before an event is begun: writes it down if the last owner ended without a word. Returns nothing to wait for otherwise.
   *
   * @throws Fenced
   */
  beginning(seq: string): Promise<void> | undefined {
    if (this.careful > 0) return this.suspect(seq);
    return this.lease.isDoubtful ? this.renew() : undefined;
  }

  /** Nothing that a careful owner has to look at is left in this page. */
  endCare(): void {
    this.careful = 0;
    this.suspected = undefined;
  }

  /**
   * The failures whose turn it is, each with what waits behind it. The event that the last owner ended at comes before all
   * others: whatever is settled before it begins the count of those ends anew.
   *
   * @param mayBegin Whether a page may be begun, in which that event may be.
   */
  dueFailures(mayBegin: boolean): ReturnType<EventFailures['due']> {
    const { failures, suspected } = this;
    const due = failures.due(this.options.clock.now());
    if (suspected === undefined) return due;
    const first = due.filter((lane) => lane.some(({ seq }) => seq === suspected));
    if (first.length > 0) return first;
    return mayBegin && !failures.has(suspected) ? [] : due;
  }

  /** Whether an event is taken for the reason why owners ended; asked once for each, because it is given up then. */
  isPoison(seq: string): boolean {
    if (seq !== this.poison) return false;
    this.poison = undefined;
    return true;
  }

  /** How many events of a page with so many are handed over together. @param most How often a batch is tried as a whole. */
  batchSize(length: number, most: number): number {
    const { cut } = this;
    if (cut) return Math.max(1, Math.floor(cut.length / 2 ** cut.halvings));
    return this.standingAttempts >= most ? Math.max(1, Math.floor(length / 2)) : length;
  }

  /** A batch, or a part of it, has failed for good: a smaller part of it comes next. */
  halveBatch(events: readonly StoredEvent[]): void {
    const { cut } = this;
    this.cut = cut
      ? { ...cut, halvings: cut.halvings + 1 }
      : { upTo: events.at(-1)!.seq, length: events.length, halvings: 1 };
  }

  /** The events of a batch, or of a part of it, are settled up to this one. */
  batchHandled(seq: string): void {
    if (!this.isCutBehind(seq)) this.cut = undefined;
  }

  /** What is written down of attempts with a success up to this event: none, unless the rest of its batch has failed before. */
  standingAfter(seq: string): Pick<EventOutcome, 'attempts'> {
    return this.isCutBehind(seq) ? { attempts: this.standingAttempts } : {};
  }

  private isCutBehind(seq: string): boolean {
    return this.cut !== undefined && comparePositions(seq, this.cut.upTo) < 0;
  }

  /**
   * Moves the cursor and writes down failures.
   *
   * @throws Fenced
   */
  async settle(to: EventCursor, outcome: EventOutcome = {}): Promise<void> {
    const askedAt = this.options.clock.now();
    const hold = await this.options.store.settle(this.epoch, to, outcome);
    this.settled(this.lease.take(hold, askedAt), to, outcome);
  }

  /**
   * The same inside a transaction; returns what is to be called when that is committed.
   *
   * @throws Fenced
   */
  async settleIn(transaction: EventTransaction, to: EventCursor, outcome: EventOutcome = {}): Promise<() => void> {
    const askedAt = this.options.clock.now();
    const hold = await transaction.settle(this.epoch, to, outcome);
    if (hold === 'fenced') throw new Fenced(this.options.definition.name);
    return () => this.settled(this.lease.take(hold, askedAt), to, outcome);
  }

  /** Renews the lease, and looks whether anybody has changed the failures or paused the consumer. @throws Fenced */
  async renew(): Promise<void> {
    this.isPaused = (await this.lease.renew()) === 'paused';
    if (!this.isPaused) await this.reload();
  }

  /** Whether the failures were read that long ago that somebody may have changed them, of whom no wake-up has told. */
  get isStale(): boolean {
    const { clock, store } = this.options;
    return clock.now() >= this.readAt + store.lease / 3;
  }

  /** Reads the failures anew: somebody may have brought back a dead letter. */
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
