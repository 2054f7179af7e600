import type { TestDatabase } from '../../support/postgres.js';
import type { StoredMessage } from './broker.js';

/** What the log and a broker say of each other. */
export interface Verdict {
  readonly published: number;
  /** Events of the log that the broker does not have. */
  readonly lost: number;
  /** Messages that are no event of the log. */
  readonly phantom: number;
  /** Messages whose event was there already. */
  readonly twice: number;
  /** Events that came for the first time behind a later one of their key. */
  readonly outOfOrder: number;
}

/** @param after Judges the events that stand behind this position of the log. */
export async function judge(database: TestDatabase, stored: readonly StoredMessage[], after: bigint): Promise<Verdict> {
  const { rows } = await database.query<{ id: string; seq: string }>('SELECT id, seq FROM nest_events.event');
  const positions = new Map(rows.map(({ id, seq }) => [id, BigInt(seq)]));
  const seen = new Set<string>();
  const last = new Map<string, number>();
  let [phantom, twice, outOfOrder] = [0, 0, 0];
  for (const { id, key, n } of stored) {
    const position = positions.get(id);
    if (position === undefined) phantom += 1;
    else if (position > after) {
      if (seen.has(id)) twice += 1;
      else if (n < (last.get(key) ?? 0)) outOfOrder += 1;
      if (!seen.has(id)) last.set(key, Math.max(n, last.get(key) ?? 0));
      seen.add(id);
    }
  }
  const published = [...positions.values()].filter((position) => position > after).length;
  return { published, lost: published - seen.size, phantom, twice, outOfOrder };
}

/** The last position of the log. */
export async function lastPosition(database: TestDatabase): Promise<bigint> {
  const { rows } = await database.query<{ last: string }>(
    'SELECT coalesce(max(seq), 0)::text AS last FROM nest_events.event',
  );
  return BigInt(rows[0]!.last);
}
