import { beforeAll, describe, expect, it } from '@jest/globals';
import { PgNotifyModule } from 'nest-pg-notify';
import type { PgNotifyError } from 'nest-pg-notify';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { CertificateAuthority, createTlsCluster, useCertificate } from '../support/certificates.js';
import type { StubConnection } from '../support/stub-connection.js';
import { StubPostgres } from '../support/stub-postgres.js';
import { queryOnce } from '../support/standby.js';
import { startTlsInterceptor } from '../support/tls-interceptor.js';

const PASSWORD = 'canary-password';

/** What a server sends to ask for a password in clear, and for one as an MD5 hash. */
const ASK_IN_CLEAR = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
const ASK_FOR_MD5 = Buffer.from([0x52, 0, 0, 0, 12, 0, 0, 0, 5, 1, 2, 3, 4]);

describe('a connection by URL', () => {
  const suite = appSuite({ bus: true });
  let cluster: PostgresCluster;
  let authority: CertificateAuthority;
  let rootCertificate: string;

  beforeAll(async () => {
    authority = await CertificateAuthority.create();
    suite.cleanup(() => authority.remove());
    cluster = await createTlsCluster(await authority.issue());
    suite.cleanup(() => cluster.remove());
    await queryOnce(cluster.url(), `CREATE ROLE listener LOGIN PASSWORD '${PASSWORD}'`);
    const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-root-'));
    suite.cleanup(() => rm(folder, { recursive: true }));
    rootCertificate = join(folder, 'root.crt');
    await writeFile(rootCertificate, authority.certificate);
  });

  const urlWith = (parameters: Readonly<Record<string, string>>): string =>
    `postgres://listener:${PASSWORD}@localhost:${cluster.port}/postgres?${new URLSearchParams(parameters).toString()}`;

  function create(connection: string): Promise<TestApp> {
    const registration = PgNotifyModule.forRoot({ connection, startup: { timeout: 3_600_000 } });
    return suite.createOf({ imports: [registration] });
  }

  async function refusalOf(connection: string): Promise<PgNotifyError> {
    const { app, service } = await create(connection);
    const error: unknown = await app.init().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: 'connection', permanent: true });
    expect(service.status).toMatchObject({ state: 'closed', attempts: 1 });
    return error as PgNotifyError;
  }

  it.each(['prefer', 'require', 'verify-ca'])(
    'verifies the certificate for sslmode=%s, as for verify-full',
    async (sslmode) => {
      const refused = await refusalOf(urlWith({ sslmode }));
      expect(refused.message).toMatch(
        /unable to verify the first certificate.* sslmode=prefer, require and verify-ca mean verify-full/,
      );
      const { app, service } = await create(urlWith({ sslmode, sslrootcert: rootCertificate }));
      await app.init();
      expect(service.status.delivery).toMatchObject({ verdict: 'verified' });
    },
  );

  it('is made with channel_binding=require to a server that offers it', async () => {
    const { app, service } = await create(
      urlWith({ sslmode: 'verify-full', sslrootcert: rootCertificate, channel_binding: 'require' }),
    );
    await app.init();
    expect(service.status.delivery).toMatchObject({ verdict: 'verified' });
  });

  /** The URL with an interceptor in place of the server, whose certificate the client trusts as well. */
  async function intercepted(channelBinding: string): Promise<string> {
    const certificate = await authority.issue();
    const interceptor = suite.use(await startTlsInterceptor(certificate, cluster.port));
    const url = new URL(
      urlWith({ sslmode: 'verify-full', sslrootcert: rootCertificate, channel_binding: channelBinding }),
    );
    url.port = String(interceptor.port);
    return url.href;
  }

  it.each(['require', 'prefer'])(
    'is refused with channel_binding=%s through somebody in between with a trusted certificate of its own',
    async (channelBinding) => {
      const { message } = await refusalOf(await intercepted(channelBinding));
      expect(message).toMatch(
        /^localhost:\d+: SCRAM channel binding check failed \(SQLSTATE 28000\)\. Something between this application and the server ends TLS with a certificate of its own\. Connect without it; if it is a proxy that you trust, set channel_binding=disable\.$/,
      );
    },
  );

  it('is made with channel_binding=disable through a proxy that ends TLS', async () => {
    const { app, service } = await create(await intercepted('disable'));
    await app.init();
    expect(service.status.delivery).toMatchObject({ verdict: 'verified' });
  });

  it.each(['sha384', 'sha512'])(
    'is made with channel_binding=require to a certificate signed with %s',
    async (digest) => {
      await useCertificate(cluster, await authority.issue({ digest }));
      const { app, service } = await create(
        urlWith({ sslmode: 'verify-full', sslrootcert: rootCertificate, channel_binding: 'require' }),
      );
      await app.init();
      expect(service.status.delivery).toMatchObject({ verdict: 'verified' });
    },
  );

  it('rejects init() at once with channel_binding=require if the server does not offer it', async () => {
    const { message } = await refusalOf(urlWith({ channel_binding: 'require' }));
    expect(message).toBe(
      `localhost:${cluster.port}: the server offers no channel binding, which channel_binding=require asks for. It takes TLS, and a password in the form of scram-sha-256.`,
    );
  });

  it.each([
    ['a password in clear', ASK_IN_CLEAR],
    ['one as an MD5 hash', ASK_FOR_MD5],
  ])('keeps the password from a server that asks for %s instead of channel binding', async (_what, request) => {
    const sent: Buffer[] = [];
    const onStartup = (connection: StubConnection): void => {
      connection.socket.on('data', (bytes) => sent.push(bytes));
      connection.write(request);
    };
    const server = suite.use(await StubPostgres.start({ onStartup }));
    const { message } = await refusalOf(`${server.url}?channel_binding=require`);
    expect(message).toContain('the server offers no channel binding');
    await server.close();
    expect(Buffer.concat(sent).toString('latin1')).toBe('');
  });

  it('is refused with channel_binding=require to a server that lets everybody in', async () => {
    const server = suite.use(await StubPostgres.start());
    const { message } = await refusalOf(`${server.url}?channel_binding=require`);
    expect(message).toContain('the server offers no channel binding');
  });
});
