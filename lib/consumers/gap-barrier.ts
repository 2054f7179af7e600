import { mergeGaps } from '../channel/pg-gap.js';
import type { PgGap, PgGapReason } from '../channel/pg-gap.js';

/** A queue as its gate sees it. The gate asks it and gives it orders; the queue only reports to the gate. */
export interface HeldQueue {
  /** The barrier at which it stands: nothing of it runs, and nothing will before that barrier is over. */
  readonly standsAt: GapBarrier | undefined;
  /** Whether this barrier is the last thing in it. */
  endsAt(barrier: GapBarrier): boolean;
  /** Whether nothing waits between the place where it stands and this barrier. */
  comesNextTo(barrier: GapBarrier): boolean;
  /** Puts a barrier behind everything that the queue was given before. */
  lineUp(barrier: GapBarrier): void;
  /** Makes it stop at this barrier as soon as nothing runs, whatever waits in it. */
  stopFor(barrier: GapBarrier): void;
  /** Makes it go on in a microtask, if no barrier stops it any more. */
  goOnSoon(): void;
}

/** A method that reads the full state again. */
export interface GapMethod {
  accepts(reason: PgGapReason): boolean;
  /**
   * Rejects if the state could not be read; it is then called again.
   *
   * @param retryDelay The delay before that call, in milliseconds. A newer gap ends it early.
   */
  run(gap: PgGap, retryDelay: number): Promise<void>;
}

/** The queues of one provider and channel stop at it until the gap methods have read the full state again. */
export class GapBarrier {
  /** The gap that each method has still to be called for; several gaps are merged into one. */
  private readonly pending = new Map<GapMethod, PgGap>();
  state: 'waiting' | 'running' | 'failed' | 'over' = 'waiting';

  /** @param place Whether the queues stop before everything that waits in them, or behind it. */
  constructor(readonly place: 'at the head' | 'in line') {}

  /** Adds a gap to the ones that these methods are called for next time. */
  add(gap: PgGap, methods: readonly GapMethod[]): void {
    for (const method of methods) this.tell(method, gap);
  }

  /** Whether the methods are to be called for overflows only. */
  get isOverflow(): boolean {
    return [...this.pending.values()].every(({ reason }) => reason === 'overflow');
  }

  /** Takes over the gaps of another barrier, which is then over. */
  absorb(other: GapBarrier): void {
    for (const [method, gap] of other.pending) this.tell(method, gap);
    other.state = 'over';
  }

  /** Drops its gaps; no method is called any more. */
  giveUp(): void {
    this.pending.clear();
    this.state = 'over';
  }

  /**
   * Calls the methods one after the other. The barrier is over when all have succeeded; failed methods keep their gaps.
   */
  async attempt(signal: AbortSignal, retryDelay: number): Promise<void> {
    this.state = 'running';
    const told = [...this.pending];
    this.pending.clear();
    for (const [method, gap] of told) {
      if (!signal.aborted) await method.run(gap, retryDelay).catch(() => this.tell(method, gap)); // The method reports its failure.
    }
    this.state = this.pending.size === 0 ? 'over' : 'failed';
  }

  private tell(method: GapMethod, gap: PgGap): void {
    const other = this.pending.get(method);
    this.pending.set(method, other ? mergeGaps(other, gap) : gap);
  }
}
