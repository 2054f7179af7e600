import pg from 'pg';
import { eventually } from './recorder.js';

/** The pids of the backends of this database that listen for the module, as the server sees them, under a condition in SQL. */
export async function listeningBackends({ url }: { url: string }, condition = 'true'): Promise<number[]> {
  const client = new pg.Client(url);
  client.on('error', () => undefined); // The statement under way fails as well.
  await client.connect();
  try {
    const { rows } = await client.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'nest-pg-notify listener' AND ${condition} ORDER BY pid`,
    );
    return rows.map(({ pid }) => pid);
  } finally {
    await client.end();
  }
}

/** Waits until exactly so many backends listen, and returns their pids: the server notices later who has gone. */
export function untilListeners(database: { url: string }, count: number): Promise<number[]> {
  return eventually(
    () => listeningBackends(database),
    ({ length }) => length === count,
  );
}
