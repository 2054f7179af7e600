import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { ServerAccount } from '../../dev/embedded-postgres/server-account.js';
import { cleanups } from '../support/cleanups.js';
import { createTestDatabase } from '../support/postgres.js';
import { describeWithPostgresPrograms } from '../support/postgres-programs.js';
import { startTemporaryCluster } from '../support/temporary-cluster.js';
import { TEST_SETTINGS } from '../support/test-server.js';
import { checkKinds, createKinds, fillKinds, TRIGGER_KINDS } from '../support/trigger-kinds.js';

/** From one cluster to another of the same version, as PostgreSQL's own tests do: the way is that of every upgrade. */
describeWithPostgresPrograms('every kind of generated trigger, through pg_upgrade', (programs) => {
  const { cleanup } = cleanups();

  const start = async (): Promise<PostgresCluster> => {
    const cluster = await startTemporaryCluster(TEST_SETTINGS, programs);
    cleanup(() => cluster.remove());
    return cluster;
  };

  /** pg_upgrade connects through sockets of its own, and knows no password. */
  const trustSockets = async ({ dataDirectory }: PostgresCluster): Promise<void> => {
    const file = join(dataDirectory, 'pg_hba.conf');
    await writeFile(file, `local all all trust\n${await readFile(file, 'utf8')}`);
  };

  it('is current in the new cluster', async () => {
    const old = await start();
    const database = await createTestDatabase(old.url());
    await createKinds(database);
    await fillKinds(database);
    const before = await checkKinds(database);
    expect(before).toEqual(TRIGGER_KINDS.map(() => expect.objectContaining({ state: 'current' })));
    await old.stop();

    const fresh = await start();
    await fresh.stop();
    const folder = await mkdtemp(join(tmpdir(), 'pgup-')); // The path of a socket has 107 bytes at most.
    cleanup(() => rm(folder, { recursive: true, force: true }));
    const account = await ServerAccount.of(fresh.dataDirectory);
    await account.own(folder);
    await trustSockets(old);
    await trustSockets(fresh);
    const bins = ['--old-bindir', programs.folder, '--new-bindir', programs.folder];
    const data = ['--old-datadir', old.dataDirectory, '--new-datadir', fresh.dataDirectory];
    await account.run(join(programs.folder, 'pg_upgrade'), [...bins, ...data, '--username', 'postgres'], folder);

    await fresh.start();
    const url = new URL(database.url);
    url.port = String(fresh.port);
    const client = new Client({ connectionString: url.href });
    await client.connect();
    cleanup(() => client.end());
    expect(await checkKinds(client)).toEqual(before);
  }, 120_000);
});
