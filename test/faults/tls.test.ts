import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PgNotifyError } from 'nest-pg-notify';
import { inspect } from 'node:util';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { appSuite } from '../support/app/app-suite.js';
import { untilStatus } from '../support/app/status.js';
import type { TestApp } from '../support/app/test-app.js';
import { CertificateAuthority, createTlsCluster, useCertificate } from '../support/certificates.js';
import type { Certificate, CertificateRequest } from '../support/certificates.js';
import { failureOf } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';
import { queryOnce } from '../support/standby.js';

const CANARY = 'canary-pässword';
const REMEDY =
  'Check the ssl settings of the connection and the certificate of the server; a connection is never made without what they ask for. In a URL, sslmode=prefer, require and verify-ca mean verify-full.';

describe('a connection with TLS', () => {
  const suite = appSuite({
    options: { startup: { timeout: 3_600_000 }, reconnect: { minDelay: 20, maxDelay: 100 } },
  });
  let authority: CertificateAuthority;
  let good: Certificate;
  let cluster: PostgresCluster;

  beforeAll(async () => {
    authority = await CertificateAuthority.create();
    suite.cleanup(() => authority.remove());
    good = await authority.issue();
    cluster = await createTlsCluster(good, ['guarded']);
    suite.cleanup(() => cluster.remove());
    for (const role of ['guarded', 'free']) {
      await queryOnce(cluster.url(), `CREATE ROLE ${role} LOGIN PASSWORD '${CANARY}'`);
    }
  });

  /** The role `free` may connect without TLS: falling back to it would succeed. */
  function settings(more: object): object {
    const { port } = cluster;
    return { host: 'localhost', port, user: 'free', password: CANARY, database: 'postgres', ...more };
  }

  /** Everything that may be printed about it is free of the password. */
  function expectNoPassword({ logger, service }: TestApp, error?: unknown): void {
    const printed = [error, service.status].map((value) => inspect(value, { depth: 20, showHidden: true }));
    const all = [...printed, String(error), JSON.stringify(service.status), ...logger.texts()].join('\n');
    expect(all).not.toContain(CANARY);
  }

  async function expectRefused(connection: object): Promise<PgNotifyError> {
    const subject = await suite.create({ connection });
    const error = await failureOf(subject.app.init());
    expect(error).toMatchObject({ kind: 'connection', permanent: true });
    expect(subject.service.status).toMatchObject({ state: 'closed', attempts: 1 });
    expectNoPassword(subject, error);
    const left = await queryOnce(cluster.url(), `SELECT pid FROM pg_stat_activity WHERE usename <> 'postgres'`);
    expect(left).toEqual([]);
    return error;
  }

  it.each([
    ['localhost', 'free'],
    ['127.0.0.1', 'guarded'],
  ])('is verified and encrypted, for %s', async (host, user) => {
    const subject = await suite.create({ connection: settings({ host, user, ssl: { ca: authority.certificate } }) });
    const { app, service } = subject;
    const payloads = new Recorder<unknown>();
    service.listen('orders').subscribe(({ payload }) => payloads.push(payload));
    await app.init();
    await service.ready();
    await service.notify('orders', 'in private');
    expect(await payloads.until(1)).toEqual(['in private']);
    const encrypted = await queryOnce(
      cluster.url(),
      `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '${user}'`,
    );
    expect(encrypted).toEqual([{ ssl: true }, { ssl: true }]);
    expectNoPassword(subject);
  });

  it('is refused by a server that requires TLS if none is asked for', async () => {
    const { message, sqlState } = await expectRefused(settings({ user: 'guarded' }));
    expect(sqlState).toBe('28000');
    expect(message).toMatch(
      /^localhost:\d+: pg_hba\.conf rejects connection for host "127\.0\.0\.1", user "guarded", database "postgres", no encryption \(SQLSTATE 28000\)\. Check the user of the connection, and the server’s pg_hba\.conf\.$/,
    );
  });

  it('is never made to a server whose certificate comes from an unknown authority', async () => {
    const { message } = await expectRefused(settings({ ssl: true }));
    const hint = '; if the root CA is installed locally, try running Node.js with --use-system-ca'; // Of newer Nodes.
    expect(message.replace(hint, '')).toBe(
      `localhost:${cluster.port}: unable to verify the first certificate. ${REMEDY}`,
    );
    const other = await CertificateAuthority.create();
    suite.cleanup(() => other.remove());
    await expectRefused(settings({ ssl: { ca: other.certificate } }));
  });

  it.each<[string, CertificateRequest, string]>([
    ['has expired', { days: -1 }, 'certificate has expired'],
    [
      'is for another name',
      { names: ['DNS:elsewhere.test'] },
      `Hostname/IP does not match certificate's altnames: Host: localhost. is not in the cert's altnames: DNS:elsewhere.test`,
    ],
  ])('is never made to a server whose certificate %s', async (_what, request, problem) => {
    await useCertificate(cluster, await authority.issue(request));
    const { message } = await expectRefused(settings({ ssl: { ca: authority.certificate } }));
    expect(message).toBe(`localhost:${cluster.port}: ${problem}. ${REMEDY}`);
    await useCertificate(cluster, good);
  });

  it('is tried again after a loss until the certificate is valid', async () => {
    const subject = await suite.create({ connection: settings({ ssl: { ca: authority.certificate } }) });
    const { app, service, logger } = subject;
    await app.init();
    const refused = untilStatus(
      subject,
      ({ lastFailure, attempts }) => attempts > 3 && lastFailure!.message.includes('has expired'),
    );
    await useCertificate(cluster, await authority.issue({ days: -1 }));
    expect((await refused).state).toBe('reconnecting');
    await useCertificate(cluster, good);
    await service.ready();
    expect(logger.texts('warn').filter((line) => line.includes('Not listening'))).toHaveLength(1);
    expectNoPassword(subject);
  });
});
