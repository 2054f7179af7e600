import type { PgGap, PgGapReason } from '../channel/pg-gap.js';
import { Backoff } from '../listener/backoff.js';
import type { Clock } from '../session/clock.js';
import { GapBarrier } from './gap-barrier.js';
import type { GapMethod } from './gap-barrier.js';

/** A queue as a gate sees it: one that can be held. */
export interface HeldQueue {
  /** The barrier at which it stands: nothing of it runs, and nothing will before that barrier is over. */
  readonly standsAt: GapBarrier | undefined;
  /** Whether it is to come to this barrier next, with nothing that waits behind it. */
  endsAt(barrier: GapBarrier): boolean;
  /** Looks, soon, for what it has to do now. */
  look(): void;
}

/** How often a method that fails is called again. */
const RETRY = { minDelay: 100, maxDelay: 30_000 };

/**
 * The gap methods of one provider for one channel, and the queues of its handlers that wait for them. A gap is a barrier:
 * each queue stops when it comes to it; when all of them stand, the gap methods run, and again until they succeed; then
 * all queues go on.
 */
export class GapGate {
  private readonly queues = new Set<HeldQueue>();
  /** Those that are not over, oldest first. */
  private barriers: GapBarrier[] = [];
  /** A gap that is announced to several queues comes as often; its `until` is the same object each time. */
  private readonly known = new WeakMap<Date, GapBarrier>();
  /** The one whose turn it is: its methods run, or have failed. */
  private current: GapBarrier | undefined;
  private retrySooner = new AbortController();
  private idle: (() => void)[] = [];

  constructor(
    private readonly methods: readonly GapMethod[],
    private readonly clock: Clock,
    /** Aborted when nothing is to run any more. */
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener('abort', () => this.close(), { once: true });
  }

  join(queue: HeldQueue): void {
    this.queues.add(queue);
  }

  /** Whether no queue is held, and none will be. */
  get isIdle(): boolean {
    return this.barriers.length === 0;
  }

  /** Resolves when it is idle. */
  async settled(): Promise<void> {
    while (!this.isIdle) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  /** The barrier at which every queue has to stop now, whatever it has in line. */
  get demanded(): GapBarrier | undefined {
    return this.current ?? this.waitingAtTheHead;
  }

  /**
   * A gap came in.
   *
   * @returns The barrier that a queue comes to behind what it was given before; none where no method wants to know of the
   * gap, and for an overflow.
   */
  announce(gap: PgGap): GapBarrier | undefined {
    const known = this.known.get(gap.until);
    const barrier = known ?? (gap.reason === 'overflow' ? this.overflow(gap) : this.barrierInLine(gap));
    if (!barrier) return undefined;
    this.known.set(gap.until, barrier);
    return gap.reason === 'overflow' ? undefined : barrier;
  }

  /**
   * Tells of what was dropped. The methods run soon, or together with what they are to be told anyway.
   *
   * @param ahead The barrier in line that is next before what was dropped: what its methods read covers it.
   */
  overflow(gap: PgGap, ahead?: GapBarrier): GapBarrier | undefined {
    const methods = this.methodsFor(gap.reason);
    if (methods.length === 0) return undefined;
    const inLine = ahead?.state === 'waiting' ? ahead : undefined;
    const barrier = this.failing ?? inLine ?? this.waitingAtTheHead ?? this.open(new GapBarrier('at the head'));
    barrier.add(gap, methods);
    this.advance();
    return barrier;
  }

  /** Starts what all queues have arrived at. To be called when one has. */
  advance(): void {
    if (this.current) return;
    this.current = this.barriers.find((barrier) => this.isReady(barrier));
    if (this.current) void this.work(this.current); // Never rejects.
  }

  private barrierInLine(gap: PgGap): GapBarrier | undefined {
    const methods = this.methodsFor(gap.reason);
    if (methods.length === 0) return undefined;
    const barrier = this.failing ?? this.lastIfNothingWaitsBehind ?? this.open(new GapBarrier('in line'));
    barrier.add(gap, methods);
    if (barrier === this.failing) this.retrySooner.abort();
    this.advance();
    return barrier;
  }

  private methodsFor(reason: PgGapReason): readonly GapMethod[] {
    return this.signal.aborted ? [] : this.methods.filter((method) => method.accepts(reason));
  }

  private open(barrier: GapBarrier): GapBarrier {
    this.barriers.push(barrier);
    this.lookAll();
    return barrier;
  }

  private get failing(): GapBarrier | undefined {
    return this.current?.state === 'failed' ? this.current : undefined;
  }

  private get waitingAtTheHead(): GapBarrier | undefined {
    return this.barriers.find(({ place, state }) => place === 'at the head' && state === 'waiting');
  }

  /** A gap that follows another one, with nothing in between for any queue, need not be read for by itself. */
  private get lastIfNothingWaitsBehind(): GapBarrier | undefined {
    const last = this.barriers.at(-1);
    const isLast = last?.state === 'waiting' && [...this.queues].every((queue) => queue.endsAt(last));
    return isLast ? last : undefined;
  }

  /**
   * A barrier in line waits for each queue to come to it. One at the head only for nothing to run: a queue that stands in
   * line already waits for others there, and cannot come.
   */
  private isReady(barrier: GapBarrier): boolean {
    if (barrier.place === 'in line') return [...this.queues].every(({ standsAt }) => standsAt === barrier);
    return [...this.queues].every(({ standsAt }) => standsAt !== undefined);
  }

  /** Runs the methods until all have succeeded, or the gate is closed. */
  private async work(barrier: GapBarrier): Promise<void> {
    await Promise.resolve(); // A gap may come in from inside pg's parser.
    const backoff = new Backoff(RETRY);
    while (!this.signal.aborted) {
      await barrier.attempt(this.signal);
      if (barrier.state === 'over') break;
      if (this.absorbOthers(barrier)) {
        backoff.reset();
        continue; // What is newer than the attempt may be why it succeeds now.
      }
      this.retrySooner = new AbortController();
      const sooner = AbortSignal.any([this.signal, this.retrySooner.signal]);
      await this.clock.sleep(backoff.next(), sooner).catch(() => backoff.reset()); // A newer gap, or the end.
    }
    barrier.giveUp();
    this.finish(barrier);
  }

  /** All queues stop for a barrier that has failed: it tells what the others would. Returns whether that is news. */
  private absorbOthers(failed: GapBarrier): boolean {
    const others = this.barriers.filter((barrier) => barrier !== failed);
    this.barriers = [failed];
    const news = others.map((other) => failed.absorb(other));
    this.lookAll();
    return news.includes(true);
  }

  private finish(barrier: GapBarrier): void {
    this.barriers = this.barriers.filter((other) => other !== barrier);
    this.current = undefined;
    this.lookAll();
    this.advance();
    this.tellIfIdle();
  }

  private close(): void {
    for (const barrier of this.barriers) if (barrier !== this.current) barrier.giveUp();
    this.barriers = this.current ? [this.current] : [];
    this.lookAll();
    this.tellIfIdle();
  }

  private lookAll(): void {
    for (const queue of this.queues) queue.look();
  }

  private tellIfIdle(): void {
    if (this.isIdle) for (const resolve of this.idle.splice(0)) resolve();
  }
}
