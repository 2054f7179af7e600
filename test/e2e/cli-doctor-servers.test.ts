import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { CertificateAuthority, createTlsCluster } from '../support/certificates.js';
import { cleanups } from '../support/cleanups.js';
import { diagnose } from '../support/diagnosis.js';
import type { Diagnosis } from '../support/diagnosis.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import type { PoolMode } from '../support/pgbouncer.js';
import { createTestCluster } from '../support/postgres.js';
import { createStandby } from '../support/standby.js';
import { itFrom } from '../support/version-gate.js';

const { cleanup } = cleanups();

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  cleanup(() => client.end());
  return client;
}

async function startCluster(start: () => Promise<PostgresCluster>): Promise<PostgresCluster> {
  const cluster = await start();
  cleanup(() => cluster.remove());
  return cluster;
}

describe('doctor on a server of its own', () => {
  // Only the queue of PostgreSQL 17 and later can be made small; it is 8 GB before.
  itFrom(17, 'reports how full the queue is, and which backend holds it back', async () => {
    const cluster = await startCluster(() => createTestCluster({ max_notify_queue_pages: '64' }));
    const [reader, writer] = [await connect(cluster.url()), await connect(cluster.url())];
    await reader.query('LISTEN held');
    await reader.query('BEGIN'); // Until its end nothing is read from the queue for it.
    const { rows } = await reader.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await writer.query(`SELECT pg_notify('held', repeat('x', 7900) || n) FROM generate_series(1, 20) AS n`);
    const { findings } = await diagnose(cluster.url());
    expect(findings['queue']?.message).toMatch(/^The notification queue is [1-4]\d % full\.$/);
    expect(findings['queue']).toMatchObject({
      level: 'warning',
      remedy: expect.stringContaining(`SELECT pg_terminate_backend(${rows[0]?.pid})`),
    });
    await writer.query(`SELECT pg_notify('held', repeat('x', 7900) || n) FROM generate_series(21, 45) AS n`);
    expect(await diagnose(cluster.url())).toMatchObject({ code: 1, findings: { queue: { level: 'problem' } } });
  });

  it('reports a standby as a problem, and points to the primary', async () => {
    const primary = await startCluster(createTestCluster);
    const standby = await startCluster(() => createStandby(primary));
    const { code, findings } = await diagnose(standby.url());
    expect(code).toBe(1);
    expect(findings['standby']).toEqual({
      check: 'standby',
      level: 'problem',
      message: 'This server is a standby, where neither LISTEN nor NOTIFY works.',
      remedy: 'Connect to the primary.',
    });
    expect(findings).not.toHaveProperty('delivery');
  });

  it('reports whether TLS protects the connection', async () => {
    const authority = await CertificateAuthority.create();
    cleanup(() => authority.remove());
    const { certificate, key } = await authority.issue();
    const cluster = await startCluster(() => createTlsCluster({ certificate, key }, []));
    const url = new URL(cluster.url());
    url.hostname = 'localhost';
    url.searchParams.set('sslmode', 'verify-full');
    const untrusted = await diagnose(url.href);
    expect(untrusted).toMatchObject({
      code: 1,
      findings: {
        connection: {
          message: expect.stringMatching(
            /^localhost:\d+: unable to verify the first certificate(; .+ --use-system-ca)?\.$/,
          ),
          remedy: expect.stringContaining('Check the ssl settings of the connection'),
        },
      },
    });
    const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-cli-'));
    cleanup(() => rm(folder, { recursive: true }));
    const file = join(folder, 'ca.pem');
    await writeFile(file, authority.certificate);
    url.searchParams.set('sslrootcert', file);
    const { code, findings } = await diagnose(url.href);
    expect(code).toBe(0);
    expect(findings.connection?.message).toMatch(/^localhost:\d+, .+, with TLS\.$/);
  });

  describeWithPgBouncer('behind PgBouncer', () => {
    const suite = appSuite();

    async function diagnoseBehind(mode: PoolMode, poolSize = 2, timeout = 20): Promise<Diagnosis> {
      const settings = { default_pool_size: String(poolSize) };
      const bouncer = suite.use(await PgBouncer.start(suite.database.url, mode, settings));
      return diagnose(bouncer.url, ['--timeout', String(timeout)]);
    }

    it.each(['transaction', 'statement'] as const)(
      'reports the pooler in %s mode, and names the remedy',
      async (mode) => {
        const { code, ok, findings } = await diagnoseBehind(mode);
        expect({ code, ok }).toEqual({ code: 1, ok: false });
        const remedy =
          'Point the option connection directly to PostgreSQL, or to the pooler in session mode (PgBouncer: pool_mode=session).';
        expect(findings['pooler']).toMatchObject({ level: 'problem', remedy });
        expect(findings['delivery']).toMatchObject({ level: 'problem', remedy });
        expect(findings['delivery']?.message).toMatch(
          /^Notifications do not arrive: .+ within 1000 ms.+ \(it announced the backend -?\d+, the statements run in \d+\)/,
        );
      },
    );

    it('accepts session mode, even with only two connections', async () => {
      const { code, ok, findings } = await diagnoseBehind('session');
      expect({ code, ok }).toEqual({ code: 0, ok: true });
      expect(findings['pooler']).toMatchObject({
        level: 'ok',
        message: expect.stringMatching(/^A pooler \(.+\) in session mode: notifications arrive\.$/),
      });
    });

    it('names the size of the pool if there is no second connection to prove delivery with', async () => {
      const { code, findings } = await diagnoseBehind('session', 1, 4);
      expect(code).toBe(1);
      expect(findings['delivery']).toMatchObject({ level: 'problem' });
      expect(JSON.stringify(findings['delivery'])).toContain('PgBouncer: default_pool_size');
    });
  });
});
