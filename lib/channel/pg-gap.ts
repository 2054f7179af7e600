/**
 * Why notifications may have been missed:
 *
 * - `start`: this consumer begins to listen now; what was sent before is not known to it.
 * - `reconnect`: the listening connection was lost and is back.
 * - `relisten`: the server had stopped to listen to the channel on a live connection, and listens again.
 * - `undelivered`: the delivery check had failed, or one of its notifications was lost, and notifications arrive again.
 */
export type PgGapReason = 'start' | 'reconnect' | 'relisten' | 'undelivered';

/**
 * A stretch in which notifications of a channel may have been lost. It is announced after the server has
 * acknowledged that it listens again, and before the first notification that follows: a consumer that reads the
 * full state now misses nothing.
 */
export interface PgGap {
  readonly channel: string;
  readonly reason: PgGapReason;
  /**
   * For `reconnect` the last sign of life of the lost connection, for `relisten` and `undelivered` when all was last known
   * to be well; absent when there was none before. Not a bound for a read of what changed: read the full state.
   */
  readonly since?: Date;
  /** When the server acknowledged that it listens (again), or when notifications arrived again. */
  readonly until: Date;
}
