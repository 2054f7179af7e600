export interface BackoffOptions {
  /** The bound of the first delay, in milliseconds. */
  readonly minDelay: number;
  /** The largest bound, in milliseconds. */
  readonly maxDelay: number;
}

/**
 * Delays between attempts, with full jitter: each is drawn evenly between zero and a bound that doubles. So after a
 * restart of the server its clients do not all reconnect at once.
 *
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export class Backoff {
  private bound: number;

  constructor(
    private readonly options: BackoffOptions,
    private readonly random: () => number = Math.random,
  ) {
    this.bound = options.minDelay;
  }

  /** The next delay, in milliseconds. */
  next(): number {
    const delay = this.random() * this.bound;
    this.bound = Math.min(this.bound * 2, this.options.maxDelay);
    return delay;
  }

  reset(): void {
    this.bound = this.options.minDelay;
  }
}
