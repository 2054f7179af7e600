import type { Clock } from '../time/clock.js';

/** How long a consumer waits before it looks again while events flow, in milliseconds. */
const SHORTEST = 20;
/** For how long after the last event it goes on looking that often, in milliseconds. */
const FLOWING = 1_000;

/** How often a consumer looks by itself: often while events flow, and half as often after each look that finds none. */
export class PollPace {
  private current = SHORTEST;
  private flowedAt = -Infinity;

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  /** How long to wait before the next look, in milliseconds. */
  get delay(): number {
    return this.current;
  }

  /** There was something: the next look comes soon. */
  flowed(): void {
    this.quicken();
    this.flowedAt = this.clock.now();
  }

  /** There may be something. */
  quicken(): void {
    this.current = SHORTEST;
  }

  /** There was nothing. @param longest The longest wait, in milliseconds. */
  slowDown(longest: number): void {
    if (this.clock.now() - this.flowedAt < FLOWING) return;
    this.current = Math.min(longest, this.current * 2);
  }

  /** The next look has to come after this time, in milliseconds. */
  waitFor(delay: number): void {
    this.current = delay;
  }
}
