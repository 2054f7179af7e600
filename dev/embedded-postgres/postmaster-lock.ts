import { readFile, realpath, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, isAbsolute, join } from 'node:path';

/** In it a running server names its process; the file survives a server that was killed. */
const LOCK_FILE = 'postmaster.pid';

/** What a server has written into `postmaster.pid` of its data directory. */
export interface PostmasterLock {
  readonly pid: number;
  readonly port: number;
}

/** Who has the process id of a lock: the server of that directory, no process, or (the lock is stale) another program. */
export type LockHolder = 'server' | 'no process' | 'another program';

/** Reads the lock of a data directory; `undefined` when there is none, or none that names a process. */
export async function readPostmasterLock(dataDirectory: string): Promise<PostmasterLock | undefined> {
  try {
    const lines = (await readFile(join(dataDirectory, LOCK_FILE), 'utf8')).split('\n');
    const lock = { pid: Number(lines[0]), port: Number(lines[3]) };
    return lock.pid > 0 ? lock : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes a stale lock, whose holder is another program: PostgreSQL would refuse to start for as long as it lives. */
export async function removePostmasterLock(dataDirectory: string): Promise<void> {
  await rm(join(dataDirectory, LOCK_FILE), { force: true });
}

/**
 * Tells who holds a lock. Process ids are used again, so one that is alive proves nothing: on Linux its command line
 * decides; where that can't be read, or names no directory, whether something listens on the lock's port.
 */
export async function findLockHolder(lock: PostmasterLock, dataDirectory: string): Promise<LockHolder> {
  if (!isAlive(lock.pid)) return 'no process';
  const command = await readCommandLine(lock.pid);
  if (command !== undefined && basename(command[0] ?? '') !== 'postgres') return 'another program';
  const directory = command?.find((_, index) => command[index - 1] === '-D');
  const isServer =
    directory !== undefined && isAbsolute(directory)
      ? await isSameDirectory(directory, dataDirectory)
      : await isListening(lock.port);
  return isServer ? 'server' : 'another program';
}

/** Whether a process with this id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The arguments of a process, the program first; empty for a zombie; `undefined` where the system doesn't tell. */
async function readCommandLine(pid: number): Promise<string[] | undefined> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

async function isSameDirectory(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map((path) => realpath(path).catch(() => path)));
  return first === second;
}

async function isListening(port: number): Promise<boolean> {
  if (!(port > 0 && port < 65_536)) return false;
  return new Promise((settle) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1_000 });
    const finish = (answer: boolean) => {
      socket.destroy();
      settle(answer);
    };
    socket.once('connect', () => finish(true));
    socket.once('timeout', () => finish(false));
    socket.once('error', () => finish(false));
  });
}
