/**
 * A moment as both clocks had it. While a machine sleeps the monotonic clock may stand still, and the wall clock may be
 * set, or jump: neither says reliably afterwards when something was.
 */
export class Moment {
  private readonly wallTime = Date.now();

  /** @param time Now, in milliseconds of `performance.now()`. */
  constructor(readonly time: number = performance.now()) {}

  /** The earlier of what the two clocks say, by the wall clock as it is set now. */
  toDate(): Date {
    return new Date(Math.min(this.wallTime, Date.now() - (performance.now() - this.time)));
  }
}
