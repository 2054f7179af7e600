import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, statfsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, escapeLiteral } from 'pg';
import type { PostgresBinaries } from '../../dev/embedded-postgres/postgres-binaries.js';
import { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';

/**
 * Starts an embedded server in a temporary folder. `remove()` it; if this process dies before that, the server is stopped and
 * the folder deleted nevertheless.
 */
export async function startTemporaryCluster(
  settings: Readonly<Record<string, string>>,
  binaries?: PostgresBinaries,
): Promise<PostgresCluster> {
  const folder = settings['fsync'] === 'off' ? findMemory() : undefined;
  const dataDirectory = join(folder ?? tmpdir(), `nest-pg-notify-${randomBytes(6).toString('hex')}`);
  removeWhenWeAreGone(dataDirectory);
  const cluster = await PostgresCluster.create({ dataDirectory, settings, ...(binaries && { binaries }) });
  try {
    await cluster.start();
    if (Number.parseInt(cluster.version, 10) >= 16) await makePasswordsCheap(cluster);
    return cluster;
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

/**
 * Half of what a connection costs is the 4,096 rounds of a hash that SCRAM asks both sides for; one does for a password that
 * lives for minutes. PostgreSQL has this setting since version 16.
 */
async function makePasswordsCheap(cluster: PostgresCluster): Promise<void> {
  const client = new Client({ connectionString: cluster.url() });
  await client.connect();
  try {
    await client.query('ALTER SYSTEM SET scram_iterations = 1');
    await client.query('SELECT pg_reload_conf()');
    await client.query('SET scram_iterations = 1');
    await client.query(`ALTER ROLE CURRENT_USER PASSWORD ${escapeLiteral(client.password!)}`);
  } finally {
    await client.end();
  }
}

/** What the data directories of a test run may come to: a few hundred megabytes, of several servers. */
const ROOM = 4 * 2 ** 30;

/**
 * The file system that Linux keeps in memory, where it has room. Each test file creates a database of 300 files and drops it:
 * a third of the run's processor time went to ext4, which searches for an inode that was not deleted in the last seconds.
 */
function findMemory(): string | undefined {
  const folder = '/dev/shm';
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= ROOM ? folder : undefined;
  } catch {
    return undefined; // Other systems have no such folder.
  }
}

/** Collects names of data directories until its input ends; then stops (as `immediate` does) and deletes what is left. */
const CARETAKER = `
  while IFS= read -r directory; do set -- "$@" "$directory"; done
  for directory; do
    pid=$(head -n 1 "$directory/postmaster.pid")
    if [ -n "$pid" ]; then
      kill -QUIT "$pid"
      kill -CONT "$pid" # A test may have suspended it.
      # No event tells a stranger that the server has ended: look for it, for ten seconds at most.
      attempts=100; while kill -0 "$pid" && [ $attempts -gt 0 ]; do attempts=$((attempts - 1)); sleep 0.1; done
    fi
    rm -rf "$directory" "$directory".initdb-*
  done`;

let caretaker: ChildProcess | undefined;

/**
 * Has a process of its own watch ours, by a pipe that only we hold: however we end, Ctrl-C and SIGKILL included, the
 * pipe ends with us.
 */
function removeWhenWeAreGone(dataDirectory: string): void {
  caretaker ??= hireCaretaker();
  caretaker.stdin?.write(`${dataDirectory}\n`);
}

function hireCaretaker(): ChildProcess {
  const child = spawn('/bin/sh', ['-c', CARETAKER], { cwd: '/', detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  const warn = (error: Error) =>
    process.emitWarning(`Temporary PostgreSQL servers will stay if this process is killed: ${error.message}`);
  child.once('error', warn);
  child.stdin.once('error', warn);
  child.unref();
  (child.stdin as Socket).unref();
  return child;
}
