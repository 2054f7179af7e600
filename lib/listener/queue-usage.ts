import { isUnavailable } from '../session/connection-failure.js';
import type { ListeningSession } from './channel-reconciler.js';

/** How full PostgreSQL's notification queue is, and which backend keeps it from being emptied. */
export interface PgQueueUsage {
  /** From 0 to 1. A full queue fails every transaction that notifies (SQLSTATE 54000). */
  readonly usage: number;
  /**
   * The backend that most likely holds the queue back: the one with the oldest open transaction, or one whose client
   * does not read. PostgreSQL does not report it, so this is a guess. Backends of other roles are only visible with the
   * role pg_read_all_stats.
   */
  readonly heldBackBy?: number;
}

const QUEUE_USAGE = 'SELECT pg_catalog.pg_notification_queue_usage() AS usage';

/** A statement of its own, because a role may lack access to pg_stat_activity. */
const HELD_BACK_BY = `SELECT pid FROM pg_catalog.pg_stat_activity
  WHERE pid <> pg_catalog.pg_backend_pid() AND backend_type = 'client backend'
    AND (xact_start IS NOT NULL OR wait_event = 'ClientWrite')
  ORDER BY wait_event IS NOT DISTINCT FROM 'ClientWrite' DESC, xact_start LIMIT 1`;

/** From this usage on, the backend that holds the queue back is looked up. */
const WORRYING_USAGE = 0.1;

export async function askQueueUsage(session: ListeningSession, timeout: number): Promise<PgQueueUsage> {
  const [row] = await session.query({ text: QUEUE_USAGE, timeout });
  const usage = Number(row?.['usage']);
  const heldBackBy = usage >= WORRYING_USAGE ? await askHeldBackBy(session, timeout) : undefined;
  return { usage, ...(heldBackBy !== undefined && { heldBackBy }) };
}

async function askHeldBackBy(session: ListeningSession, timeout: number): Promise<number | undefined> {
  try {
    const [row] = await session.query({ text: HELD_BACK_BY, timeout });
    return typeof row?.['pid'] === 'number' ? row['pid'] : undefined;
  } catch (error) {
    if (isUnavailable(error)) return undefined;
    throw error;
  }
}
