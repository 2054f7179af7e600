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

/** SQL for a migration. Each property is one statement or several, without parameters. */
export interface PgEventLogSql {
  /** Creates the tables. Running it again changes nothing, and blocks neither publishers nor consumers. */
  readonly up: string;
  /** Drops the tables with all events, and the schema if `up` created it and it is otherwise empty. */
  readonly down: string;
  /**
   * Optional: publishes new events to logical replication, for Debezium and other readers. The publication has the schema's
   * name. It publishes inserts only, so that readers do not see the retention's deletes. Running it again changes nothing.
   *
   * The role that runs it must own the tables and needs CREATE on the database.
   */
  readonly publication: string;
}

/** The form of the tables that this version of the package needs. The schema's function `version()` returns the actual one. */
export const EVENT_LOG_FORM = 1;

const OPTIONS = { schema: orElse(DEFAULT_EVENT_SCHEMA, eventSchemaName) } satisfies ChecksOf<PgEventLogOptions>;

/** The database comment by which `down` recognizes what `up` created. */
const MARKER = 'nest-pg-notify: an event log';

/**
 * Returns the SQL of the event log's tables, for a migration. It executes nothing.
 *
 * ```ts
 * const log = eventLog();
 * await queryRunner.query(log.up);
 * ```
 *
 * The role that runs it needs CREATE on the database, unless the schema exists. Other roles need
 * `GRANT USAGE ON SCHEMA nest_events`; to publish,
 * `GRANT INSERT (channel, id, key, payload, headers) ON nest_events.event`; to consume,
 * `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA nest_events`.
 *
 * @throws PgNotifyError of kind `configuration` for an invalid name of a schema.
 */
export function eventLog(options: PgEventLogOptions = {}): PgEventLogSql {
  const { schema } = readOptions('eventLog()', options, OPTIONS);
  return { up: up(schema), down: down(schema), publication: publication(schema) };
}

/** It checks before it creates, because `CREATE INDEX IF NOT EXISTS` locks out writers even if the index exists. */
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
    -- Assigned one at a time when an event is published, so it keeps the order inside one transaction.
    seq bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    -- The publisher's top-level transaction, also for events published inside a savepoint.
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
    -- Every event visible in this snapshot is settled.
    done pg_catalog.pg_snapshot NOT NULL,
    -- If more events are new than fit into one page: the end of that range, and the position up to which it is settled.
    open pg_catalog.pg_snapshot,
    page bigint NOT NULL DEFAULT 0,
    -- The fencing token: increased by every claim and every replay.
    epoch bigint NOT NULL DEFAULT 0,
    owner pg_catalog.text,
    lease_until pg_catalog.timestamptz,
    paused boolean NOT NULL DEFAULT false,
    -- Attempts at the event or batch at the cursor: for strict order and for batches.
    attempts integer NOT NULL DEFAULT 0,
    last_error pg_catalog.text,
    -- How many owners in a row ended without releasing the shard, and the event that the last of them had started.
    crashes integer NOT NULL DEFAULT 0,
    suspect bigint,
    -- The database cluster that the snapshots belong to, and the last event that was there when a copy to another was noticed.
    cluster bigint NOT NULL,
    foreign_until bigint,
    PRIMARY KEY (name, shard)
  ) WITH (fillfactor = 10);
  -- Events that wait for a retry, or behind one, and dead letters. Handled events have no row here.
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

/** The replica identity stays the primary key, because readers use it as the key of a row. */
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

/** Makes concurrent migrations run one after the other. */
function lock(schema: string): string {
  return `  PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(${quoteLiteral(`nest-pg-notify event log ${schema}`)}, 0));`;
}

function doBlock(body: string): string {
  return `DO ${dollarQuote(`\n${body}\n`)};\n`;
}
