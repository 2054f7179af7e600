/**
 * The most channels that one statement changes. The server compares each LISTEN of a transaction with all earlier ones,
 * and sends nothing meanwhile: 40,000 at once took 5.4 s, and in parts of 1,000 the longest took 0.3 s (PostgreSQL
 * 18.4).
 */
const MAX_CHANNELS = 1_000;

/** The fewest that a slow server is sent at a time, so that many channels do not become one statement each. */
const FEWEST_CHANNELS = 100;

/**
 * The part of the timeout that a statement may take; after a slower one, the next one changes fewer channels. With
 * 24,000 channels on a starved server, 1,000 at once took longer than the timeout.
 */
const SLOW_SHARE = 1 / 2;

/** How many channels one statement of a session may change: fewer if the server is slow. */
export class ChannelParts {
  private size = MAX_CHANNELS;

  /** @param timeout How long the server may be silent before it answers, in milliseconds. */
  constructor(private readonly timeout: number) {}

  get most(): number {
    return this.size;
  }

  /** A statement that changes channels has taken so long, in milliseconds. */
  took(duration: number): void {
    const slow = this.timeout * SLOW_SHARE;
    if (duration > slow) this.size = Math.max(FEWEST_CHANNELS, Math.ceil(this.size / 2));
    else if (duration < slow / 4) this.size = Math.min(MAX_CHANNELS, this.size * 2);
  }

  /** Cuts channels into parts for one statement each. */
  *of(channels: readonly string[]): Iterable<readonly string[]> {
    for (let from = 0; from < channels.length;) {
      const part = channels.slice(from, from + this.size);
      from += part.length;
      yield part;
    }
  }
}
