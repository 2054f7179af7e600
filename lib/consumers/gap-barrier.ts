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
   * Rejects when the state could not be read: it is called again then.
   *
   * @param retryDelay How long after a failure it is called again, in milliseconds; sooner if a newer gap comes.
   */
  run(gap: PgGap, retryDelay: number): Promise<void>;
}

/** Where the queues of one provider and channel stop, until its gap methods have read the full state again. */
export class GapBarrier {
  /** What each method is still to be told; several gaps as one. */
  private readonly pending = new Map<GapMethod, PgGap>();
  state: 'waiting' | 'running' | 'failed' | 'over' = 'waiting';

  /** @param place Whether the queues stop before everything that waits in them, or behind it. */
  constructor(readonly place: 'at the head' | 'in line') {}

  /** Adds a gap to what the methods are told when they run the next time. */
  add(gap: PgGap, methods: readonly GapMethod[]): void {
    for (const method of methods) this.tell(method, gap);
  }

  /** Whether nothing but overflows is to be told. */
  get isOverflow(): boolean {
    return [...this.pending.values()].every(({ reason }) => reason === 'overflow');
  }

  /** Takes over what another one would tell, which is over then. */
  absorb(other: GapBarrier): void {
    for (const [method, gap] of other.pending) this.tell(method, gap);
    other.state = 'over';
  }

  /** Nothing is told any more. */
  giveUp(): void {
    this.pending.clear();
    this.state = 'over';
  }

  /** Runs the methods, one after the other. It is over when all have succeeded; what those that failed were told is kept. */
  async attempt(signal: AbortSignal, retryDelay: number): Promise<void> {
    this.state = 'running';
    const told = [...this.pending];
    this.pending.clear();
    for (const [method, gap] of told) {
      if (!signal.aborted) await method.run(gap, retryDelay).catch(() => this.tell(method, gap)); // Reported by itself.
    }
    this.state = this.pending.size === 0 ? 'over' : 'failed';
  }

  private tell(method: GapMethod, gap: PgGap): void {
    const other = this.pending.get(method);
    this.pending.set(method, other ? mergeGaps(other, gap) : gap);
  }
}
