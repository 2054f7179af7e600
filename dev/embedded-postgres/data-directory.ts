import { randomBytes } from 'node:crypto';
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { PostgresBinaries } from './postgres-binaries.js';
import { isAlive } from './postmaster-lock.js';
import type { ServerAccount } from './server-account.js';

/** What a {@link DataDirectory} needs to be opened. */
export interface DataDirectoryOptions {
  readonly path: string;
  readonly account: ServerAccount;
  readonly binaries: PostgresBinaries;
  /** Version of the binaries, e.g. `18.4`. */
  readonly version: string;
  /** Password of the superuser of a new directory, which remembers it. @default random */
  readonly password?: string;
  /** Whether a new directory is flushed to disk. */
  readonly sync: boolean;
}

const PASSWORD_FILE = 'superuser.password';
const SETTINGS_FILE = 'embedded.conf';
const OWNER_FILE = 'owner.pid';
const LOG_FILE = 'server.log';

/**
 * The files of one PostgreSQL server.
 *
 * A new one is made in a folder beside it and renamed when it is complete, so that a crash on the way leaves nothing
 * half-made; what such a crash left behind is removed by the next one. A folder with anything else in it is refused.
 */
export class DataDirectory {
  readonly logFile: string;

  private constructor(
    readonly path: string,
    readonly password: string,
    private readonly account: ServerAccount,
  ) {
    this.logFile = join(path, LOG_FILE);
  }

  static async open(options: DataDirectoryOptions): Promise<DataDirectory> {
    const { path, account } = options;
    await mkdir(dirname(path), { recursive: true });
    await account.assertReaches(dirname(path));
    await removeAbandoned(path);
    const content = await list(path);
    if (content.length === 0) await initialize(options);
    else if (!content.includes('PG_VERSION')) {
      throw new Error(`${path} is not empty, and it is no PostgreSQL data directory. Choose another folder.`);
    }
    await adopt(options);
    return new DataDirectory(path, await findPassword(options), account);
  }

  /** Sets what the server reads when it starts next; what was set here before is forgotten. */
  async configure(settings: Readonly<Record<string, string>>): Promise<void> {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quote(value)}\n`);
    await this.account.writePrivate(join(this.path, SETTINGS_FILE), lines.join(''));
  }

  /** Remembers our process as the one that runs the server. */
  async claim(): Promise<void> {
    await this.account.writePrivate(join(this.path, OWNER_FILE), String(process.pid));
  }

  /** The process, other than ours, that runs the server and is alive. */
  async findOtherOwner(): Promise<number | undefined> {
    const owner = Number(await readIfPresent(join(this.path, OWNER_FILE)));
    return owner > 0 && owner !== process.pid && isAlive(owner) ? owner : undefined;
  }

  /** The size of the server's log in bytes, for {@link readLog}. */
  async logSize(): Promise<number> {
    return (await stat(this.logFile).catch(ignore('ENOENT')))?.size ?? 0;
  }

  /** The last lines that the server has logged since its log had that size. */
  async readLog(since: number): Promise<string> {
    const log = (await readFile(this.logFile).catch(ignore('ENOENT')))?.subarray(since).toString() ?? '';
    return log.trimEnd().split('\n').slice(-20).join('\n');
  }

  /** Deletes it. The server must have stopped. */
  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Runs initdb in a folder beside the directory, then renames: whoever is there first wins, a crash leaves nothing. */
async function initialize({ path, account, binaries, password, sync }: DataDirectoryOptions): Promise<void> {
  const staging = await mkdtemp(`${path}.initdb-${process.pid}-`);
  try {
    await account.own(staging);
    const passwordFile = join(staging, PASSWORD_FILE);
    const data = join(staging, 'data');
    await account.writePrivate(passwordFile, password ?? randomBytes(18).toString('base64url'));
    await account.run(binaries.initdb, [
      `--pgdata=${data}`,
      '--username=postgres',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--encoding=UTF8',
      '--no-locale',
      ...(sync ? [] : ['--no-sync']),
    ]);
    await rename(passwordFile, join(data, PASSWORD_FILE));
    await rmdir(path).catch(ignore('ENOENT', 'ENOTEMPTY'));
    await rename(data, path).catch(ignore('ENOTEMPTY', 'EEXIST'));
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Makes sure that the account and the binaries can run what is there, e.g. a copy of another data directory. */
async function adopt({ path, account, version }: DataDirectoryOptions): Promise<void> {
  const madeBy = (await readFile(join(path, 'PG_VERSION'), 'utf8')).trim();
  if (madeBy !== version.split('.')[0]) {
    throw new Error(
      `${path} was made by PostgreSQL ${madeBy}; the installed one is ${version}. Delete that folder to start anew, ` +
        `or dump it with PostgreSQL ${madeBy} first.`,
    );
  }
  if ((await stat(path)).uid === 0) await account.own(path);
  await chmod(path, 0o700);
  const configuration = join(path, 'postgresql.conf');
  const include = `include_if_exists '${SETTINGS_FILE}'`;
  if (!(await readFile(configuration, 'utf8')).includes(include)) await appendFile(configuration, `\n${include}\n`);
}

/** Removes folders in which an initdb was at work when its process died. One of a live process is left alone. */
async function removeAbandoned(path: string): Promise<void> {
  const prefix = `${basename(path)}.initdb-`;
  for (const name of await list(dirname(path))) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number.parseInt(name.slice(prefix.length), 10);
    if (pid === process.pid || isAlive(pid)) continue;
    await rm(join(dirname(path), name), { recursive: true, force: true });
  }
}

async function findPassword({ path, password }: DataDirectoryOptions): Promise<string> {
  const known = (await readIfPresent(join(path, PASSWORD_FILE))) ?? password;
  if (known !== undefined) return known;
  throw new Error(`${join(path, PASSWORD_FILE)} is missing. Give the password of "postgres", or delete ${path}.`);
}

async function list(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(ignore('ENOENT'))) ?? [];
}

async function readIfPresent(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(ignore('ENOENT'));
}

/** A `catch` that lets errors with these codes pass: the file isn't there, or somebody else was faster. */
function ignore(...codes: string[]): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (!codes.includes(error.code ?? '')) throw error;
  };
}

/** A value of a configuration file: in quotes, where a quote is doubled and a backslash begins an escape. */
function quote(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
