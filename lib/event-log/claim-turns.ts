import type { Clock } from '../time/clock.js';

/** How long an instance waits after claiming a shard before it claims another, in milliseconds. */
export const CLAIM_INTERVAL = 200;

/** Spaces the claims of one instance, so that instances that start together share the shards of a consumer. */
export class ClaimTurns {
  private claimedAt = -Infinity;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly shards: number,
    private readonly clock: Pick<Clock, 'now'>,
  ) {}

  /**
   * Calls `claim` after the earlier calls. Resolves with `later` if the last claim is too recent.
   *
   * @param claim Resolves with undefined if the shard has another owner.
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
