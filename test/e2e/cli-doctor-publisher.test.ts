import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { appSuite } from '../support/app/app-suite.js';
import { runHere } from '../support/command-line-here.js';
import { CANARY, diagnose, expectNothingLeft } from '../support/diagnosis.js';
import { createTestCluster } from '../support/postgres.js';
import { createStandby } from '../support/standby.js';

describe('doctor --publisher-url', () => {
  const suite = appSuite();
  let role: string;

  beforeAll(async () => {
    const { database } = suite;
    role = `role_${database.name}`;
    await database.query(`CREATE ROLE ${role} LOGIN PASSWORD '${CANARY}';
      REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC`);
    suite.cleanup(async () => {
      await database.query('GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO PUBLIC');
      await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
  });

  const asRole = (): string => {
    const url = new URL(suite.database.url);
    [url.username, url.password] = [role, CANARY];
    return url.href;
  };

  it('sends with the other URL, and needs no privilege to send where it only listens', async () => {
    expect(await diagnose(asRole())).toMatchObject({ code: 1, findings: { privileges: { level: 'problem' } } });
    const { code, findings } = await diagnose(asRole(), ['--publisher-url', suite.database.url]);
    expect(code).toBe(0);
    expect(findings['privileges']).toMatchObject({ level: 'ok', message: `The role "${role}" may LISTEN.` });
    const { name, config } = suite.database;
    expect(findings['publisher']).toMatchObject({
      level: 'ok',
      message: `${config.host}:${config.port}, database "${name}", as "${config.user}", without TLS. The role may send.`,
    });
    expect(findings['delivery']).toMatchObject({ level: 'ok' });
    await expectNothingLeft(suite.database);
  });

  it('reports a role that may not send as a problem, with the GRANT to write', async () => {
    const { code, findings } = await diagnose(suite.database.url, ['--publisher-url', asRole()]);
    expect(code).toBe(1);
    expect(findings['publisher']).toMatchObject({
      level: 'problem',
      message: expect.stringContaining('it lacks EXECUTE on pg_notify'),
      remedy: `GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO ${role};`,
    });
  });

  it('reports another database as the cause of notifications that do not arrive', async () => {
    const other = await suite.createDatabase();
    const { code, findings } = await diagnose(suite.database.url, ['--publisher-url', other.url]);
    expect(code).toBe(1);
    expect(findings['delivery']).toMatchObject({
      level: 'problem',
      message: expect.stringContaining('Listening and sending go to different databases'),
      remedy: 'Point the options connection and publisher.connection to the same database of the same server.',
    });
  });

  it('reports a publisher that cannot be reached as a problem, beside what it has found of the listener', async () => {
    const { code, findings } = await diagnose(suite.database.url, ['--publisher-url', 'postgres://u@127.0.0.1:1/d']);
    expect(code).toBe(1);
    expect(findings['publisher']).toMatchObject({
      level: 'problem',
      message: expect.stringContaining('ECONNREFUSED'),
      remedy: 'Is PostgreSQL running there?',
    });
    expect(findings['queue']).toMatchObject({ level: 'ok' });
    expect(findings['delivery']).toBeUndefined();
  });

  it('reports a standby as a problem', async () => {
    const start = async (create: () => Promise<PostgresCluster>): Promise<PostgresCluster> => {
      const cluster = await create();
      suite.cleanup(() => cluster.remove());
      return cluster;
    };
    const primary = await start(createTestCluster);
    const standby = await start(() => createStandby(primary));
    const { code, findings } = await diagnose(primary.url(), ['--publisher-url', standby.url()]);
    expect(code).toBe(1);
    expect(findings['publisher']).toMatchObject({
      level: 'problem',
      message: expect.stringContaining('is a standby, where NOTIFY does not work.'),
      remedy: 'Connect to the primary.',
    });
  });

  it('is refused with what to write, when it is no URL', async () => {
    const { code, stderr } = await runHere(['doctor', '--url', suite.database.url, '--publisher-url', 'shop']);
    expect(code).toBe(2);
    expect(stderr).toContain('--publisher-url must be the folder of a Unix socket or begin with postgres://');
  });
});
