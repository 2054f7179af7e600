/**
 * Why notifications may have been missed:
 *
 * - `start`: this consumer begins to listen now; what was sent before is not known to it.
 * - `reconnect`: the listening connection was lost and is back.
 * - `relisten`: the server had stopped to listen to the channel on a live connection, and listens again.
 * - `undelivered`: the delivery check had failed, or one of its notifications was lost, and notifications arrive again.
 * - `overflow`: more arrived than a handler could take; the oldest that waited were dropped.
 */
export type PgGapReason = 'start' | 'reconnect' | 'relisten' | 'undelivered' | 'overflow';

export const GAP_REASONS: readonly PgGapReason[] = ['start', 'reconnect', 'relisten', 'undelivered', 'overflow'];

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
   * to be well; absent when there was none before. For `overflow`
   * when the first that was dropped had been received. Not a bound for a read of what changed: read the full state.
   */
  readonly since?: Date;
  /**
   * When the server acknowledged that it listens (again), or when notifications arrived again; for `overflow` when the
   * last that was dropped had been received.
   */
  readonly until: Date;
  /** How many notifications were dropped since the gap before, exactly; absent where nobody can know. */
  readonly dropped?: number;
}

/**
 * Merges two gaps that a consumer has not been given yet, in whichever order they came: the result covers both. It keeps
 * the reason that asks for more: `start` says that nothing at all is known, and an overflow loses less than a connection.
 */
export function mergeGaps(one: PgGap, other: PgGap): PgGap {
  const { channel } = one;
  const [older, newer] = one.until <= other.until ? [one, other] : [other, one];
  const reason = [one, other].some((gap) => gap.reason === 'start')
    ? 'start'
    : newer.reason === 'overflow'
      ? older.reason
      : newer.reason;
  // Where one of them does not know when it began, nobody knows.
  const since = one.since && other.since && (one.since <= other.since ? one.since : other.since);
  const dropped = (one.dropped ?? 0) + (other.dropped ?? 0);
  return { channel, reason, ...(since && { since }), until: newer.until, ...(dropped > 0 && { dropped }) };
}
