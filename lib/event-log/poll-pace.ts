import type { Clock } from '../time/clock.js';

/** The interval while events flow, in milliseconds. */
const SHORTEST = 20;
/** How long after the last event it stays that short, in milliseconds. */
const FLOWING = 1_000;

/** The polling interval of a consumer: short while events flow, then doubled by each poll that finds nothing. */
export class PollPace {
  private current = SHORTEST;
  private flowedAt = -Infinity;

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  /** The time until the next poll, in milliseconds. */
  get delay(): number {
    return this.current;
  }

  /** Call it if the poll found something. */
  flowed(): void {
    this.quicken();
    this.flowedAt = this.clock.now();
  }

  /** Call it if there may be new events. */
  quicken(): void {
    this.current = SHORTEST;
  }

  /** Call it if the poll found nothing. @param longest The longest interval, in milliseconds. */
  slowDown(longest: number): void {
    if (this.clock.now() - this.flowedAt < FLOWING) return;
    this.current = Math.min(longest, this.current * 2);
  }

  /** Sets the time until the next poll, in milliseconds. */
  waitFor(delay: number): void {
    this.current = delay;
  }
}
