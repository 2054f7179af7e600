import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from '../../dev/embedded-postgres/free-port.js';

export const PGBOUNCER = '/usr/sbin/pgbouncer';

export async function hasPgBouncer(): Promise<boolean> {
  return access(PGBOUNCER).then(
    () => true,
    () => false,
  );
}

export type PoolMode = 'transaction' | 'session';

/** Debian's PgBouncer in front of a server, with a pool of three. */
export class PgBouncer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    readonly url: string,
  ) {}

  static async start(serverUrl: string, poolMode: PoolMode): Promise<PgBouncer> {
    const server = new URL(serverUrl);
    const port = await findFreePort();
    const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-bench-pgbouncer-'));
    await chmod(folder, 0o755); // PgBouncer refuses to run as root and gives up its rights.
    const login = `user=${server.username} password=${server.password}`;
    const settings = [
      `[databases]\npostgres = host=127.0.0.1 port=${server.port} ${login}`,
      `[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = any`,
      `pool_mode = ${poolMode}\ndefault_pool_size = 3\n`,
    ];
    await writeFile(join(folder, 'pgbouncer.ini'), settings.join('\n'));
    const account = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
    const child = spawn(PGBOUNCER, ['-q', ...account, join(folder, 'pgbouncer.ini')], { stdio: 'ignore' });
    await accepts(port);
    return new PgBouncer(child, folder, `postgres://${server.username}@127.0.0.1:${port}/postgres`);
  }

  async stop(): Promise<void> {
    const exited = once(this.child, 'exit');
    if (this.child.exitCode === null && this.child.kill('SIGTERM')) await exited;
    await rm(this.folder, { recursive: true });
  }
}

async function accepts(port: number): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const socket = connect({ port, host: '127.0.0.1' });
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    await sleep(100);
  }
  throw new Error('PgBouncer did not open its port within 5 s.');
}
