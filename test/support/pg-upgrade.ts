import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { ServerAccount } from '../../dev/embedded-postgres/server-account.js';
import type { Cleanups } from './cleanups.js';
import type { PostgresPrograms } from './postgres-programs.js';
import { startTemporaryCluster } from './temporary-cluster.js';
import { TEST_SETTINGS } from './test-server.js';

/** A cluster of the programs that are installed here. */
export async function startUpgradable(programs: PostgresPrograms, { cleanup }: Cleanups): Promise<PostgresCluster> {
  const cluster = await startTemporaryCluster(TEST_SETTINGS, programs);
  cleanup(() => cluster.remove());
  return cluster;
}

/**
 * Stops a cluster, and starts another one that pg_upgrade has made of it: of the same version, as PostgreSQL's own tests
 * do. The way is that of every upgrade.
 */
export async function upgrade(
  old: PostgresCluster,
  programs: PostgresPrograms,
  cleanups: Cleanups,
): Promise<PostgresCluster> {
  await old.stop();
  const fresh = await startUpgradable(programs, cleanups);
  await fresh.stop();
  const folder = await mkdtemp(join(tmpdir(), 'pgup-')); // The path of a socket has 107 bytes at most.
  cleanups.cleanup(() => rm(folder, { recursive: true, force: true }));
  const account = await ServerAccount.of(fresh.dataDirectory);
  await account.own(folder);
  await trustSockets(old);
  await trustSockets(fresh);
  const bins = ['--old-bindir', programs.folder, '--new-bindir', programs.folder];
  const data = ['--old-datadir', old.dataDirectory, '--new-datadir', fresh.dataDirectory];
  await account.run(join(programs.folder, 'pg_upgrade'), [...bins, ...data, '--username', 'postgres'], folder);
  await fresh.start();
  return fresh;
}

/** pg_upgrade connects through sockets of its own, and knows no password. */
async function trustSockets({ dataDirectory }: PostgresCluster): Promise<void> {
  const file = join(dataDirectory, 'pg_hba.conf');
  await writeFile(file, `local all all trust\n${await readFile(file, 'utf8')}`);
}

/** The URL of a database in the cluster that it was upgraded to. */
export function urlIn(cluster: PostgresCluster, before: string): string {
  const url = new URL(before);
  url.port = String(cluster.port);
  return url.href;
}
