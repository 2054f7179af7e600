import type { StoredEvent } from './event-store.js';

export type EventRows = readonly Readonly<Record<string, unknown>>[];

/** Converts a row with the columns of `eventColumns()`. */
export function toStoredEvent(row: EventRows[number]): StoredEvent {
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

export function toDate(seconds: unknown): Date {
  return new Date((seconds as number) * 1_000);
}
