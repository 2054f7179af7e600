import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { CommandLine } from '../support/command-line.js';
import { CANARY, diagnose, diagnoseApart, expectNothingLeft } from '../support/diagnosis.js';
import type { Diagnosis } from '../support/diagnosis.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';

const suite = appSuite({ proxy: 'all' });
let database: TestDatabase;
/** A role that can do nothing in particular, with a password that must be printed nowhere. */
let role: string;

beforeAll(async () => {
  ({ database } = suite);
  role = `role_${database.name}`;
  await database.query(`CREATE ROLE ${role} LOGIN PASSWORD '${CANARY}'`);
  suite.cleanup(() => database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`));
});

afterEach(() => CommandLine.endAll());

/** The URL of the test's database, with changes. */
function urlOf(changes: Partial<Record<'username' | 'password' | 'port' | 'pathname', string>>): string {
  return Object.assign(new URL(database.url), changes).href;
}

/** What was checked, in order, and how it was found. */
const levelsOf = (findings: Diagnosis['findings']): string =>
  Object.entries(findings)
    .map(([check, { level }]) => `${check} ${level}`)
    .join(', ');

describe('doctor', () => {
  it('finds a healthy server healthy, and leaves nothing behind', async () => {
    const { code, ok, findings } = await diagnose(database.url);
    expect({ code, ok }).toEqual({ code: 0, ok: true });
    const { host, port, user } = database.config;
    expect(findings).toEqual({
      connection: expect.objectContaining({
        level: 'ok',
        message: `${host}:${port}, database "${database.name}", as "${user}", without TLS.`,
      }),
      version: expect.objectContaining({ level: 'ok', message: expect.stringMatching(/^PostgreSQL \d+/) }),
      standby: expect.objectContaining({ level: 'ok' }),
      privileges: expect.objectContaining({ level: 'ok', message: `The role "${user}" may LISTEN, and send.` }),
      timeouts: expect.objectContaining({
        level: 'ok',
        message: expect.stringMatching(
          /^None would end or cancel a listening connection\. It sets tcp_keepalives_idle = 5s, too/,
        ),
      }),
      encoding: expect.objectContaining({ level: 'ok' }),
      // Other tests use the queue of the server at the same time.
      queue: expect.objectContaining({
        level: 'ok',
        message: expect.stringMatching(/^The notification queue is (\d|0\.\d) % full\.$/),
      }),
      pooler: expect.objectContaining({ level: 'ok', message: expect.stringMatching(/^No sign of one: .+ \d+, as/) }),
      delivery: expect.objectContaining({ level: 'ok', message: expect.stringMatching(/has arrived; .+ \d+ ms/) }),
    });
    await expectNothingLeft(database);
  });

  it('prints a line for each check and a conclusion, without colours when its output is not a terminal', async () => {
    const { code, stdout, stderr } = await CommandLine.run(['doctor', '--url', database.url]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.split(/ +/, 2).join(' '))).toEqual([
      'ok connection',
      'ok version',
      'ok standby',
      'ok privileges',
      'ok timeouts',
      'ok encoding',
      'ok queue',
      'ok pooler',
      'ok delivery',
      'LISTEN and',
    ]);
    expect(stdout).not.toContain('\u001b');
  });

  it('prints colours when FORCE_COLOR asks for them and NO_COLOR does not forbid them', async () => {
    const coloured = await CommandLine.run(['doctor', '--url', urlOf({ port: '1' })], { FORCE_COLOR: '1' });
    expect(coloured.stdout).toContain('\u001b[31mproblem');
    const plain = await CommandLine.run(['doctor', '--url', urlOf({ port: '1' })], { NO_COLOR: '1' });
    expect(plain.stdout).toMatch(/^problem /);
  });

  it.each([
    ['a wrong password', () => urlOf({ username: role, password: 'canary-Sm1th-wrong' }), /28P01/, /password/],
    ['a port where nothing listens', () => urlOf({ port: '1', password: CANARY }), /ECONNREFUSED/, /running there/],
    ['a database that is not there', () => urlOf({ pathname: '/nowhere' }), /"nowhere" does not exist/, /Create the/],
    [
      'no password',
      () => urlOf({ username: role, password: '' }),
      /client password must be/,
      /^Give the connection a password/,
    ],
    [
      'a Unix socket that is not there',
      () => 'postgres://app@%2Fnowhere/shop',
      /^\/nowhere: .*ENOENT/,
      /folder of its Unix socket/,
    ],
    [
      'a certificate that is not there',
      () => `postgres://u:${CANARY}@h/d?sslcert=/nowhere`,
      /cannot be used: ENOENT/,
      /Correct the URL/,
    ],
  ])('reports %s, and its remedy', async (_what, url, message, remedy) => {
    const { code, ok, findings } = await diagnose(url());
    expect({ code, ok, checks: Object.keys(findings) }).toEqual({ code: 1, ok: false, checks: ['connection'] });
    expect(findings['connection']).toMatchObject({ level: 'problem', message: expect.stringMatching(message) });
    expect(findings['connection']?.remedy).toMatch(remedy);
  });

  it('prints no password in its text output either', async () => {
    const outputs = await Promise.all(
      [urlOf({ username: role, password: `${CANARY}-wrong` }), urlOf({ username: role, password: CANARY })].map((url) =>
        CommandLine.run(['doctor', '--url', url]),
      ),
    );
    for (const { stdout, stderr } of outputs) expect(stdout + stderr).not.toContain(CANARY);
    expect(outputs.map(({ code }) => code)).toEqual([1, 0]);
  });

  describe('whose connection is lost', () => {
    const question = `FROM pg_stat_activity WHERE datname = current_database()
      AND application_name = 'nest-pg-notify doctor' AND query LIKE '%pg_settings%'`;
    let holder: pg.Client;

    /** Waits for the backend to be in a state in which the question about timeouts has brought it. */
    const untilDoctor = (state: string): Promise<unknown> =>
      eventually(
        async () =>
          (await database.query(`SELECT coalesce(wait_event_type, state) AS state ${question}`)).rows[0]?.state,
        (now) => now === state,
      );

    const endDoctor = async (): Promise<void> => {
      await database.query(`SELECT pg_terminate_backend(pid) ${question}`);
      await eventually(
        async () => (await database.query(`SELECT pid ${question}`)).rowCount,
        (count) => count === 0,
      );
    };

    beforeEach(async () => {
      holder = new pg.Client(database.url);
      await holder.connect();
      suite.cleanup(() => holder.end());
      await holder.query('BEGIN; LOCK TABLE pg_catalog.pg_settings'); // No answer about timeouts until this ends.
    });

    it('reports the check that got no answer as a problem, and asks nothing more', async () => {
      const diagnosis = diagnoseApart(suite.proxy.url(database.url));
      await untilDoctor('Lock');
      await endDoctor();
      const { code, ok, findings } = await diagnosis;
      expect({ code, ok }).toEqual({ code: 1, ok: false });
      expect(findings['timeouts']).toMatchObject({ level: 'problem', message: expect.stringContaining('57P01') });
      expect(levelsOf(findings)).toEqual('connection ok, version ok, standby ok, privileges ok, timeouts problem');
    });

    it('reports the next check as a problem when the loss comes right behind an answer', async () => {
      const diagnosis = diagnoseApart(suite.proxy.url(database.url));
      await untilDoctor('Lock');
      suite.proxy.stall('down');
      await holder.query('ROLLBACK');
      await untilDoctor('Client'); // It has answered, and waits for the next question.
      await endDoctor();
      suite.proxy.release();
      const { code, ok, findings } = await diagnosis;
      expect({ code, ok }).toEqual({ code: 1, ok: false });
      expect(findings['encoding']).toMatchObject({ level: 'problem', message: expect.stringContaining('57P01') });
      expect(levelsOf(findings)).toEqual(
        'connection ok, version ok, standby ok, privileges ok, timeouts ok, encoding problem',
      );
    });
  });

  it('reports that the role may not send, as a problem of privileges and of delivery', async () => {
    await database.query('REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC');
    const { code, findings } = await diagnose(urlOf({ username: role, password: CANARY }));
    expect(code).toBe(1);
    expect(findings['privileges']).toEqual({
      check: 'privileges',
      level: 'problem',
      message: `The role "${role}" may LISTEN, but not send: it lacks EXECUTE on pg_notify, which the delivery check needs, too.`,
      remedy: `GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO ${role};`,
    });
    expect(findings['delivery']).toMatchObject({ level: 'problem', message: expect.stringContaining('42501') });
    await database.query(findings['privileges']?.remedy ?? '');
    expect(await diagnose(urlOf({ username: role, password: CANARY }))).toMatchObject({ code: 0, ok: true });
    await database.query('GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO PUBLIC');
  });

  it('names the timeouts that the listening connection lifts', async () => {
    await database.query(`ALTER ROLE ${role} SET statement_timeout = '7s'`);
    await database.query(`ALTER ROLE ${role} SET idle_session_timeout = '9min'`);
    const { code, findings } = await diagnose(urlOf({ username: role, password: CANARY }));
    expect(code).toBe(0);
    expect(findings['timeouts']).toMatchObject({
      level: 'ok',
      message: expect.stringContaining(
        'idle_session_timeout = 9min, statement_timeout = 7s: the listening connection lifts them for itself.',
      ),
    });
    await database.query(`ALTER ROLE ${role} RESET ALL`);
  });

  it('warns of an encoding that cannot hold every payload', async () => {
    const name = `${database.name}_latin1`;
    await database.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'`);
    const { code, findings } = await diagnose(urlOf({ pathname: `/${name}` }));
    expect(code).toBe(0);
    expect(findings['encoding']).toMatchObject({
      level: 'warning',
      message: expect.stringMatching(/^LATIN1: .+22P05/),
    });
    await database.query(`DROP DATABASE ${name} WITH (FORCE)`);
  });

  it('distinguishes a read-only primary from a standby', async () => {
    await database.query(`ALTER ROLE ${role} SET default_transaction_read_only = on`);
    const { findings } = await diagnose(urlOf({ username: role, password: CANARY }));
    expect(findings['standby']).toMatchObject({ level: 'warning', message: expect.stringContaining('read-only') });
    await database.query(`ALTER ROLE ${role} RESET ALL`);
  });
});
