import { mergeGaps } from '../channel/pg-gap.js';
import type { PgGap, PgGapReason } from '../channel/pg-gap.js';

/** A queue as a gate sees it: one that can be held. */
export interface HeldQueue {
  /** The barrier at which it stands: nothing of it runs, and nothing will before that barrier is over. */
  readonly standsAt: GapBarrier | undefined;
  /** Whether it is to come to this barrier next, with nothing that waits behind it. */
  endsAt(barrier: GapBarrier): boolean;
  /** Whether nothing waits between the place where it stands and this barrier. */
  comesNextTo(barrier: GapBarrier): boolean;
  /** Looks, soon, for what it has to do now. */
  look(): void;
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

  /**
   * @param inLine The queues that come to it behind all that they were given before. The others stop for it then, and where
   * it has none, all of them stop for it at once.
   */
  constructor(readonly inLine: ReadonlySet<HeldQueue>) {}

  get isAtTheHead(): boolean {
    return this.inLine.size === 0;
  }

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
