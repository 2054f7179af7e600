import type { Clock } from '../time/clock.js';

/** How long after a shard an instance leaves the next one to others, in milliseconds. */
const INTERVAL = 1_000;

/** Lets an instance claim the shards of a consumer one after the other, so that several instances share them. */
export class ClaimTurns {
  private claimedAt = -Infinity;
  private isTaken = false;

  constructor(
    private readonly shards: number,
    private readonly clock: Pick<Clock, 'now'>,
  ) {}

  /** Tries to claim a shard, if it is time; `claim` comes to undefined if the shard is not to be had. */
  async take<T>(claim: () => Promise<T | undefined>): Promise<T | undefined> {
    if (this.shards === 1) return claim();
    if (this.isTaken || this.clock.now() - this.claimedAt < INTERVAL) return undefined;
    this.isTaken = true;
    try {
      const claimed = await claim();
      if (claimed !== undefined) this.claimedAt = this.clock.now();
      return claimed;
    } finally {
      this.isTaken = false;
    }
  }
}
