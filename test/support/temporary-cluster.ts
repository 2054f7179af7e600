import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  const dataDirectory = join(tmpdir(), `nest-pg-notify-${randomBytes(6).toString('hex')}`);
  removeWhenWeAreGone(dataDirectory);
  const cluster = await PostgresCluster.create({ dataDirectory, settings, ...(binaries && { binaries }) });
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

/** Collects names of data directories until its input ends; then stops (as `immediate` does) and deletes what is left. */
const CARETAKER = `
  while IFS= read -r directory; do set -- "$@" "$directory"; done
  for directory; do
    pid=$(head -n 1 "$directory/postmaster.pid")
    if [ -n "$pid" ]; then
      kill -QUIT "$pid"
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
