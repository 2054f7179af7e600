import { quoteLiteral } from '../executor/sql-text.js';
import { eventTables } from './event-log-schema.js';
import { hiddenTables } from './event-row-security.js';
import { CONTAINS, EQ, fromNow, GE, GT, LT, MINUS, MOD, NE, PLUS, value } from './sql-operators.js';

/** The snapshot in which nothing is visible. */
export const BEGINNING = '1:1:';

/** The columns that are read of an event. Times are seconds since 1970, because their text depends on the session's settings. */
export function eventColumns(alias: string): string {
  const column = (name: string): string => `${alias}.${name}`;
  return `${column('seq')}::pg_catalog.text AS seq, ${column('id')}::pg_catalog.text AS id, ${column('channel')}, ${column('key')},
    ${column('payload')}::pg_catalog.text AS payload, ${column('headers')}::pg_catalog.text AS headers,
    pg_catalog.date_part('epoch', ${column('created_at')}) AS published`;
}

/** Whether an event belongs to a shard. `shard` and `shards` are SQL expressions: its number, and how many there are. */
export function isOfShard(event: string, shard: string, shards: string): string {
  const hash = `pg_catalog.hashtextextended(${event}.key, 0)`;
  return `CASE WHEN ${event}.key IS NULL THEN ${event}.seq ${MOD} ${shards}
      ELSE (${hash} ${MOD} ${shards} ${PLUS} ${shards}) ${MOD} ${shards} END ${EQ} ${shard}`;
}

/**
 * An event is new since a snapshot if its transaction began after the snapshot, or was in progress when it was taken. Without
 * the second condition, events of transactions that commit late are lost.
 */
export function begunAfter(event: string, snapshot: string): string {
  return `${event}.xid ${GE} pg_catalog.pg_snapshot_xmax(${snapshot})`;
}
export function inProgressAt(event: string, snapshot: string): string {
  return `${event}.xid ${EQ} ANY (ARRAY(SELECT pg_catalog.pg_snapshot_xip(${snapshot})))`;
}

function isVisible(event: string, snapshot: string): string {
  return `pg_catalog.pg_visible_in_snapshot(${event}.xid, ${snapshot})`;
}

/**
 * The statements of one shard. Parameters 1 to 3 are the consumer, the shard and the epoch; but `claim` and `failures` take no
 * epoch, and the only parameter of `events` is an array of positions.
 */
export function shardStatements(schema: string) {
  const { event, consumer, failure } = eventTables(schema);
  const channel = quoteLiteral(schema);
  const name = value(1, 'text');
  const shard = value(2, 'int4');
  const epoch = value(3, 'int8');
  const isOwn = (alias: string): string =>
    `${alias}.name ${EQ} ${name} AND ${alias}.shard ${EQ} ${shard} AND ${alias}.epoch ${EQ} ${epoch}`;
  const hold = `CASE WHEN pg_catalog.count(*) ${EQ} 0 THEN 'fenced' WHEN pg_catalog.bool_or(fence.paused) THEN 'paused' ELSE 'held' END AS hold`;
  /** Parameters 4 to 9: `done`, `open`, `page`, the lease in seconds, `attempts`, the last error. */
  const move = `UPDATE ${consumer} AS c SET done = ${value(4, 'pg_snapshot')}, open = ${value(5, 'pg_snapshot')}, page = ${value(6, 'int8')},
      lease_until = ${fromNow(value(7, 'float8'))}, attempts = ${value(8, 'int4')}, last_error = ${value(9, 'text')},
      crashes = 0, suspect = NULL
    WHERE ${isOwn('c')} RETURNING c.name, c.shard, c.paused`;
  /** Parameters 4 to 6: `done`, the channels, the limit. @param shards Which parameter is the number of shards; false for one shard. */
  const isWanted = (alias: string, shards: number | false): string =>
    `${alias}.channel ${EQ} ANY ($5::pg_catalog.text[])${shards ? ` AND ${isOfShard(alias, shard, `$${shards}::pg_catalog.int4`)}` : ''}`;
  // An instance without all of the consumer's channels pauses: it would move the cursor past the other channels' events.
  const page = (from: string, columns: string): string => `SELECT ${columns},
      (SELECT c.paused OR NOT $5::pg_catalog.text[] ${CONTAINS} c.channels FROM ${consumer} AS c WHERE ${isOwn('c')}) AS paused,
      (SELECT ${hiddenTables(schema, ['event'])}) AS hidden, ${eventColumns('p')}
    FROM (SELECT) AS one LEFT JOIN ${from} AS p ON true ORDER BY p.seq`;
  const done = '$4::pg_catalog.pg_snapshot';
  const now = 'pg_catalog.pg_current_snapshot()';

  return {
    /** Parameters: owner, how many shards, lease in seconds, channels. Without an `epoch` the shard is not to be had. */
    claim: `WITH security AS MATERIALIZED (SELECT ${hiddenTables(schema, ['event', 'consumer', 'failure'])} AS hidden
    ), free AS (
      SELECT c.name, c.shard, CASE WHEN c.owner ${NE} ${value(3, 'text')} THEN c.owner END AS lost,
        pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() ${MINUS} c.lease_until) AS expired
      FROM ${consumer} AS c, security
      WHERE security.hidden ${EQ} '' AND c.name ${EQ} ${name} AND c.shard ${EQ} ${shard} AND c.shards ${EQ} ${value(4, 'int4')} AND NOT c.paused
        AND $6::pg_catalog.text[] ${CONTAINS} c.channels
        AND (c.owner IS NULL OR c.owner ${EQ} ${value(3, 'text')} OR c.lease_until ${LT} pg_catalog.clock_timestamp())
      FOR UPDATE OF c SKIP LOCKED
    ), claimed AS (
    UPDATE ${consumer} AS c SET owner = ${value(3, 'text')}, lease_until = ${fromNow(value(5, 'float8'))},
      epoch = c.epoch ${PLUS} 1, crashes = c.crashes ${PLUS} CASE WHEN free.lost IS NULL THEN 0 ELSE 1 END
    FROM free WHERE c.name ${EQ} free.name AND c.shard ${EQ} free.shard
    RETURNING c.epoch::pg_catalog.text AS epoch, c.done::pg_catalog.text AS done, c.open::pg_catalog.text AS open,
      c.page::pg_catalog.text AS page, c.attempts, c.crashes, c.suspect::pg_catalog.text AS suspect, free.lost, free.expired,
      c.cluster ${NE} (SELECT s.system_identifier FROM pg_catalog.pg_control_system() AS s) AS isforeign)
    SELECT claimed.*, known.channels IS NOT NULL AS isknown, $6::pg_catalog.text[] ${CONTAINS} known.channels AS takesall,
      pg_catalog.array_to_json(known.channels)::pg_catalog.text AS channels, security.hidden
    FROM security LEFT JOIN claimed ON true
      LEFT JOIN ${consumer} AS known ON known.name ${EQ} ${name} AND known.shard ${EQ} ${shard}`,

    failures: `SELECT f.seq::pg_catalog.text AS seq, f.key, f.attempts,
      pg_catalog.date_part('epoch', f.due_at ${MINUS} pg_catalog.clock_timestamp()) AS due
    FROM ${failure} AS f WHERE f.consumer ${EQ} ${name} AND f.shard ${EQ} ${shard} AND f.state ${EQ} 'retry' ORDER BY f.seq`,

    events: `SELECT ${eventColumns('e')} FROM ${event} AS e WHERE e.seq ${EQ} ANY ($1::pg_catalog.int8[]) ORDER BY e.seq`,

    /**
     * The first page of events that are new since `done`. ORDER BY and LIMIT make PostgreSQL use the index on transactions even
     * without statistics. If it has seen `window` rows, others may have smaller positions: use `firstOfMany`.
     */
    first: (window: number, isSharded: boolean) => `WITH fresh AS MATERIALIZED (
      SELECT e.* FROM ${event} AS e WHERE ${begunAfter('e', done)} ORDER BY e.xid LIMIT ${window}
    ), new AS MATERIALIZED (
      SELECT * FROM fresh UNION ALL SELECT e.* FROM ${event} AS e WHERE ${inProgressAt('e', done)}
    ), page AS (
      SELECT e.* FROM new AS e WHERE ${isWanted('e', isSharded && 7)} AND ${isVisible('e', now)} ORDER BY e.seq LIMIT $6::pg_catalog.int8)
    ${page('page', `${now}::pg_catalog.text AS open, (SELECT pg_catalog.count(*)::pg_catalog.int4 FROM fresh) AS seen`)}`,

    /** The same for any number of events, all of which it sorts. It runs once for a range: `next` reads by position. */
    firstOfMany: (isSharded: boolean) => `WITH new AS MATERIALIZED (
      SELECT e.seq FROM ${event} AS e WHERE ${begunAfter('e', done)} AND ${isWanted('e', isSharded && 7)} AND ${isVisible('e', now)}
      UNION ALL
      SELECT e.seq FROM ${event} AS e WHERE ${inProgressAt('e', done)} AND ${isWanted('e', isSharded && 7)} AND ${isVisible('e', now)}
    ), page AS MATERIALIZED (SELECT n.seq FROM new AS n ORDER BY n.seq LIMIT $6::pg_catalog.int8)
    ${page(`(SELECT e.* FROM ${event} AS e WHERE e.seq ${EQ} ANY (ARRAY(SELECT n.seq FROM page AS n)))`, `${now}::pg_catalog.text AS open`)}`,

    /** Begins a range that takes too long to sort: it returns the range's end and no event. `next` then reads from position 0. */
    firstOfAll: `SELECT ${now}::pg_catalog.text AS open, (SELECT c.paused FROM ${consumer} AS c WHERE ${isOwn('c')}) AS paused`,

    /** The next page after a position, by primary key, of events that are visible in `open` and not in `done`. */
    next: (window: number, isSharded: boolean) => `WITH seen AS MATERIALIZED (
      SELECT e.* FROM ${event} AS e WHERE e.seq ${GT} $7::pg_catalog.int8 ORDER BY e.seq LIMIT ${window}
    ), page AS (
      SELECT e.* FROM seen AS e WHERE ${isVisible('e', '$8::pg_catalog.pg_snapshot')} AND NOT ${isVisible('e', done)}
        AND ${isWanted('e', isSharded && 9)} ORDER BY e.seq LIMIT $6::pg_catalog.int8)
    ${page('page', `(SELECT pg_catalog.count(*)::pg_catalog.int4 FROM seen) AS seen, (SELECT pg_catalog.max(s.seq)::pg_catalog.text FROM seen AS s) AS last`)}`,

    move: `WITH fence AS (
    ${move})
    SELECT ${hold}, pg_catalog.pg_current_xact_id()::pg_catalog.text AS xact FROM fence`,

    /** As `move`. Parameters 10 and 11: failures as JSON, positions of settled failures as the text of an array. */
    settle: `WITH fence AS (
    ${move}
    ), failed AS (
      INSERT INTO ${failure} AS f (consumer, shard, seq, key, state, attempts, due_at, last_error)
      SELECT fence.name, fence.shard, x.seq, x.key, x.state, x.attempts, ${fromNow('x.delay')}, x.error
      FROM fence, pg_catalog.json_to_recordset(${value(10, 'json')})
        AS x(seq pg_catalog.int8, key pg_catalog.text, state pg_catalog.text, attempts pg_catalog.int4, delay pg_catalog.float8, error pg_catalog.text)
      ON CONFLICT (consumer, shard, seq) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
        due_at = excluded.due_at, last_error = excluded.last_error, failed_at = excluded.failed_at
    ), gone AS (
      DELETE FROM ${failure} AS f USING fence
      WHERE f.consumer ${EQ} fence.name AND f.shard ${EQ} fence.shard AND f.seq ${EQ} ANY (${value(11, 'int8[]')}))
    SELECT ${hold}, pg_catalog.pg_current_xact_id()::pg_catalog.text AS xact FROM fence`,

    /** Parameter 4: the lease in seconds. */
    renew: `WITH fence AS (
      UPDATE ${consumer} AS c SET lease_until = ${fromNow(value(4, 'float8'))} WHERE ${isOwn('c')} RETURNING c.paused)
    SELECT ${hold} FROM fence`,

    suspect: `UPDATE ${consumer} AS c SET suspect = ${value(4, 'int8')} WHERE ${isOwn('c')} RETURNING c.shard`,

    release: `WITH released AS (
      UPDATE ${consumer} AS c SET owner = NULL, lease_until = NULL, crashes = 0 WHERE ${isOwn('c')} RETURNING 1)
    SELECT pg_catalog.count(pg_catalog.pg_notify(${channel}, '')) AS woken FROM released`,
  };
}

export type ShardStatements = ReturnType<typeof shardStatements>;
