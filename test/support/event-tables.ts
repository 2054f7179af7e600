import type { TestDatabase } from './postgres.js';

/** The tables of an event log. */
export async function createEventTables(database: TestDatabase, schema = 'nest_events'): Promise<void> {
  const s = `"${schema.replaceAll('"', '""')}"`;
  await database.query(`CREATE SCHEMA ${s};
    CREATE TABLE ${s}.event (
      seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      channel text NOT NULL,
      key text,
      payload json NOT NULL,
      headers json,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )`);
}

/** An event as it stands in the table. */
export interface EventRow {
  readonly id: string;
  readonly channel: string;
  readonly key: string | null;
  /** JSON. */
  readonly payload: string;
  readonly headers: Readonly<Record<string, string>> | null;
}

/** All events that are committed, in their order. */
export async function committedEvents(database: TestDatabase, schema = 'nest_events'): Promise<readonly EventRow[]> {
  const table = `"${schema.replaceAll('"', '""')}".event`;
  const { rows } = await database.query<EventRow & { seq: string }>(
    `SELECT id, channel, key, payload::text AS payload, headers FROM ${table} ORDER BY seq`,
  );
  return rows;
}
