import { dollarQuote, quoteIdentifier, quoteLiteral } from '../executor/sql-text.js';
import { orElse, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import { DEFAULT_EVENT_SCHEMA, eventSchemaName, eventTables } from './event-log-schema.js';

/** Where the event log is. */
export interface PgEventLogOptions {
  /**
   * The schema of its tables, which is created if it does not exist.
   *
   * @default 'nest_events'
   */
  readonly schema?: string;
}

/** SQL for a migration: each text is one statement or several, without parameters. */
export interface PgEventLogSql {
  /** Creates the tables. Running it again changes nothing, and disturbs nobody who publishes or consumes meanwhile. */
  readonly up: string;
  /** Drops the tables with all events, and the schema if `up` has created it and nothing else is in it. */
  readonly down: string;
  /**
   * Publishes new events to logical replication, for Debezium and other readers; optional. The publication has the name of
   * the schema, and publishes inserts only, so that readers do not see old events being deleted. Running it again changes
   * nothing.
   *
   * Who runs it must own the tables and needs CREATE on the database.
   */
  readonly publication: string;
}

/** The form of the tables that this version of the package works with: what the function `version` in their schema returns. */
export const EVENT_LOG_FORM = 1;

const OPTIONS = { schema: orElse(DEFAULT_EVENT_SCHEMA, eventSchemaName) } satisfies ChecksOf<PgEventLogOptions>;

/** The comment by which `down` knows what `up` has created. */
const MARKER = 'nest-pg-notify: an event log';

/**
 * Makes the SQL of the event log's tables, for a migration. It runs nothing.
 *
 * ```ts
 * const log = eventLog();
 * await queryRunner.query(log.up);
 * ```
 *
 * Who runs it needs CREATE on the database, unless the schema exists. Other roles need `GRANT USAGE ON SCHEMA nest_events`,
 * to publish `GRANT INSERT ON nest_events.event`, and to consume
 * `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA nest_events`.
 *
 * @throws PgNotifyError of kind `configuration` for a schema that cannot be.
 */
export function eventLog(options: PgEventLogOptions = {}): PgEventLogSql {
  const { schema } = readOptions('eventLog()', options, OPTIONS);
  return { up: up(schema), down: down(schema), publication: publication(schema) };
}

/**
 * It looks before it creates: `CREATE INDEX IF NOT EXISTS` would wait for whoever writes, and keep others from writing, also
 * if the index exists. A lock makes several migrations at a time follow one another.
 */
function up(schema: string): string {
  const { version } = eventTables(schema);
  const name = quoteLiteral(schema);
  return doBlock(
    `DECLARE
  form integer;
BEGIN
${lock(schema)}
  IF pg_catalog.to_regnamespace(${quoteLiteral(quoteIdentifier(schema))}) IS NULL THEN
    CREATE SCHEMA ${quoteIdentifier(schema)};
    COMMENT ON SCHEMA ${quoteIdentifier(schema)} IS ${quoteLiteral(MARKER)};
  END IF;
  IF pg_catalog.to_regprocedure(${quoteLiteral(`${version}()`)}) IS NOT NULL THEN
    form := ${version}();
    IF form OPERATOR(pg_catalog.>) ${EVENT_LOG_FORM} THEN
      RAISE EXCEPTION 'The event log in the schema % is of form %, which is newer than what this version of nest-pg-notify makes (${EVENT_LOG_FORM}).', ${name}, form
        USING HINT = 'Update nest-pg-notify, or leave this migration out.';
    END IF;
    RETURN;
  END IF;
${createTables(schema)}
END`,
  );
}

function createTables(schema: string): string {
  const { event, consumer, failure, version } = eventTables(schema);
  return `  CREATE TABLE ${event} (
    -- Drawn when the event is published, one at a time: the order of what one transaction publishes.
    seq bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    -- The publisher's transaction, also inside savepoints.
    xid pg_catalog.xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    id pg_catalog.uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    channel pg_catalog.text NOT NULL,
    key pg_catalog.text,
    payload pg_catalog.json NOT NULL,
    headers pg_catalog.json,
    created_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
  );
  CREATE INDEX event_xid ON ${event} (xid);
  CREATE TABLE ${consumer} (
    name pg_catalog.text NOT NULL,
    shard integer NOT NULL DEFAULT 0,
    shards integer NOT NULL DEFAULT 1,
    channels pg_catalog.text[] NOT NULL,
    -- All that is visible in it is settled.
    done pg_catalog.pg_snapshot NOT NULL,
    -- While more is new than fits into a page: the end of that, and up to which event it is settled.
    open pg_catalog.pg_snapshot,
    page bigint NOT NULL DEFAULT 0,
    -- The fence: another number with every owner, and with every replay.
    epoch bigint NOT NULL DEFAULT 0,
    owner pg_catalog.text,
    lease_until pg_catalog.timestamptz,
    paused boolean NOT NULL DEFAULT false,
    -- How often what stands still was tried: for strict order and for batches.
    attempts integer NOT NULL DEFAULT 0,
    last_error pg_catalog.text,
    -- How many owners in a row have ended without releasing it, and the event that the last of them had begun.
    crashes integer NOT NULL DEFAULT 0,
    suspect bigint,
    -- The database cluster whose transactions the snapshots speak of; in another one, what was published before it was noticed.
    cluster bigint NOT NULL,
    foreign_until bigint,
    PRIMARY KEY (name, shard)
  ) WITH (fillfactor = 10);
  -- What is to be tried again, what waits behind it, and what was given up. Sparse.
  CREATE TABLE ${failure} (
    consumer pg_catalog.text NOT NULL,
    shard integer NOT NULL,
    seq bigint NOT NULL,
    key pg_catalog.text,
    state pg_catalog.text NOT NULL CHECK (state OPERATOR(pg_catalog.=) 'retry' OR state OPERATOR(pg_catalog.=) 'dead'),
    attempts integer NOT NULL,
    due_at pg_catalog.timestamptz NOT NULL,
    last_error pg_catalog.text,
    failed_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (consumer, shard, seq),
    FOREIGN KEY (consumer, shard) REFERENCES ${consumer} ON DELETE CASCADE
  );
  CREATE INDEX failure_retry ON ${failure} (consumer, shard) WHERE state OPERATOR(pg_catalog.=) 'retry';
  CREATE FUNCTION ${version}() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS ${quoteLiteral(`SELECT ${EVENT_LOG_FORM}`)};
  COMMENT ON FUNCTION ${version}() IS ${quoteLiteral(MARKER)};`;
}

function down(schema: string): string {
  const { event, consumer, failure, version } = eventTables(schema);
  const name = quoteLiteral(schema);
  return `${dropOwnPublication(schema)}
DROP TABLE IF EXISTS ${failure}, ${consumer}, ${event};
DROP FUNCTION IF EXISTS ${version}();
${doBlock(`BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname OPERATOR(pg_catalog.=) ${name} AND pg_catalog.obj_description(n.oid, 'pg_namespace') OPERATOR(pg_catalog.=) ${quoteLiteral(MARKER)}) THEN
    DROP SCHEMA ${quoteIdentifier(schema)};
  END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
  RAISE NOTICE 'The schema % is kept: there is something else in it.', ${name};
END`)}`;
}

/**
 * It has the schema's name. A reader must get new events and nothing else: the deletes of the retention say nothing about
 * what has happened. The replica identity stays the primary key, which readers show as the key of a row.
 */
function publication(schema: string): string {
  const name = quoteLiteral(schema);
  const quoted = quoteIdentifier(schema);
  const { event } = eventTables(schema);
  return doBlock(`BEGIN
${lock(schema)}
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication AS p WHERE p.pubname OPERATOR(pg_catalog.=) ${name}) THEN
    CREATE PUBLICATION ${quoted} FOR TABLE ${event} WITH (publish = 'insert');
    COMMENT ON PUBLICATION ${quoted} IS ${quoteLiteral(MARKER)};
    RETURN;
  END IF;
  IF NOT ${isOwnPublication(schema)} AND (EXISTS (SELECT FROM pg_catalog.pg_publication AS p
      WHERE p.pubname OPERATOR(pg_catalog.=) ${name} AND p.puballtables)
    OR EXISTS (SELECT FROM pg_catalog.pg_publication_tables AS t
      WHERE t.pubname OPERATOR(pg_catalog.=) ${name} AND (t.schemaname OPERATOR(pg_catalog.<>) ${name} OR t.tablename OPERATOR(pg_catalog.<>) 'event'))) THEN
    RAISE EXCEPTION 'There is a publication % that nest-pg-notify has not made, and it publishes other tables than the event log.', ${name}
      USING HINT = 'Rename it: readers of the event log would get the rows of these tables as events.';
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_publication AS p
    WHERE p.pubname OPERATOR(pg_catalog.=) ${name} AND (p.pubupdate OR p.pubdelete OR p.pubtruncate OR NOT p.pubinsert)) THEN
    IF NOT ${isOwnPublication(schema)} THEN
      RAISE EXCEPTION 'There is a publication % that nest-pg-notify has not made, and it does not publish inserts alone.', ${name}
        USING HINT = 'Rename it: readers of the event log must not get the deletes of old events.';
    END IF;
    ALTER PUBLICATION ${quoted} SET (publish = 'insert');
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication_tables AS t
    WHERE t.pubname OPERATOR(pg_catalog.=) ${name} AND t.schemaname OPERATOR(pg_catalog.=) ${name} AND t.tablename OPERATOR(pg_catalog.=) 'event') THEN
    ALTER PUBLICATION ${quoted} ADD TABLE ${event};
  END IF;
END`);
}

function dropOwnPublication(schema: string): string {
  return doBlock(`BEGIN
  IF ${isOwnPublication(schema)} THEN
    DROP PUBLICATION ${quoteIdentifier(schema)};
  END IF;
END`);
}

function isOwnPublication(schema: string): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_publication AS p
    WHERE p.pubname OPERATOR(pg_catalog.=) ${quoteLiteral(schema)} AND pg_catalog.obj_description(p.oid, 'pg_publication') OPERATOR(pg_catalog.=) ${quoteLiteral(MARKER)})`;
}

/** Makes migrations that run at the same time follow one another. */
function lock(schema: string): string {
  return `  PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(${quoteLiteral(`nest-pg-notify event log ${schema}`)}, 0));`;
}

function doBlock(body: string): string {
  return `DO ${dollarQuote(`\n${body}\n`)};\n`;
}
