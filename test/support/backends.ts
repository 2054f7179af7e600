import pg from 'pg';

/** The pids of the backends of this database that listen for the module, as the server sees them. */
export async function listeningBackends({ url }: { url: string }): Promise<number[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'nest-pg-notify listener' ORDER BY pid`,
    );
    return rows.map(({ pid }) => pid);
  } finally {
    await client.end();
  }
}
