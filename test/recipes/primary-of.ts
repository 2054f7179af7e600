import { Client } from 'pg';
import type { ClientConfig } from 'pg';

/** How long one server may take to answer, in milliseconds: all of them together must fit into `connectTimeout` (10 s). */
const TIMEOUT = 2_000;

/**
 * Finds the primary among several servers, for the option `connection`. It is asked at every attempt to connect. The
 * server that was found last is asked first, so listener, delivery check and publisher meet on the same one.
 */
export function primaryOf(servers: readonly ClientConfig[]): () => Promise<ClientConfig> {
  let order = servers;
  let search: Promise<ClientConfig> | undefined;
  const find = async (): Promise<ClientConfig> => {
    const problems: string[] = [];
    for (const server of order) {
      const problem = await problemOf(server);
      if (problem === undefined) {
        order = [server, ...servers.filter((other) => other !== server)];
        return server;
      }
      problems.push(`${server.host}: ${problem}`);
    }
    throw new Error(`None of the servers is the primary. ${problems.join('; ')}`);
  };
  return () => (search ??= find().finally(() => (search = undefined)));
}

/** Why a server is not the primary; undefined for the primary. */
async function problemOf(server: ClientConfig): Promise<string | undefined> {
  const client = new Client({ ...server, connectionTimeoutMillis: TIMEOUT, query_timeout: TIMEOUT });
  client.on('error', () => undefined); // What fails is rejected below.
  try {
    await client.connect();
    const { rows } = await client.query<{ isPrimary: boolean }>(
      `SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' AS "isPrimary"`,
    );
    return rows[0]?.isPrimary ? undefined : 'it takes no writes';
  } catch (error) {
    return (error as Error).message;
  } finally {
    client.end().catch(() => undefined);
  }
}
