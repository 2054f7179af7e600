import type { PgGap, PgGapReason } from '../channel/pg-gap.js';
import { Backoff } from '../time/backoff.js';
import { withEitherSignal } from '../time/abort.js';
import type { Clock } from '../time/clock.js';
import { GapBarrier } from './gap-barrier.js';
import type { GapMethod, HeldQueue } from './gap-barrier.js';
import { IdleWaiters } from './idle-waiters.js';

/** The delays before a failed method is called again, in milliseconds. */
const RETRY = { minDelay: 100, maxDelay: 30_000 };

/**
 * The shortest pause between two runs of the methods for overflows, in milliseconds; at least as long as the last run
 * took. Without it they would read the full state again and again during a long overload. The queues go on during the
 * pause, because stopped queues would drop even more.
 */
const MIN_OVERFLOW_INTERVAL = 1_000;

/**
 * The gap methods of one provider for one channel, and the queues of its handlers that wait for them. A gap is a
 * barrier: each queue stops when it comes to it. When all queues have stopped, the gap methods are called until they
 * succeed, and then all queues go on.
 */
export class GapGate {
  private readonly queues = new Set<HeldQueue>();
  /** The barriers that are not over, oldest first. */
  private barriers: GapBarrier[] = [];
  /** The barrier whose methods run, or have failed and are called again. */
  private current: GapBarrier | undefined;
  /** Ends the pause before the next attempt, while there is one. */
  private retrySooner: AbortController | undefined;
  /** When the methods may run again for overflows only, in milliseconds of the clock. */
  private overflowDueAt = -Infinity;
  /** Ends the wait until then, while there is one. */
  private overflowWait: AbortController | undefined;
  /** Whether a gap has come in since the last attempt began. */
  private hasNews = false;
  private readonly idle = new IdleWaiters(this);

  constructor(
    private readonly methods: readonly GapMethod[],
    private readonly clock: Clock,
    /** Aborted when nothing may run any more. */
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener('abort', () => this.close(), { once: true });
  }

  join(queue: HeldQueue): void {
    this.queues.add(queue);
  }

  /** Whether no gap method runs or is to run, so that no queue is stopped. */
  get isIdle(): boolean {
    return this.barriers.length === 0;
  }

  /** Resolves when it is idle. */
  settled(): Promise<void> {
    return this.idle.settled();
  }

  /** A gap of the channel came in. Each queue stops behind everything that it was given before. */
  announce(gap: PgGap): void {
    const methods = this.methodsFor(gap.reason);
    if (methods.length === 0) return;
    const barrier = this.lastIfNothingWaitsBehind ?? this.open('in line');
    barrier.add(gap, methods);
    this.hasNews = true;
    this.retrySooner?.abort(); // What has failed may succeed now, for the same reason for which this gap came.
    this.advance();
  }

  /**
   * A queue has dropped what was next in it. The methods run as soon as they may be called for overflows again, or
   * together with another gap that they are called for anyway.
   *
   * @param ahead The barrier in line right before what was dropped: what its methods read covers it.
   */
  overflow(gap: PgGap, ahead?: GapBarrier): void {
    const methods = this.methodsFor(gap.reason);
    if (methods.length === 0) return;
    const inLine = ahead?.state === 'waiting' ? ahead : undefined;
    // If a barrier in line covers it, the gap is added there and not to an earlier barrier that is failing. The methods
    // would otherwise be given a later gap first and an earlier one after it.
    const barrier = inLine ?? this.failing ?? this.waitingAtTheHead ?? this.open('at the head');
    barrier.add(gap, methods);
    this.advance();
  }

  /** A queue has stopped at a barrier. */
  arrived(): void {
    this.advance();
  }

  /** Runs the methods of a barrier if all queues stand for it; otherwise lets the queues stop when it is time. */
  private advance(): void {
    if (this.current) return;
    this.current = this.barriers.find((barrier) => this.isReady(barrier));
    const overflow = this.waitingAtTheHead;
    if (this.current)
      void this.work(this.current); // Never rejects.
    else if (overflow && this.isReached(overflow)) this.stopAllFor(overflow);
    else if (overflow) void this.waitForOverflows(); // Never rejects.
  }

  private methodsFor(reason: PgGapReason): readonly GapMethod[] {
    return this.signal.aborted ? [] : this.methods.filter((method) => method.accepts(reason));
  }

  private open(place: GapBarrier['place']): GapBarrier {
    const barrier = new GapBarrier(place);
    this.barriers.push(barrier);
    if (place === 'in line') for (const queue of this.queues) queue.lineUp(barrier);
    return barrier;
  }

  private get failing(): GapBarrier | undefined {
    return this.current?.state === 'failed' ? this.current : undefined;
  }

  private get waitingAtTheHead(): GapBarrier | undefined {
    return this.barriers.find(({ place, state }) => place === 'at the head' && state === 'waiting');
  }

  /**
   * The last barrier, if a new gap can join it: nothing waits between the two in any queue. Otherwise the new gap needs
   * its own read of the state. A notification older than that read must not be handled after it, because newer ones may
   * be lost.
   */
  private get lastIfNothingWaitsBehind(): GapBarrier | undefined {
    const last = this.barriers.at(-1);
    if (last?.state !== 'waiting' && last?.state !== 'failed') return undefined;
    return [...this.queues].every((queue) => queue.endsAt(last)) ? last : undefined;
  }

  /**
   * Whether nothing runs in any queue. For a barrier at the head, a queue may also stand at another barrier, where it
   * waits for the other queues.
   */
  private isReady(barrier: GapBarrier): boolean {
    return this.isReached(barrier) && [...this.queues].every(({ standsAt }) => standsAt !== undefined);
  }

  /** Whether all queues have come to a barrier in line. For a barrier at the head: whether it is due. */
  private isReached(barrier: GapBarrier): boolean {
    if (barrier.place === 'at the head') return this.clock.now() >= this.overflowDueAt;
    return [...this.queues].every(({ standsAt }) => standsAt === barrier);
  }

  /** Waits until the methods may run again for overflows only, then advances. */
  private async waitForOverflows(): Promise<void> {
    if (this.overflowWait) return;
    const over = new AbortController();
    this.overflowWait = over;
    const duration = this.overflowDueAt - this.clock.now();
    const sleep = (signal: AbortSignal): Promise<void> => this.clock.sleep(duration, signal);
    await withEitherSignal([this.signal, over.signal], sleep).catch(() => undefined); // The overflow was absorbed, or the gate was closed.
    this.overflowWait = undefined;
    this.advance();
  }

  /** Runs the methods until all have succeeded, or the gate is closed. */
  private async work(barrier: GapBarrier): Promise<void> {
    this.stopAllFor(barrier); // A queue may stand at a barrier that this one absorbs.
    await Promise.resolve(); // The announcement of the gap must return first.
    const backoff = new Backoff(RETRY);
    while (!this.signal.aborted) {
      this.absorbOverflow(barrier);
      this.hasNews = false;
      const retryDelay = backoff.next();
      const begunAt = this.clock.now();
      const isOverflow = barrier.isOverflow;
      await barrier.attempt(this.signal, retryDelay);
      const endedAt = this.clock.now();
      if (isOverflow) this.overflowDueAt = endedAt + Math.max(endedAt - begunAt, MIN_OVERFLOW_INTERVAL);
      if (barrier.state === 'over') break;
      this.absorbOthers(barrier);
      if (this.hasNews) {
        backoff.reset();
        continue;
      }
      if (!(await this.pause(retryDelay))) backoff.reset();
    }
    barrier.giveUp();
    this.finish(barrier);
  }

  /**
   * Returns whether it lasted for the whole duration, in milliseconds. A newer gap ends it early, and so does the
   * close.
   */
  private async pause(duration: number): Promise<boolean> {
    if (duration <= 0) return true;
    const sooner = new AbortController();
    this.retrySooner = sooner;
    try {
      await withEitherSignal([this.signal, sooner.signal], (over) => this.clock.sleep(duration, over));
      return true;
    } catch {
      return false;
    } finally {
      this.retrySooner = undefined;
    }
  }

  /** The methods of a barrier read the full state, which covers everything that was dropped before. */
  private absorbOverflow(barrier: GapBarrier): void {
    const overflow = this.waitingAtTheHead;
    if (!overflow || overflow === barrier) return;
    barrier.absorb(overflow);
    this.barriers = this.barriers.filter((other) => other !== overflow);
    this.overflowWait?.abort();
  }

  /** All queues stand still for a failed barrier, so it takes over the barriers that come next in all of them. */
  private absorbOthers(failed: GapBarrier): void {
    for (const other of this.barriers.filter((barrier) => barrier !== failed)) {
      const isNext = other.place === 'at the head' || [...this.queues].every((queue) => queue.comesNextTo(other));
      if (isNext) failed.absorb(other);
    }
    this.barriers = this.barriers.filter(({ state }) => state !== 'over');
    this.goOnAll(); // Queues that stood at one of these stop for the failed one.
  }

  private finish(barrier: GapBarrier): void {
    this.barriers = this.barriers.filter((other) => other !== barrier);
    this.current = undefined;
    this.goOnAll();
    this.advance();
    this.idle.update();
  }

  private close(): void {
    for (const barrier of this.barriers) if (barrier !== this.current) barrier.giveUp();
    this.barriers = this.current ? [this.current] : [];
    this.goOnAll();
    this.idle.update();
  }

  private stopAllFor(barrier: GapBarrier): void {
    for (const queue of this.queues) queue.stopFor(barrier);
  }

  private goOnAll(): void {
    for (const queue of this.queues) queue.goOnSoon();
  }
}
