/**
 * Why notifications may have been missed:
 *
 * - `start`: this consumer begins to listen now. It has missed everything that was sent before.
 * - `reconnect`: the listening connection was lost and is back.
 * - `relisten`: the server had stopped listening to the channel although the connection was alive, and listens again.
 * - `undelivered`: the delivery check had failed, or one of its notifications was lost, and notifications arrive again.
 * - `overflow`: more notifications arrived than a handler could take, and the oldest were dropped.
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
   * For `reconnect`: the last sign of life of the lost connection. For `relisten` and `undelivered`: the last moment at
   * which everything was known to be well. For `overflow`: when the first dropped notification had been received.
   * Absent if there was no such moment. Do not use it to read only what has changed since: read the full state.
   */
  readonly since?: Date;
  /**
   * When the server acknowledged that it listens (again), or when notifications arrived again. For `overflow`: when the
   * last dropped notification had been received.
   */
  readonly until: Date;
  /** The exact number of notifications dropped since the last gap; absent if it cannot be known. */
  readonly dropped?: number;
}

/**
 * Merges two gaps that a consumer has not been given yet, in any order. The result covers both, and has the reason of
 * the larger loss: `start` means that nothing is known, and an overflow loses less than a lost connection.
 */
export function mergeGaps(one: PgGap, other: PgGap): PgGap {
  const { channel } = one;
  const [older, newer] = one.until <= other.until ? [one, other] : [other, one];
  const reason = [one, other].some((gap) => gap.reason === 'start')
    ? 'start'
    : newer.reason === 'overflow'
      ? older.reason
      : newer.reason;
  // If the begin of one gap is unknown, so is that of both.
  const since = one.since && other.since && (one.since <= other.since ? one.since : other.since);
  const dropped = (one.dropped ?? 0) + (other.dropped ?? 0);
  return { channel, reason, ...(since && { since }), until: newer.until, ...(dropped > 0 && { dropped }) };
}
