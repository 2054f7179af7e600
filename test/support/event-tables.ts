import type { TestDatabase } from './postgres.js';

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
