import { beforeAll, describe, expect, it } from '@jest/globals';
import { appSuite } from '../support/app/app-suite.js';
import { CANARY, diagnose, expectNothingLeft } from '../support/diagnosis.js';
import type { Diagnosis } from '../support/diagnosis.js';

const suite = appSuite();
let role: string;

beforeAll(async () => {
  role = `poor_${suite.database.name}`;
  await suite.database.query(`CREATE ROLE ${role} LOGIN PASSWORD '${CANARY}'`);
  suite.cleanup(() => suite.database.query(`DROP ROLE ${role}`));
});

async function diagnoseWithout(privilege: string): Promise<Diagnosis> {
  await suite.database.query(`REVOKE ${privilege} FROM PUBLIC`);
  suite.cleanup(() => suite.database.query(`GRANT ${privilege} TO PUBLIC`));
  return diagnose(poorUrl());
}

function poorUrl(): string {
  return Object.assign(new URL(suite.database.url), { username: role, password: CANARY }).href;
}

const GRANT_WHAT_IS_NAMED =
  'Grant the role what it lacks: CONNECT on the database, EXECUTE on the function, or SELECT on the table or view that the message names.';

describe('doctor, of a role from which the catalog is kept', () => {
  it.each([
    ['SELECT ON pg_settings', 'timeouts', 'permission denied for view pg_settings', GRANT_WHAT_IS_NAMED],
    [
      'EXECUTE ON FUNCTION pg_notification_queue_usage()',
      'queue',
      'permission denied for function pg_notification_queue_usage',
      GRANT_WHAT_IS_NAMED,
    ],
    [
      'EXECUTE ON FUNCTION pg_is_in_recovery()',
      'standby',
      'permission denied for function pg_is_in_recovery',
      GRANT_WHAT_IS_NAMED,
    ],
    [
      'EXECUTE ON FUNCTION pg_postmaster_start_time()',
      'connection',
      'without TLS. What the server is cannot be asked in full: HOST: permission denied for function pg_postmaster_start_time',
      'Grant the role EXECUTE on the function.',
    ],
    [
      'EXECUTE ON FUNCTION has_function_privilege(text, text)',
      'privileges',
      'permission denied for function has_function_privilege',
      GRANT_WHAT_IS_NAMED,
    ],
    ['SELECT ON pg_class', 'events', 'permission denied for table pg_class', GRANT_WHAT_IS_NAMED],
  ])(
    'warns of what it cannot ask, and proves that notifications arrive: %s',
    async (privilege, check, message, remedy) => {
      const { code, ok, findings } = await diagnoseWithout(privilege);
      const { host, port } = suite.database.config;
      expect(findings[check as keyof typeof findings]).toEqual({
        check,
        level: 'warning',
        message: expect.stringContaining(`${message.replace('HOST', `${host}:${port}`)} (SQLSTATE 42501).`),
        remedy,
      });
      expect(findings['delivery']).toMatchObject({ level: 'ok' });
      expect({ code, ok }).toEqual({ code: 0, ok: true });
      await expectNothingLeft(suite.database);
    },
  );

  it('proves that notifications arrive from a publisher that it may not ask, too', async () => {
    const privilege = 'EXECUTE ON FUNCTION has_function_privilege(text, text)';
    await suite.database.query(`REVOKE ${privilege} FROM PUBLIC`);
    suite.cleanup(() => suite.database.query(`GRANT ${privilege} TO PUBLIC`));
    const { code, findings } = await diagnose(suite.database.url, ['--publisher-url', poorUrl()]);
    expect(findings['publisher']).toMatchObject({
      level: 'warning',
      message: expect.stringContaining('permission denied for function has_function_privilege (SQLSTATE 42501).'),
      remedy: GRANT_WHAT_IS_NAMED,
    });
    expect(findings['delivery']).toMatchObject({ level: 'ok' });
    expect(code).toBe(0);
  });

  it('names the function without which nothing works', async () => {
    const { code, findings } = await diagnoseWithout('EXECUTE ON FUNCTION pg_backend_pid()');
    expect(code).toBe(1);
    expect(findings).toEqual({
      connection: expect.objectContaining({
        level: 'problem',
        message: expect.stringContaining('permission denied for function pg_backend_pid (SQLSTATE 42501).'),
        remedy: GRANT_WHAT_IS_NAMED,
      }),
    });
  });
});
