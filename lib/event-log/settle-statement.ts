import type { ShardStatements } from './event-statements.js';
import type { EventCursor, EventOutcome } from './event-store.js';

export interface SettleStatement {
  readonly name: string;
  readonly text: string;
  /** Texts, as every executor takes them. */
  readonly values: (string | null)[];
}

export interface SettleDetails {
  /** In seconds. */
  readonly lease: string;
  /** Whether the texts of errors are to be written in ASCII, which every encoding has. */
  readonly isAscii: boolean;
}

/** The statement that moves the cursor of a shard and writes down what became of its events. */
export function settleStatement(
  { move, settle }: ShardStatements,
  shard: readonly string[],
  { done, open, page }: EventCursor,
  { failed = [], gone = [], attempts = 0, error = null }: EventOutcome,
  { lease, isAscii }: SettleDetails,
): SettleStatement {
  const told = (text: string | null): string | null => text && storable(text, isAscii);
  const values = [...shard, done, open, page, lease, String(attempts), told(error)];
  if (failed.length + gone.length === 0) return { name: 'move', text: move, values };
  const rows = failed.map(({ delay, error: reason, ...row }) => ({
    ...row,
    delay: delay / 1_000,
    error: told(reason),
  }));
  return { name: 'settle', text: settle, values: [...values, JSON.stringify(rows), `{${gone.join(',')}}`] };
}

/** PostgreSQL stores neither NUL nor halves of surrogate pairs. */
function storable(text: string, isAscii: boolean): string {
  const stored = text.replaceAll('\0', '\\0').toWellFormed();
  return isAscii ? stored.replaceAll(/[^\x20-\x7e\n\t]/gu, '?') : stored;
}
