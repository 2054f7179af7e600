import type { Pool, PoolClient } from 'pg';

/** Does the work of a message once, however often a broker delivers it. Acknowledge the message when this has resolved. */
export async function takeOnce(pool: Pool, id: string, work: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rowCount } = await client.query('INSERT INTO inbox (id) VALUES ($1) ON CONFLICT DO NOTHING', [id]);
    if (rowCount === 1) await work(client);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}
