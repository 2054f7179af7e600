/**
 * A moment by both clocks. The monotonic clock may stand still while a machine sleeps, and the wall clock may be set,
 * so neither alone reliably shows later when something happened.
 */
export class Moment {
  private readonly wallTime = Date.now();

  /** @param time Now, in milliseconds of `performance.now()`. */
  constructor(readonly time: number = performance.now()) {}

  /** The earlier of the times by the two clocks, as a time of the wall clock as it is set now. */
  toDate(): Date {
    return new Date(Math.min(this.wallTime, Date.now() - (performance.now() - this.time)));
  }
}
