import { afterAll, describe } from '@jest/globals';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, writeFileSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Client } from 'pg';
import { findFreePort } from '../../dev/embedded-postgres/free-port.js';
import { withDeadline } from './deadline.js';
import { isExecutable } from './executable.js';

export type PoolMode = 'session' | 'transaction' | 'statement';

/** Settings as in the section `[pgbouncer]` of its configuration file, e.g. `{ client_idle_timeout: '5' }`. */
export type PgBouncerSettings = Readonly<Record<string, string>>;

/** Where the program is; undefined when it is not installed. Debian keeps it outside of the PATH of ordinary users. */
export function findPgBouncer(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), '/usr/sbin'];
  return folders.map((folder) => join(folder, 'pgbouncer')).find(isExecutable);
}

/** A suite that needs PgBouncer: without it, it is skipped, and one line says so; where `CI` is set it fails. */
export function describeWithPgBouncer(name: string, suite: () => void): void {
  const isSkipped = findPgBouncer() === undefined && !process.env['CI'];
  // Not by console, which the option --silent of Jest switches off.
  if (isSkipped) writeSync(2, `Skipped, because PgBouncer is not installed: ${name}.\n`);
  const declare = isSkipped ? describe.skip : describe;
  declare(name, suite);
}

const running = new Set<PgBouncer>();

// A test that fails half-way must not take the others down: nothing outlives its file.
afterAll(async () => {
  for (const bouncer of running) await bouncer.close();
});

/** Runs PgBouncer until its input ends, however its owner ends; then deletes its folder, unless its input said to keep it. */
const KEEPER = `
  folder=$1; shift
  "$@" &
  pid=$!
  read -r verb
  kill -TERM $pid
  wait $pid
  [ "$verb" = keep ] || rm -rf "$folder"`;

/** Debian's PgBouncer in front of the server of a database, on a port of its own. `close()` it. */
export class PgBouncer {
  private keeper: ChildProcess | undefined;

  private constructor(
    private readonly program: string,
    private readonly folder: string,
    private readonly target: URL,
    private readonly port: number,
    private mode: PoolMode,
    private settings: PgBouncerSettings,
  ) {}

  static async start(targetUrl: string, mode: PoolMode, settings: PgBouncerSettings = {}): Promise<PgBouncer> {
    const program = findPgBouncer();
    if (program === undefined) throw new Error('PgBouncer is not installed (on Debian: "apt-get install pgbouncer").');
    const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-pgbouncer-'));
    own(folder);
    const target = new URL(targetUrl);
    const bouncer = new PgBouncer(program, folder, target, await findFreePort(), mode, settings);
    const [user, password] = [target.username, target.password].map(decodeURIComponent);
    bouncer.write('userlist.txt', `"${user}" "${password}"\n`);
    bouncer.configure();
    await bouncer.launch();
    running.add(bouncer);
    return bouncer;
  }

  /** The URL of the database through the pooler. */
  get url(): string {
    return this.urlOf(this.target.pathname);
  }

  /** `host:port` of the pooler. */
  get endpoint(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Runs a command of the admin console, such as `PAUSE` or `SHOW POOLS`, and returns its rows. */
  async command(command: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.urlOf('/pgbouncer'), connectionTimeoutMillis: 10_000 });
    client.on('error', () => undefined);
    await client.connect();
    try {
      const { rows } = await client.query<Record<string, unknown>>(command);
      return rows;
    } finally {
      await client.end();
    }
  }

  /** Changes the mode, and settings on request, without a restart. */
  async reload(mode: PoolMode, settings = this.settings): Promise<void> {
    this.mode = mode;
    this.settings = settings;
    this.configure();
    await this.command('RELOAD');
  }

  /** Ends the process, with all connections, and starts another one on the same port. */
  async restart(): Promise<void> {
    await this.end('keep\n');
    await this.launch();
  }

  /** A second call does nothing. */
  async close(): Promise<void> {
    running.delete(this);
    await this.end('');
    await rm(this.folder, { recursive: true, force: true });
  }

  private urlOf(path: string): string {
    const url = new URL(this.target);
    url.host = this.endpoint;
    url.pathname = path;
    return url.href;
  }

  private configure(): void {
    const { hostname, port, username } = this.target;
    const settings: PgBouncerSettings = {
      listen_addr: '127.0.0.1',
      listen_port: String(this.port),
      unix_socket_dir: '',
      auth_type: 'scram-sha-256',
      auth_file: join(this.folder, 'userlist.txt'),
      admin_users: decodeURIComponent(username),
      pool_mode: this.mode,
      // A server that refuses a connection is tried again at once, not after 15 s.
      server_login_retry: '0.1',
      ...this.settings,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    const databases = `* = host=${hostname} port=${port || '5432'}`;
    this.write('pgbouncer.ini', ['[databases]', databases, '[pgbouncer]', ...lines, ''].join('\n'));
  }

  private async launch(): Promise<void> {
    const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []; // It refuses to run as root.
    const command = [this.program, ...user, join(this.folder, 'pgbouncer.ini')];
    const keeper = spawn('/bin/sh', ['-c', KEEPER, 'sh', this.folder, ...command], {
      cwd: '/',
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    keeper.stdin.on('error', () => undefined);
    this.keeper = keeper;
    let log = '';
    const up = new Promise<void>((resolve, reject) => {
      keeper.stderr.on('data', (chunk: Buffer) => {
        log += chunk.toString();
        if (log.includes('process up')) resolve();
        if (log.includes('FATAL')) reject(new Error(`PgBouncer did not start:\n${log}`));
      });
    });
    try {
      await withDeadline(up, 10_000, 'The start of PgBouncer');
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  private async end(verb: string): Promise<void> {
    const { keeper } = this;
    if (!keeper) return;
    this.keeper = undefined;
    const ended = new Promise<void>((resolve) => keeper.once('close', () => resolve()));
    keeper.stdin?.end(verb);
    await withDeadline(ended, 10_000, 'The end of PgBouncer');
  }

  private write(name: string, content: string): void {
    const path = join(this.folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    own(path);
  }
}

/** Gives a file to the account that PgBouncer runs as. */
function own(path: string): void {
  if (process.getuid?.() !== 0) return;
  const idOf = (kind: string): number => Number(execFileSync('id', [kind, 'nobody'], { encoding: 'utf8' }));
  chownSync(path, idOf('-u'), idOf('-g'));
}
