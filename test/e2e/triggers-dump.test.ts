import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { cleanups } from '../support/cleanups.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { describeWithPostgresPrograms } from '../support/postgres-programs.js';
import { shortly, TableListener } from '../support/table-listener.js';
import { startTemporaryCluster } from '../support/temporary-cluster.js';
import { TEST_SETTINGS } from '../support/test-server.js';
import { announcedByKinds, checkKinds, createKinds, fillKinds } from '../support/trigger-kinds.js';

describeWithPostgresPrograms('every kind of generated trigger, dumped and restored', (programs) => {
  const { cleanup, use } = cleanups();
  let folder: string;
  /** A server that pg_dump can read: it refuses one that is newer than itself. */
  let cluster: PostgresCluster | undefined;
  let origin: TestDatabase;
  let copy: TestDatabase;

  const create = async (): Promise<TestDatabase> => {
    const database = await createTestDatabase(cluster?.url());
    cleanup(() => database.drop());
    return database;
  };

  /** A database with the tables of all kinds, their triggers and the rows of their first writes. */
  const createFilled = async (): Promise<TestDatabase> => {
    const database = await create();
    await createKinds(database);
    await fillKinds(database);
    return database;
  };

  const dump = async (...options: string[]): Promise<string> => {
    const file = join(await mkdtemp(join(folder, 'dump-')), 'dump');
    await programs.run('pg_dump', ['--dbname', origin.url, '--file', file, ...options]);
    return file;
  };
  const restore = (file: string, ...options: string[]): Promise<void> =>
    programs.run('pg_restore', ['--dbname', copy.url, '--exit-on-error', ...options, file]);
  const runScript = (file: string): Promise<void> =>
    programs.run('psql', ['--dbname', copy.url, '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', file]);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-dump-'));
    cleanup(() => rm(folder, { recursive: true, force: true }));
    const { rows } = await (await create()).query<{ server_version_num: string }>('SHOW server_version_num');
    if (Number(rows[0]!.server_version_num) >= (programs.version + 1) * 10_000) {
      const own = await startTemporaryCluster(TEST_SETTINGS, programs);
      cleanup(() => own.remove());
      cluster = own;
    }
    origin = await createFilled();
    expect(new Set((await checkKinds(origin)).map(({ state }) => state))).toEqual(new Set(['current']));
  });

  beforeEach(async () => {
    copy = await create();
  });

  it.each([
    ['plain', [], async (file: string) => runScript(file)],
    ['plain, with every name quoted', ['--quote-all-identifiers'], async (file: string) => runScript(file)],
    ['custom', ['--format', 'custom'], async (file: string) => restore(file)],
  ])('is current after a restore of the format %s', async (_, options, read) => {
    await read(await dump(...options));
    expect(await checkKinds(copy)).toEqual(await checkKinds(origin));
  });

  it('announces after a restore what it announced before', async () => {
    const reference = await createFilled();
    await restore(await dump('--format', 'custom'));
    expect(await announcedByKinds(copy, 1)).toEqual(await announcedByKinds(reference, 1));
  });

  it('is current after a restore over what is there', async () => {
    await createKinds(copy);
    await restore(await dump('--format', 'custom'), '--clean', '--if-exists');
    expect(await checkKinds(copy)).toEqual(await checkKinds(origin));
  });

  it.each([
    ['announces the rows', [], ['insert 1 2']],
    ['announces nothing with --disable-triggers', ['--disable-triggers'], []],
  ])('is current after a restore of the data alone, and %s', async (_, options, announced) => {
    await createKinds(copy);
    const file = await dump('--format', 'custom');
    const listener = use(await TableListener.start(copy.url, 'item_changes'));
    const changes = await listener.changesOf(() => restore(file, '--data-only', ...options));
    expect(shortly(changes.filter(({ table }) => table === 'statement_000'))).toEqual(announced);
    expect(await checkKinds(copy)).toEqual(await checkKinds(origin));
  });
});
