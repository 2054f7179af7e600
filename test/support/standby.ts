import { execFile } from 'node:child_process';
import { readdir, rm, stat, writeFile, chown } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { QueryResultRow } from 'pg';
import { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { createTestCluster } from './postgres.js';
import { eventually } from './recorder.js';
import { TEST_SETTINGS } from './test-server.js';

const run = promisify(execFile);

/**
 * Makes a standby that streams from `primary`, on a port of its own, by copying the data directory; the primary is
 * stopped for that. `remove()` it. To promote it: `SELECT pg_promote()`.
 */
export async function createStandby(primary: PostgresCluster): Promise<PostgresCluster> {
  // Its folder, and whoever deletes it should this process die, are those of a cluster whose data is replaced.
  const { dataDirectory } = await createStoppedCluster();
  await primary.stop();
  for (const name of await readdir(dataDirectory)) await rm(join(dataDirectory, name), { recursive: true });
  await run('cp', ['-a', `${primary.dataDirectory}/.`, dataDirectory]);
  await primary.start();
  const { uid, gid } = await stat(join(dataDirectory, 'PG_VERSION'));
  const signal = join(dataDirectory, 'standby.signal');
  await writeFile(signal, '');
  await chown(signal, uid, gid);
  const { hostname, port, username, password } = new URL(primary.url());
  const settings = {
    ...TEST_SETTINGS,
    primary_conninfo: `host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)}`,
  };
  const standby = await PostgresCluster.create({ dataDirectory, settings });
  await standby.start();
  await eventually(
    () => queryOnce(primary.url(), 'SELECT state FROM pg_stat_replication'),
    ([first]) => first?.['state'] === 'streaming',
  );
  return standby;
}

/** Runs one statement on a connection of its own; it may write where that is not the default. */
export async function queryOnce<Row extends QueryResultRow = QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url, options: '-c default_transaction_read_only=off' });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function createStoppedCluster(): Promise<PostgresCluster> {
  const cluster = await createTestCluster();
  await cluster.stop('immediate');
  return cluster;
}
