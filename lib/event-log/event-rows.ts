import type { StoredEvent } from './event-store.js';

type Row = Readonly<Record<string, unknown>>;

/** Reads an event from a row with the columns of `eventColumns()`. */
export function toStoredEvent(row: Row): StoredEvent {
  return {
    seq: row['seq'] as string,
    id: row['id'] as string,
    channel: row['channel'] as string,
    key: row['key'] as string | null,
    payload: row['payload'] as string,
    headers: row['headers'] as string | null,
    publishedAt: toDate(row['published']),
  };
}

/** Reads a time that is given as seconds since 1970. */
export function toDate(seconds: unknown): Date {
  return new Date((seconds as number) * 1_000);
}
