import { execFile } from 'node:child_process';
import { chmod, lchown, lstat, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/**
 * The system account that PostgreSQL's programs run as, and what files must belong to.
 *
 * That is our own account, except as root: PostgreSQL refuses to run as root. Then it is the owner of the data
 * directory, or, while that is root or does not exist, the system user `nobody`. No user is ever created.
 */
export class ServerAccount {
  private constructor(private readonly other?: { readonly uid: number; readonly gid: number; readonly name: string }) {}

  static async of(dataDirectory: string): Promise<ServerAccount> {
    if (process.getuid?.() !== 0) return new ServerAccount();
    const owner = await ownerOf(dataDirectory);
    if (owner !== undefined && owner.uid !== 0) {
      return new ServerAccount({ uid: owner.uid, gid: owner.gid, name: `with id ${owner.uid}` });
    }
    const [uid, gid] = await Promise.all([idOf('-u'), idOf('-g')]);
    return new ServerAccount({ uid, gid, name: '"nobody"' });
  }

  /**
   * Runs a program to its end, without a shell, and returns its standard output. `PG…` variables of our environment do
   * not reach it, and its messages are in English. Rejects with its error output when it fails or takes two minutes.
   */
  async run(file: string, args: readonly string[], cwd = dirname(file)): Promise<string> {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
    const env = { ...Object.fromEntries(inherited), LC_ALL: 'C' };
    // "| 0": the id of nobody is -2 on macOS, printed as 4294967294, and spawn takes 32 signed bits.
    const ids = this.other && { uid: this.other.uid | 0, gid: this.other.gid | 0 };
    try {
      const { stdout } = await execFileAsync(file, args, { cwd, env, timeout: 120_000, ...ids });
      return stdout;
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      const hint = code === 'ENOENT' ? '. If that file exists: it needs glibc, which Alpine Linux does not have.' : '';
      throw new Error(`${message.trim()}${hint}`, { cause: error });
    }
  }

  /** Fails, naming the folder, if the account may not pass through one on the way to `path`, or not into `path`. */
  async assertReaches(path: string): Promise<void> {
    if (this.other === undefined) return;
    const script = 'for path; do test -x "$path" || { printf %s "$path"; break; }; done';
    const closed = await this.run('/bin/sh', ['-c', script, 'sh', ...pathsTo(path)], '/');
    if (closed === '') return;
    throw new Error(
      `The user ${this.other.name} may not enter (or run) ${closed}. PostgreSQL refuses to run as root, so it runs as that user. ` +
        `Run this as an ordinary user, or open the folder ("chmod o+x ${closed}"), or work in a folder outside of it.`,
    );
  }

  /** Gives a file or a folder, with all that is in it, to the account. */
  async own(path: string): Promise<void> {
    if (this.other === undefined) return;
    await lchown(path, this.other.uid, this.other.gid);
    if (!(await lstat(path)).isDirectory()) return;
    for (const name of await readdir(path)) await this.own(join(path, name));
  }

  /** Writes a file that only the account can read. */
  async writePrivate(path: string, content: string): Promise<void> {
    await writeFile(path, content, { mode: 0o600 });
    await chmod(path, 0o600);
    await this.own(path);
  }
}

/** `/a/b` gives `/`, `/a`, `/a/b`. */
function pathsTo(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...pathsTo(parent), path];
}

/** Who owns a folder; `undefined` when it does not exist. */
async function ownerOf(path: string): Promise<{ uid: number; gid: number } | undefined> {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

async function idOf(kind: '-u' | '-g'): Promise<number> {
  const { stdout } = await execFileAsync('id', [kind, 'nobody']).catch((error: unknown) => {
    throw new Error(
      'PostgreSQL refuses to run as root, and this system has no user "nobody" to run it as. ' +
        'Run this as an ordinary user, or give the data directory to one ("chown").',
      { cause: error },
    );
  });
  return Number(stdout) >>> 0;
}
