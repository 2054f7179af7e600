import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Pool, type QueryResult, type QueryResultRow } from 'pg';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { withDeadline } from './deadline.js';
import { startTemporaryCluster } from './temporary-cluster.js';
import { ADMIN_URL_VARIABLE } from './test-run.js';
import { TEST_SETTINGS } from './test-server.js';

/** A database of its own for one test file. */
export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  /** What `url` says, in parts. */
  readonly config: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly password: string;
    readonly database: string;
  };
  /**
   * Runs SQL in this database, as an admin, on connections of its own (`application_name` is `test-admin`, so that they
   * can be told from what is tested). They come back after a restart of the server.
   */
  query<Row extends QueryResultRow = QueryResultRow>(text: string, values?: unknown[]): Promise<QueryResult<Row>>;
  /** Ends whatever is still connected and drops the database; fails if that takes 20 s. A second call does nothing. */
  drop(): Promise<void>;
  /** Ends the connections of `query()` and leaves the database to whoever removes its server. */
  disconnect(): Promise<void>;
}

/**
 * Creates an empty database, on the server of the test run or on the one whose admin URL is given. `drop()` it. Its encoding
 * and locale are the same on every server.
 */
export async function createTestDatabase(serverUrl = adminUrl(), encoding = 'UTF8'): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  // template0, because nobody can be connected to it: CREATE DATABASE fails while somebody is connected to its template.
  const create = `CREATE DATABASE ${name} TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C'`;
  await runOnServer(serverUrl, (client) => client.query(create));
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const pool = new Pool({
    connectionString: url.href,
    application_name: 'test-admin',
    connectionTimeoutMillis: 10_000,
    allowExitOnIdle: true,
  });
  // Idle connections that the server ends (a restart, the drop) are replaced by the pool when needed.
  pool.on('error', () => undefined);
  let dropped: Promise<void> | undefined;
  return {
    name,
    url: url.href,
    config: {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 5432),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: name,
    },
    query: (text, values) => pool.query(text, values),
    drop: () => (dropped ??= withDeadline(drop(serverUrl, name, pool), 50_000, `Dropping the database ${name}`)),
    disconnect: () => pool.end(),
  };
}

/**
 * Starts a server of its own, always the embedded one, for a test that restarts or stops it. `remove()` it. It takes
 * about a second.
 */
export async function createTestCluster(settings: Readonly<Record<string, string>> = {}): Promise<PostgresCluster> {
  return startTemporaryCluster({ ...TEST_SETTINGS, ...settings });
}

async function drop(serverUrl: string, name: string, pool: Pool): Promise<void> {
  try {
    await runOnServer(serverUrl, async (client) => {
      await untilLeft(client, name);
      await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    });
  } finally {
    await pool.end();
  }
}

/**
 * Waits, for half a second at most, until the connections that were closed a moment ago are gone: a pool of `pg` has ended
 * before they are, and does not expect what FORCE has the server say to them.
 */
async function untilLeft(client: Client, database: string): Promise<void> {
  const text = `SELECT FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend' AND application_name <> 'test-admin'`;
  const deadline = performance.now() + 500;
  while ((await client.query(text, [database])).rowCount !== 0 && performance.now() < deadline) await delay(10);
}

async function runOnServer<T>(serverUrl: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    connectionString: serverUrl,
    application_name: 'test-admin',
    connectionTimeoutMillis: 10_000,
    // DROP DATABASE waits for a checkpoint, and a busy disk makes that long.
    query_timeout: 40_000,
  });
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}

function adminUrl(): string {
  const url = process.env[ADMIN_URL_VARIABLE];
  if (url === undefined) throw new Error(`${ADMIN_URL_VARIABLE} is not set: the global setup of Jest has not run.`);
  return url;
}
