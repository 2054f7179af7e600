import { execFile } from 'node:child_process';
import { chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { createTestCluster } from './postgres.js';

const run = promisify(execFile);

/** A certificate of a server with its key, as PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateRequest {
  /** The names that it is for, e.g. `DNS:localhost`. @default localhost and 127.0.0.1 */
  readonly names?: readonly string[];
  /** How long it is valid, in days from now; -1 for one that has expired. @default 1 */
  readonly days?: number;
  /** What the authority signs it with. @default sha256 */
  readonly digest?: string;
}

/** A certificate authority for one test file, by the program `openssl`. `remove()` it. */
export class CertificateAuthority {
  private issued = 0;

  private constructor(
    private readonly folder: string,
    /** The certificate of the authority, as PEM: what clients are to trust. */
    readonly certificate: string,
  ) {}

  static async create(): Promise<CertificateAuthority> {
    const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-ca-'));
    const subject = ['-subj', '/CN=Authority of a test'];
    await openssl(folder, [
      'req',
      '-x509',
      ...NEW_KEY,
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      '-days',
      '2',
      ...subject,
    ]);
    return new CertificateAuthority(folder, await readFile(join(folder, 'ca.crt'), 'utf8'));
  }

  async issue({
    names = ['DNS:localhost', 'IP:127.0.0.1'],
    days = 1,
    digest = 'sha256',
  }: CertificateRequest = {}): Promise<Certificate> {
    const name = `server-${(this.issued += 1)}`;
    await writeFile(join(this.folder, `${name}.ext`), `subjectAltName = ${names.join(', ')}\n`);
    const subject = ['-subj', '/CN=A server of a test'];
    await openssl(this.folder, ['req', ...NEW_KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, ...subject]);
    const signer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
    const limits = ['-extfile', `${name}.ext`, '-days', String(days), `-${digest}`];
    await openssl(this.folder, ['x509', '-req', '-in', `${name}.csr`, ...signer, ...limits, '-out', `${name}.crt`]);
    const [certificate, key] = await Promise.all(
      ['crt', 'key'].map((kind) => readFile(join(this.folder, `${name}.${kind}`), 'utf8')),
    );
    return { certificate: certificate!, key: key! };
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

/**
 * Starts a server of its own that offers TLS. Roles in `guarded` must use it, all others may do without. `remove()` it.
 */
export async function createTlsCluster(
  certificate: Certificate,
  guarded: readonly string[] = [],
): Promise<PostgresCluster> {
  const cluster = await createTestCluster();
  await cluster.stop();
  const rules = [
    ...guarded.map((role) => `hostssl all ${role} 127.0.0.1/32 scram-sha-256`),
    ...guarded.map((role) => `hostnossl all ${role} 127.0.0.1/32 reject`),
    'host all all 127.0.0.1/32 scram-sha-256',
  ];
  await writeOwned(cluster, 'pg_hba.conf', rules.map((rule) => `${rule}\n`).join(''));
  await writeOwned(cluster, 'postgresql.auto.conf', `ssl = on\n`);
  await useCertificate(cluster, certificate);
  return cluster;
}

/** Restarts the server, or starts it, with another certificate. */
export async function useCertificate(cluster: PostgresCluster, { certificate, key }: Certificate): Promise<void> {
  await cluster.stop();
  await writeOwned(cluster, 'server.crt', certificate);
  await writeOwned(cluster, 'server.key', key);
  await cluster.start();
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

async function openssl(folder: string, args: readonly string[]): Promise<void> {
  await run('openssl', [...args], { cwd: folder });
}

/** Writes a file that only the account of the server can read. */
async function writeOwned({ dataDirectory }: PostgresCluster, name: string, content: string): Promise<void> {
  const path = join(dataDirectory, name);
  const { uid, gid } = await stat(join(dataDirectory, 'PG_VERSION'));
  await rm(path, { force: true });
  await writeFile(path, content, { mode: 0o600 });
  await chown(path, uid, gid);
}
