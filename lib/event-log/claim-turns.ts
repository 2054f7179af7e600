import type { Clock } from '../time/clock.js';

/** How long after a shard an instance leaves the next one to others, in milliseconds. */
export const CLAIM_INTERVAL = 200;

/** Lets an instance claim the shards of a consumer one after the other, so that several instances share them. */
export class ClaimTurns {
  private claimedAt = -Infinity;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly shards: number,
    private readonly clock: Pick<Clock, 'now'>,
  ) {}

  /**
   * Tries to claim a shard, after those that were tried before. Comes to `later` if it is not time yet.
   *
   * @param claim Comes to undefined if the shard is not to be had.
   */
  take<T>(claim: () => Promise<T | undefined>): Promise<T | 'later' | undefined> {
    if (this.shards === 1) return claim();
    const turn = this.last.then(async () => {
      if (this.clock.now() - this.claimedAt < CLAIM_INTERVAL) return 'later';
      const claimed = await claim();
      if (claimed !== undefined) this.claimedAt = this.clock.now();
      return claimed;
    });
    this.last = turn.catch(() => undefined);
    return turn;
  }
}
