import { mergeGaps } from '../channel/pg-gap.js';
import type { PgGap, PgGapReason } from '../channel/pg-gap.js';
import { Backoff } from '../listener/backoff.js';
import type { Clock } from '../session/clock.js';

/** A method that reads the full state again. */
export interface GapMethod {
  accepts(reason: PgGapReason): boolean;
  /** Rejects when the state could not be read: it is called again then. */
  run(gap: PgGap): Promise<void>;
}

/** A queue as a gate sees it: one that can be held. */
export interface HeldQueue {
  /** Whether nothing of it runs now and nothing will until the barrier is over at which it stands. */
  readonly isHeld: boolean;
  /** Holds the queue as soon as what runs is done, before anything that waits. */
  interject(barrier: GapBarrier): void;
  /** Lets the queue go on, if it stands at this barrier. */
  release(barrier: GapBarrier): void;
}

/** How often a method that fails is called again. */
const RETRY = { minDelay: 100, maxDelay: 30_000 };

/**
 * One gap, for the queues of one provider and channel: each of them stops when it comes to it. When all have arrived, the
 * gap methods run, and again until they succeed; then all queues go on.
 */
export class GapBarrier {
  /** What each method is still to be told. */
  private readonly pending = new Map<GapMethod, PgGap>();
  private readonly missing: Set<HeldQueue>;
  private readonly backoff = new Backoff(RETRY);
  private retrySooner = new AbortController();
  state: 'waiting' | 'running' | 'failed' | 'over' = 'waiting';

  constructor(
    private readonly gate: GapGate,
    queues: ReadonlySet<HeldQueue>,
  ) {
    this.missing = new Set(queues);
  }

  /** Adds a gap to what its methods are told at their next run. */
  add(gap: PgGap): void {
    for (const method of this.gate.methodsFor(gap.reason)) this.tell(method, gap);
  }

  /** Takes over what a newer barrier would tell. */
  absorb(newer: GapBarrier): void {
    for (const [method, gap] of newer.pending) this.tell(method, gap);
    newer.end();
  }

  /** A queue stands here now. */
  arrive(queue: HeldQueue): void {
    this.missing.delete(queue);
    this.gate.advance();
  }

  get isReady(): boolean {
    return this.state === 'waiting' && this.missing.size === 0;
  }

  /** A newer gap is worth an attempt of its own. */
  hurry(): void {
    this.backoff.reset();
    this.retrySooner.abort();
  }

  /** Runs the methods until all have succeeded, or the gate is closed. */
  async run(clock: Clock, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.state = 'running';
      await this.runMethods();
      if (this.pending.size === 0) break;
      this.state = 'failed';
      this.retrySooner = new AbortController();
      this.gate.merge(this);
      const sooner = AbortSignal.any([signal, this.retrySooner.signal]);
      await clock.sleep(this.backoff.next(), sooner).catch(() => undefined); // Rejects when it is ended early.
    }
    this.end();
  }

  private async runMethods(): Promise<void> {
    const told = [...this.pending];
    this.pending.clear();
    for (const [method, gap] of told) await method.run(gap).catch(() => this.tell(method, gap));
  }

  private tell(method: GapMethod, gap: PgGap): void {
    const older = this.pending.get(method);
    this.pending.set(method, older ? mergeGaps(older, gap) : gap);
  }

  private end(): void {
    this.state = 'over';
    this.gate.left(this);
  }
}

/** The gap methods of one provider for one channel, and the queues of its handlers that wait for them. */
export class GapGate {
  private readonly queues = new Set<HeldQueue>();
  /** Those that are not over, oldest first. */
  private readonly barriers: GapBarrier[] = [];
  /** A gap is the same for all queues of the channel: its `until` is one object. */
  private readonly known = new WeakMap<Date, GapBarrier>();
  private running: Promise<void> | undefined;
  /** The overflow that all queues are asked to stop for, as long as it has not begun. */
  private interjected: GapBarrier | undefined;

  constructor(
    private readonly methods: readonly GapMethod[],
    private readonly clock: Clock,
    /** Ends the attempts. */
    private readonly signal: AbortSignal,
  ) {}

  join(queue: HeldQueue): void {
    this.queues.add(queue);
  }

  methodsFor(reason: PgGapReason): readonly GapMethod[] {
    return this.methods.filter((method) => method.accepts(reason));
  }

  get isIdle(): boolean {
    return this.barriers.length === 0;
  }

  /** Resolves when the methods that run have ended, and those that fail as well. */
  async settled(): Promise<void> {
    while (this.running) await this.running;
  }

  /** The barrier that a queue is to stop at for this gap; undefined where no method wants to know of it. */
  barrierFor(gap: PgGap): GapBarrier | undefined {
    if (this.methodsFor(gap.reason).length === 0) return undefined;
    const known = this.known.get(gap.until);
    if (known) return known;
    const barrier = new GapBarrier(this, this.queues);
    this.known.set(gap.until, barrier);
    barrier.add(gap);
    this.barriers.push(barrier);
    for (const failed of this.barriers.filter(({ state }) => state === 'failed')) {
      this.merge(failed);
      failed.hurry();
    }
    this.advance();
    return barrier;
  }

  /**
   * Tells of what was dropped from a queue.
   *
   * @param ahead The barrier between the queue's running item and the dropped ones: what its methods read later covers
   * them.
   */
  overflow(gap: PgGap, ahead: GapBarrier | undefined): void {
    if (this.methodsFor(gap.reason).length === 0) return;
    if (ahead && ahead.state !== 'running' && ahead.state !== 'over') return ahead.add(gap);
    const interjected = this.interjected;
    if (interjected) return interjected.add(gap);
    const barrier = new GapBarrier(this, new Set([...this.queues].filter((queue) => !queue.isHeld)));
    barrier.add(gap);
    this.barriers.push(barrier);
    this.interjected = barrier;
    for (const queue of this.queues) queue.interject(barrier);
    this.advance();
  }

  /** Starts what all queues have arrived at. */
  advance(): void {
    if (this.running) return;
    const ready = this.barriers.find(({ isReady }) => isReady);
    if (!ready) return;
    if (ready === this.interjected) this.interjected = undefined;
    this.running = Promise.resolve()
      .then(() => ready.run(this.clock, this.signal))
      .finally(() => {
        this.running = undefined;
        this.advance();
      });
  }

  /** Gives a barrier whose methods have failed what the newer ones would tell. */
  merge(failed: GapBarrier): void {
    for (const newer of this.barriers.slice(this.barriers.indexOf(failed) + 1)) failed.absorb(newer);
  }

  left(barrier: GapBarrier): void {
    const index = this.barriers.indexOf(barrier);
    if (index >= 0) this.barriers.splice(index, 1);
    if (barrier === this.interjected) this.interjected = undefined;
    for (const queue of this.queues) queue.release(barrier);
  }
}
