import { CoalescingRunner } from '../consumers/coalescing-runner.js';
import type { DeliveryTrust } from '../consumers/delivery-trust.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { EventAttempts } from './event-attempts.js';
import { CLAIM_INTERVAL } from './claim-turns.js';
import { OtherChannels, UnknownConsumer } from './event-claim-refusal.js';
import type { EventConsumerDefinition } from './event-consumer-definition.js';
import { Fenced } from './event-lease.js';
import { retry } from './event-retries.js';
import type { EventOutcome, EventPage } from './event-store.js';
import type { EventTenure } from './event-tenure.js';
import { PageOfEvents } from './event-work.js';
import type { EventWork } from './event-work.js';
import { workInTransactions } from './events-in-transactions.js';
import { workSideBySide } from './events-side-by-side.js';
import { workTogether } from './events-together.js';
import { PageSize } from './page-size.js';
import { PollPace } from './poll-pace.js';
import { ShardClaim } from './shard-claim.js';
import type { ShardClaimParts } from './shard-claim.js';

/** The longest interval between two looks for events, in milliseconds. */
const LONGEST_POLL = 1_000;
/** The same while wake-ups are known to arrive. */
const LONGEST_TRUSTED_POLL = 5_000;
/** The delays after an error of the database, in milliseconds. */
const SHORTEST_ERROR_DELAY = 200;
const LONGEST_ERROR_DELAY = 5_000;
/** A cursor that is so many transactions behind is moved, even if there were no events for it. */
const FAR = 1_000n;

export interface EventShardParts extends ShardClaimParts {
  readonly trust: Pick<DeliveryTrust, 'isGiven' | 'onChange'>;
  /** Aborted at the deadline of a shutdown. */
  readonly closing: AbortSignal;
  /** @param duration How long the failed runs took, in milliseconds; 0 unless they are timed. */
  readonly onOutcome: (outcome: EventOutcome, duration: number) => void;
  /** @param duration How long the runs took, in milliseconds; 0 unless they are timed. */
  readonly onHandled: (count: number, duration: number) => void;
  readonly isTimed: () => boolean;
  /** The most events that one query returns. */
  readonly pageSize: number;
}

/**
 * The loop of one shard: claim it (ShardClaim), retry failures that are due (event-retries.ts), read the next page of new
 * events and handle it (events-side-by-side.ts, events-together.ts or events-in-transactions.ts, by the consumer's options).
 */
export class EventShard {
  private readonly runner: CoalescingRunner;
  private readonly attempts: EventAttempts;
  private readonly pageSize: PageSize;
  private tenure: EventTenure | undefined;
  private isEnding = false;
  private isReleased = false;
  private released: Promise<void> | undefined;
  /** Whether the administration, or another instance, may have changed the shard's state. */
  private isChanged = false;
  private readonly pace: PollPace;
  private hasFailed = false;
  private readonly claims: ShardClaim;

  constructor(
    private readonly definition: EventConsumerDefinition,
    private readonly parts: EventShardParts,
  ) {
    const { context, trust, pageSize, isTimed } = parts;
    this.attempts = new EventAttempts(definition, context, isTimed);
    this.pageSize = new PageSize(definition.batch?.maxSize ?? pageSize);
    this.pace = new PollPace(context.clock);
    this.claims = new ShardClaim(definition, parts);
    this.runner = new CoalescingRunner(
      {
        run: () => this.run(),
        errorDelay: (failures) => Math.min(LONGEST_ERROR_DELAY, SHORTEST_ERROR_DELAY * 2 ** (failures - 1)),
        polls: { delay: () => this.pollDelay, onChange: (call) => trust.onChange(call) },
        minInterval: 0,
      },
      context,
    );
  }

  start(): void {
    this.runner.wake('start');
  }

  /** @param isChanged Whether the shard's state may have changed, not only the events. */
  wake(isChanged: boolean): void {
    if (!this.tenure && !isChanged) return; // Another instance owns the shard.
    this.isChanged ||= isChanged;
    this.pace.quicken();
    if (isChanged) this.runner.forgive(); // The database may be reachable again: skip the delay after an error.
    this.runner.wake('notification');
  }

  /** How many events wait for a retry. */
  get waiting(): number {
    return this.tenure?.failures.size ?? 0;
  }

  get running(): number {
    return this.attempts.running;
  }

  get isIdle(): boolean {
    return this.isEnding ? this.isReleased : this.runner.isIdle;
  }

  /** Starts no more runs, and releases the shard when the current run has settled. */
  end(): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.runner.stop();
    this.released = this.runner
      .settled()
      .then(() => this.release())
      .then(() => void (this.isReleased = true));
  }

  async settled(): Promise<void> {
    await this.runner.settled();
    await this.released;
  }

  private async run(): Promise<boolean> {
    const { definition, parts } = this;
    try {
      const again = await this.cycle();
      if (this.hasFailed) {
        this.hasFailed = false;
        parts.context.errors.recovered(definition.label, this);
      }
      if (again) this.pace.flowed();
      else this.pace.slowDown(this.longestPoll);
      return again;
    } catch (error) {
      // It is unknown what was written. The next claim reads the state again.
      this.tenure = undefined;
      if (error instanceof Fenced) this.claims.lost(error);
      // What a shutdown no longer waits for fails because its sessions are closed. The next owner continues.
      else if (parts.closing.aborted) parts.context.logger.debug(messageOf(error));
      else this.report(error);
      throw error; // So that the next claim is delayed: the other instance may take the shard again at once.
    }
  }

  private report(cause: unknown): void {
    const { name, label, channels } = this.definition;
    const channel = channels.map((each) => each.name).join(', ');
    const text = cause instanceof Error ? cause.message : String(cause);
    this.hasFailed = true;
    if (cause instanceof UnknownConsumer) this.claims.forgetLoss(); // It was lost because the consumer is unknown.
    const message = `The consumer ${name} (${label}) cannot continue: ${text}`;
    const error = new PgNotifyError('handler', message, { channel, handler: label, cause });
    this.parts.context.errors.report(error, this, cause instanceof OtherChannels ? 'warning' : 'error');
  }

  private get longestPoll(): number {
    const { trust, store } = this.parts;
    if (this.tenure) return trust.isGiven ? LONGEST_TRUSTED_POLL : LONGEST_POLL;
    // Another instance owns it. The shard is free when that instance's lease expires.
    return Math.max(LONGEST_POLL, Math.min(LONGEST_TRUSTED_POLL, store.lease / 5));
  }

  private get pollDelay(): number {
    const { tenure } = this;
    if (!tenure) return this.pace.delay;
    const now = this.parts.context.clock.now();
    const next = Math.min(
      tenure.failures.nextDue,
      tenure.lease.renewAt,
      tenure.notBefore > now ? tenure.notBefore : Infinity,
    );
    return Math.max(1, Math.min(this.pace.delay, next - now));
  }

  /** Resolves with true if the next cycle should follow at once. */
  private async cycle(): Promise<boolean> {
    const tenure = (this.tenure ??= await this.claim());
    if (!tenure) return false;
    if (this.isChanged) {
      this.isChanged = false;
      await tenure.renew();
    } else if (tenure.isStale) await tenure.reload();
    const hasRetried = await this.retryDue(tenure);
    const hasMore = this.mayBegin(tenure) ? await this.handleNextPage(tenure) : await this.renewIfDue(tenure);
    if (tenure.isPaused) await this.release();
    return hasRetried || hasMore;
  }

  private async claim(): Promise<EventTenure | undefined> {
    const onSettled = (outcome: EventOutcome): void =>
      this.parts.onOutcome(outcome, this.attempts.takeFailedDuration());
    const tenure = await this.claims.take(this.pageSize.most, onSettled);
    if (tenure !== 'later') return tenure;
    this.pace.waitFor(CLAIM_INTERVAL / 2); // run() doubles it, because there was nothing to do.
    return undefined;
  }

  private async retryDue(tenure: EventTenure): Promise<boolean> {
    const due = tenure.dueFailures(this.mayBegin(tenure));
    if (due.length === 0 || tenure.isPaused) return false;
    const lanes = due.slice(0, this.pageSize.next);
    const share = Math.floor(this.pageSize.next / lanes.length); // Because thousands may wait behind one key.
    await retry(
      this.workOf(tenure),
      lanes.map((lane) => lane.slice(0, share)),
    );
    return true;
  }

  private mayBegin(tenure: EventTenure): boolean {
    const { maxUnsettled } = this.definition;
    const isFull = tenure.failures.size >= maxUnsettled;
    const isWaiting = tenure.notBefore > this.parts.context.clock.now();
    return !this.isEnding && !tenure.isPaused && !isFull && !isWaiting;
  }

  /** Renews the lease while no event may be started. Otherwise `settle()` renews it. */
  private async renewIfDue(tenure: EventTenure): Promise<false> {
    const isDue = this.parts.context.clock.now() >= tenure.lease.renewAt;
    if (isDue && !this.isEnding && !tenure.isPaused) await tenure.renew();
    return false;
  }

  /** Handles the next page. Resolves with whether there may be more events. */
  private async handleNextPage(tenure: EventTenure): Promise<boolean> {
    const { store, closing } = this.parts;
    const { cursor, epoch } = tenure;
    const limit = tenure.isCareful ? 1 : this.pageSize.next;
    const askedAt = this.parts.context.clock.now();
    // Sorting many new events may take longer than the lease.
    const page = await tenure.lease.hold(closing, () =>
      cursor.open === null ? store.first(epoch, cursor.done, limit) : store.next(epoch, cursor, limit),
    );
    if (page.hold === 'fenced') throw new Fenced(this.definition.name);
    tenure.isPaused = page.hold === 'paused';
    if (tenure.isPaused) return false;
    if (page.events.length === 0) return this.advanceCursor(tenure, page, askedAt);
    this.pageSize.learn(page.events);
    const events = new PageOfEvents(page, cursor.done);
    const work = this.workOf(tenure);
    if (this.definition.batch || this.definition.ordering === 'strict') {
      await workTogether(work, events, () => this.parts.context.clock.now());
    } else if (this.definition.isTransactional) await workInTransactions(work, events);
    else await workSideBySide(work, events);
    return true;
  }

  /** Moves the cursor from time to time although there were no events: it allows pruning, and makes the next read short. */
  private async advanceCursor(tenure: EventTenure, page: EventPage, now: number): Promise<boolean> {
    const { cursor } = tenure;
    tenure.endCare();
    const isFar = !page.isLast || xmaxOf(page.open) - xmaxOf(cursor.done) > FAR;
    if (cursor.open === null && !isFar && now < tenure.lease.renewAt) return false;
    await tenure.settle(new PageOfEvents(page, cursor.done).after(0), { attempts: tenure.standingAttempts });
    return !page.isLast;
  }

  private workOf(tenure: EventTenure): EventWork {
    const { definition, attempts, parts } = this;
    const { store, context, closing } = parts;
    const { budget } = context;
    const onHandled = (count: number): void => parts.onHandled(count, attempts.takeDuration());
    return { definition, store, tenure, attempts, budget, closing, onHandled, isEnding: () => this.isEnding };
  }

  /** Never rejects: if releasing fails, the lease expires. */
  private async release(): Promise<void> {
    const { tenure } = this;
    this.tenure = undefined;
    if (!tenure) return;
    await this.parts.store
      .release(tenure.epoch)
      .catch((error: Error) => this.parts.context.logger.debug(error.message));
  }
}

/** The first transaction that had not begun at the snapshot: the second number of its text. */
function xmaxOf(snapshot: string): bigint {
  return BigInt(snapshot.split(':')[1]!);
}
