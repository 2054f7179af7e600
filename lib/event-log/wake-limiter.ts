/** The wake-ups of one channel for each second, and the largest burst. */
const RATE = 20;

/** With so many channels, those with a full bucket are forgotten. */
const MOST_REMEMBERED = 1_000;

interface Bucket {
  tokens: number;
  filledAt: number;
}

/**
 * Limits how often the events of one channel wake the consumers, because every transaction that notifies takes a lock of the
 * whole cluster at its commit. A wake-up is only a hint: without one, consumers find the events at their next poll.
 */
export class WakeLimiter {
  private readonly buckets = new Map<string, Bucket>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Takes a wake-up of the channel's allowance. False if there is none left. */
  take(channel: string): boolean {
    const now = this.now();
    const bucket = this.buckets.get(channel) ?? this.add(channel, now);
    bucket.tokens = tokensAt(bucket, now);
    bucket.filledAt = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  private add(channel: string, now: number): Bucket {
    if (this.buckets.size >= MOST_REMEMBERED) this.forgetFull(now);
    const bucket = { tokens: RATE, filledAt: now };
    this.buckets.set(channel, bucket);
    return bucket;
  }

  /** A channel with a full bucket is treated like an unknown one. */
  private forgetFull(now: number): void {
    for (const [channel, bucket] of this.buckets) {
      if (tokensAt(bucket, now) === RATE) this.buckets.delete(channel);
    }
  }
}

function tokensAt({ tokens, filledAt }: Bucket, now: number): number {
  return Math.min(RATE, tokens + ((now - filledAt) * RATE) / 1_000);
}
