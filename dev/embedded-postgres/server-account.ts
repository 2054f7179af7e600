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
  /** Whether a folder on the way is closed to the account, and its programs take along the right to pass. */
  private needsPassage = false;

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
    const [command = file, ...rest] = [...this.passage, file, ...args];
    try {
      const { stdout } = await execFileAsync(command, rest, { cwd, env, timeout: 120_000, ...this.ids });
      return stdout;
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      const hint = code === 'ENOENT' ? '. If that file exists: it needs glibc, which Alpine Linux does not have.' : '';
      throw new Error(`${message.trim()}${hint}`, { cause: error });
    }
  }

  /**
   * Makes sure that the account may pass through the folders on the way to `path`, and into `path`. Where one is closed
   * to it (a checkout below a private folder of root, say), its programs take along the right to pass, which Linux can
   * give. Fails, naming the folder, where it cannot.
   */
  async assertReaches(path: string): Promise<void> {
    if (this.other === undefined) return;
    let closed = await this.closedOnTheWayTo(path);
    if (closed === '') return;
    this.needsPassage = true;
    closed = await this.closedOnTheWayTo(path).catch(() => closed); // No setpriv, or no such right in this container.
    if (closed === '') return;
    throw new Error(
      `The user ${this.other.name} may not enter (or run) ${closed}. PostgreSQL refuses to run as root, so it runs as that user. ` +
        `Run this as an ordinary user, or open the folder ("chmod o+x ${closed}"), or work in a folder outside of it.`,
    );
  }

  private closedOnTheWayTo(path: string): Promise<string> {
    const script = 'for path; do test -x "$path" || { printf %s "$path"; break; }; done';
    return this.run('/bin/sh', ['-c', script, 'sh', ...pathsTo(path)], '/');
  }

  /** The command that takes the right along; it changes the account by itself. */
  private get passage(): string[] {
    if (!this.other || !this.needsPassage) return [];
    const { uid, gid } = this.other;
    const right = '+dac_read_search';
    const who = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
    // PostgreSQL asks by access(2), which counts the rights of an ordinary user only with this security bit.
    return ['setpriv', ...who, '--securebits=+no_setuid_fixup', `--inh-caps=${right}`, `--ambient-caps=${right}`];
  }

  private get ids(): { uid: number; gid: number } | undefined {
    // "| 0": the id of nobody is -2 on macOS, printed as 4294967294, and spawn takes 32 signed bits.
    return this.other && !this.needsPassage ? { uid: this.other.uid | 0, gid: this.other.gid | 0 } : undefined;
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
