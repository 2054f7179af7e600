import { quoteLiteral } from '../executor/sql-text.js';
import { eventTables } from './event-log-schema.js';
import { hiddenTables } from './event-row-security.js';
import { BEGINNING, begunAfter, eventColumns, inProgressAt, isOfShard } from './event-statements.js';
import { EQ, fromNow, GE, GT, LE, LT, MINUS, NE, PLUS, value } from './sql-operators.js';

/** How many unsettled events are read to count the waiting ones. It bounds the duration of the query. */
const MOST_COUNTED = 100_000;

const HERE = '(SELECT s.system_identifier FROM pg_catalog.pg_control_system() AS s)';

const isVisible = (alias: string, snapshot: string): string =>
  `pg_catalog.pg_visible_in_snapshot(${alias}.xid, ${snapshot})`;

/**
 * The statements of the administration, and those that an application runs when it starts. Parameter 1 is the consumer's name,
 * unless a comment says otherwise.
 */
export function adminStatements(schema: string) {
  const { event, consumer, failure, version } = eventTables(schema);
  const channel = quoteLiteral(schema);
  const name = value(1, 'text');
  /** For a SELECT list: wakes every instance. PostgreSQL folds the equal wake-ups of a transaction. */
  const wake = `pg_catalog.count(pg_catalog.pg_notify(${channel}, '')) AS woken`;
  const ofConsumer = `c.name ${EQ} ${name}`;
  /** Dead letters of the consumer. Parameter 2: the ids of their events as the text of an array, or null for all. */
  const deadLetters = (alias: string): string =>
    `${alias}.consumer ${EQ} ${name} AND ${alias}.state ${EQ} 'dead' AND (${value(2, 'text')} IS NULL OR EXISTS (
      SELECT FROM ${event} AS e WHERE e.seq ${EQ} ${alias}.seq AND e.id ${EQ} ANY (${value(2, 'uuid[]')})))`;
  const isForShard = `(c.shards ${EQ} 1 OR ${isOfShard('e', 'c.shard', 'c.shards')})`;
  const isForConsumer = `e.channel ${EQ} ANY (c.channels) AND ${isForShard}`;
  /** Not yet settled in the range that the shard is working through. True if there is no such range. */
  const isLeft = `(c.open IS NULL OR e.seq ${GT} c.page OR NOT ${isVisible('e', 'c.open')})`;
  const latest = 'coalesce(c.open, c.done)';

  return {
    version: `SELECT ${version}() AS form`,

    hidden: `SELECT ${hiddenTables(schema, ['event', 'consumer', 'failure'])} AS hidden`,

    /** Several migrations or instances at a time follow one another. */
    lockRegister: `SELECT pg_catalog.count(pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(${quoteLiteral(`nest-pg-notify event consumers ${schema}`)}, 0))) AS locked`,

    /** The consumers that exist, with their number of shards, and whether their cursors come from another cluster. */
    registered: `SELECT c.name, pg_catalog.max(c.shards) AS shards, pg_catalog.bool_or(c.cluster ${NE} ${HERE}) AS isforeign
      FROM ${consumer} AS c GROUP BY c.name`,

    /** Parameters 2 and 3: number of shards, channels as JSON. `registerSince` has a fourth: a time in seconds since 1970. */
    registerNow: register(`pg_catalog.pg_current_snapshot(), NULL, 0`),
    registerAtBeginning: register(`${quoteLiteral(BEGINNING)}::pg_catalog.pg_snapshot, NULL, 0`),
    registerSince: register(
      `${quoteLiteral(BEGINNING)}::pg_catalog.pg_snapshot, pg_catalog.pg_current_snapshot(), (${before(4)})`,
    ),

    /** Records the last event that was there when an application noticed that the log was copied to another cluster. */
    noteForeign: `UPDATE ${consumer} AS c SET foreign_until = (SELECT coalesce(pg_catalog.max(e.seq), 0) FROM ${event} AS e)
      WHERE c.cluster ${NE} ${HERE} AND c.foreign_until IS NULL`,

    /** No parameters. It counts the oldest events of each shard, up to MOST_COUNTED of each range. */
    consumers: `SELECT c.name, c.shard, pg_catalog.array_to_json(c.channels)::pg_catalog.text AS channels, c.owner,
        pg_catalog.date_part('epoch', c.lease_until ${MINUS} pg_catalog.clock_timestamp()) AS lease,
        c.paused, c.attempts, c.last_error AS error, c.cluster ${NE} ${HERE} AS isforeign,
        pg_catalog.count(e.seq)::pg_catalog.int4 AS waiting,
        coalesce(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() ${MINUS} pg_catalog.min(e.created_at)), 0) AS oldest,
        (SELECT pg_catalog.count(*)::pg_catalog.int4 FROM ${failure} AS f WHERE f.consumer ${EQ} c.name AND f.shard ${EQ} c.shard AND f.state ${EQ} 'retry') AS retrying,
        (SELECT pg_catalog.count(*)::pg_catalog.int4 FROM ${failure} AS f WHERE f.consumer ${EQ} c.name AND f.shard ${EQ} c.shard AND f.state ${EQ} 'dead') AS dead
      FROM ${consumer} AS c LEFT JOIN LATERAL (
        SELECT e.seq, e.created_at FROM (
          (SELECT e.* FROM ${event} AS e WHERE c.open IS NOT NULL AND e.seq ${GT} c.page ORDER BY e.seq LIMIT ${MOST_COUNTED})
          ) AS e WHERE ${isVisible('e', 'c.open')} AND NOT ${isVisible('e', 'c.done')} AND ${isForConsumer}
        UNION ALL
        SELECT e.seq, e.created_at FROM (
          (SELECT e.* FROM ${event} AS e WHERE ${begunAfter('e', latest)} ORDER BY e.xid LIMIT ${MOST_COUNTED})
          UNION ALL
          SELECT e.* FROM ${event} AS e WHERE ${inProgressAt('e', latest)}
        ) AS e WHERE ${isForConsumer}
      ) AS e ON true
      GROUP BY c.name, c.shard ORDER BY c.name, c.shard`,

    deadLetters: `SELECT f.consumer, f.attempts, f.last_error AS error, pg_catalog.date_part('epoch', f.failed_at) AS failed, ${eventColumns('e')}
      FROM ${failure} AS f JOIN ${event} AS e ON e.seq ${EQ} f.seq
      WHERE f.consumer ${EQ} ${name} AND f.state ${EQ} 'dead' ORDER BY f.seq LIMIT ${value(2, 'int8')}`,

    requeue: `WITH back AS (
        UPDATE ${failure} AS f SET state = 'retry', attempts = 0, due_at = pg_catalog.clock_timestamp()
        WHERE ${deadLetters('f')} RETURNING 1)
      SELECT pg_catalog.count(*)::pg_catalog.int4 AS count, (SELECT ${wake} FROM (SELECT FROM back LIMIT 1) AS one) FROM back`,

    discard: `WITH gone AS (DELETE FROM ${failure} AS f WHERE ${deadLetters('f')} RETURNING 1)
      SELECT pg_catalog.count(*)::pg_catalog.int4 AS count FROM gone`,

    /**
     * Parameter 2: a time in seconds since 1970. It moves the cursor before the first event published since then, and before the
     * first unsettled event. Failures behind the cursor are deleted, because their events are delivered again in order.
     */
    replay: `WITH want AS (SELECT (${before(2)}) AS page
      ), low AS (
        SELECT c.name, c.shard, least(want.page, c.page_left, (
          SELECT pg_catalog.min(n.seq) ${MINUS} 1 FROM (
            SELECT e.seq FROM ${event} AS e WHERE ${begunAfter('e', 'c.done')} AND ${isForConsumer} AND (c.open IS NULL OR NOT ${isVisible('e', 'c.open')})
            UNION ALL
            SELECT e.seq FROM ${event} AS e WHERE ${inProgressAt('e', 'c.done')} AND ${isForConsumer} AND (c.open IS NULL OR NOT ${isVisible('e', 'c.open')})
            OFFSET 0) AS n)) AS page
        FROM (SELECT c.*, CASE WHEN c.open IS NOT NULL THEN c.page END AS page_left FROM ${consumer} AS c WHERE ${ofConsumer} FOR UPDATE) AS c, want
      ), moved AS (
        UPDATE ${consumer} AS c SET done = ${quoteLiteral(BEGINNING)}, open = pg_catalog.pg_current_snapshot(), page = low.page,
          epoch = c.epoch ${PLUS} 1, attempts = 0, last_error = NULL
        FROM low WHERE c.name ${EQ} low.name AND c.shard ${EQ} low.shard RETURNING c.name, c.shard, c.page
      ), forgotten AS (
        DELETE FROM ${failure} AS f USING moved AS m WHERE f.consumer ${EQ} m.name AND f.shard ${EQ} m.shard AND f.seq ${GT} m.page)
      SELECT pg_catalog.count(*)::pg_catalog.int4 AS count, ${wake} FROM moved`,

    /** Parameter 2: whether the consumer is paused from now on. */
    pause: `WITH changed AS (
        UPDATE ${consumer} AS c SET paused = ${value(2, 'bool')} WHERE ${ofConsumer} RETURNING 1)
      SELECT pg_catalog.count(*)::pg_catalog.int4 AS count, ${wake} FROM changed`,

    drop: `WITH gone AS (DELETE FROM ${consumer} AS c WHERE ${ofConsumer} RETURNING 1)
      SELECT pg_catalog.count(*)::pg_catalog.int4 AS count, ${wake} FROM gone`,

    /**
     * Of `chunk` events after a position, deletes those that are old, settled by every consumer, and recorded as a failure by
     * none. Deletes nothing while another session prunes. Parameters 1 and 2: the age in seconds, the position.
     */
    prune: (chunk: number) => `WITH mine AS MATERIALIZED (
        SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(${quoteLiteral(`nest-pg-notify event pruning ${schema}`)}, 0)) AS held
      ), settled AS MATERIALIZED (
        SELECT coalesce((SELECT pg_catalog.pg_snapshot_xmin(c.done) FROM ${consumer} AS c ORDER BY pg_catalog.pg_snapshot_xmin(c.done) LIMIT 1),
          pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())) AS xid
      ), seen AS MATERIALIZED (
        SELECT e.seq, e.xid ${LT} settled.xid AND e.created_at ${LT} (${fromNow(`pg_catalog.float8um(${value(1, 'float8')})`)}) AS old
        FROM (SELECT e.seq, e.xid, e.created_at FROM ${event} AS e WHERE (SELECT mine.held FROM mine) AND e.seq ${GT} ${value(2, 'int8')} ORDER BY e.seq LIMIT ${chunk}) AS e, settled
      ), gone AS (
        DELETE FROM ${event} AS e USING seen WHERE e.seq ${EQ} seen.seq AND seen.old
          AND NOT EXISTS (SELECT FROM ${failure} AS f WHERE f.seq ${EQ} seen.seq) RETURNING 1)
      SELECT (SELECT pg_catalog.count(*)::pg_catalog.int4 FROM gone) AS count, pg_catalog.count(*)::pg_catalog.int4 AS seen,
        coalesce(pg_catalog.bool_or(seen.old), false) AS isold, pg_catalog.max(seen.seq)::pg_catalog.text AS last FROM seen`,

    /**
     * Snapshots and transaction ids of another cluster are meaningless here. So the events from there get the oldest transaction
     * id, the unsettled ones become failures that are due, and the cursors begin now. Events published here after an application
     * noticed the copy (`foreign_until`) count as unsettled, whatever their transaction ids. No parameters.
     */
    rebase: `WITH here AS MATERIALIZED (SELECT s.system_identifier AS id FROM pg_catalog.pg_control_system() AS s
      ), old AS MATERIALIZED (
        SELECT c.*, coalesce(c.foreign_until, ${last()}) AS until FROM ${consumer} AS c, here WHERE c.cluster ${NE} here.id
      ), moved AS (
        UPDATE ${consumer} AS c SET done = pg_catalog.pg_current_snapshot(), open = NULL, page = 0, epoch = c.epoch ${PLUS} 1,
          owner = NULL, lease_until = NULL, cluster = here.id, foreign_until = NULL
        FROM here WHERE c.cluster ${NE} here.id RETURNING 1
      ), rest AS (
        INSERT INTO ${failure} AS f (consumer, shard, seq, key, state, attempts, due_at)
        SELECT c.name, c.shard, e.seq, e.key, 'retry', 0, pg_catalog.clock_timestamp()
        FROM old AS c JOIN ${event} AS e ON ${isForConsumer}
          AND (e.seq ${GT} c.until OR NOT ${isVisible('e', 'c.done')} AND ${isLeft})
        ON CONFLICT DO NOTHING
      ), fresh AS (
        UPDATE ${event} AS e SET xid = '2' WHERE e.seq ${LE} (SELECT pg_catalog.max(old.until) FROM old))
      SELECT pg_catalog.count(*)::pg_catalog.int4 AS count, ${wake} FROM moved`,
  };

  function last(): string {
    return `(SELECT coalesce(pg_catalog.max(e.seq), 0) FROM ${event} AS e)`;
  }

  /** The position before the first event published since a time. @param place The number of the parameter with that time. */
  function before(place: number): string {
    return `SELECT coalesce(pg_catalog.min(e.seq), ${last()} ${PLUS} 1) ${MINUS} 1 FROM ${event} AS e
      WHERE e.created_at ${GE} pg_catalog.to_timestamp(${value(place, 'float8')})`;
  }

  function register(cursor: string): string {
    return `INSERT INTO ${consumer} AS c (name, shard, shards, channels, done, open, page, cluster)
      SELECT ${name}, n, ${value(2, 'int4')}, ARRAY(SELECT pg_catalog.json_array_elements_text(${value(3, 'json')})), ${cursor}, ${HERE}
      FROM pg_catalog.generate_series(0, ${value(2, 'int4')} ${MINUS} 1) AS n
      ON CONFLICT (name, shard) DO UPDATE SET channels = excluded.channels WHERE NOT (c.channels ${EQ} excluded.channels)`;
  }
}

export type AdminStatements = ReturnType<typeof adminStatements>;
