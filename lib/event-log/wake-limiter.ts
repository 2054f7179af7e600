/** How many wake-ups a second one channel may have, and how many at once after a pause. */
const RATE = 20;

/** From how many channels on those are forgotten that have had a pause. */
const MOST_REMEMBERED = 1_000;

interface Bucket {
  tokens: number;
  filledAt: number;
}

/**
 * Limits how often the events of one channel wake the consumers: every transaction that notifies takes one lock of the
 * cluster at its commit. A wake-up is a hint; consumers that get none find the events when they look by themselves.
 */
export class WakeLimiter {
  private readonly buckets = new Map<string, Bucket>();

  /** @param now The present, in milliseconds. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Whether an event of this channel may wake now. */
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

  /** A full bucket is the same as none. */
  private forgetFull(now: number): void {
    for (const [channel, bucket] of this.buckets) {
      if (tokensAt(bucket, now) === RATE) this.buckets.delete(channel);
    }
  }
}

function tokensAt({ tokens, filledAt }: Bucket, now: number): number {
  return Math.min(RATE, tokens + ((now - filledAt) * RATE) / 1_000);
}
