import type { ShardStatements } from './event-statements.js';
import type { EventCursor, EventOutcome } from './event-store.js';
import type { NamedStatement } from './sql-operators.js';

/**
 * The statement that moves the cursor of a shard and records the outcome of its events.
 *
 * @param options The lease in seconds, and whether to reduce errors to ASCII, which every database encoding has.
 */
export function settleStatement(
  { move, settle }: ShardStatements,
  shard: readonly string[],
  { done, open, page }: EventCursor,
  { failed = [], gone = [], attempts = 0, error = null }: EventOutcome,
  { lease, isAscii }: { readonly lease: string; readonly isAscii: boolean },
): NamedStatement {
  const stored = (text: string | null): string | null => text && storable(text, isAscii);
  const values = [...shard, done, open, page, lease, String(attempts), stored(error)];
  if (failed.length + gone.length === 0) return { name: 'move', text: move, values };
  const rows = failed.map(({ delay, error: reason, ...row }) => ({
    ...row,
    delay: delay / 1_000,
    error: stored(reason),
  }));
  return { name: 'settle', text: settle, values: [...values, JSON.stringify(rows), `{${gone.join(',')}}`] };
}

/** Replaces what PostgreSQL cannot store: NUL and halves of surrogate pairs. */
function storable(text: string, isAscii: boolean): string {
  const wellFormed = text.replaceAll('\0', '\\0').toWellFormed();
  return isAscii ? wellFormed.replaceAll(/[^\x20-\x7e\n\t]/gu, '?') : wellFormed;
}
