import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { backend } from '../support/backend-messages.js';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { internals } from '../support/app/internals.js';
import { askListeningSession } from '../support/app/listening-session.js';
import { untilStatus } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';
import type { TestDatabase } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';
import { StubPostgres } from '../support/stub-postgres.js';
import type { StubPostgresOptions } from '../support/stub-postgres.js';
import { itFrom } from '../support/version-gate.js';

const ROLE = 'limited_by_its_settings';

describe('a session whose role is limited', () => {
  const suite = appSuite({ options: QUICK });
  let database: TestDatabase;

  beforeAll(async () => {
    database = suite.database;
    suite.cleanup(() => database.query(`DROP ROLE IF EXISTS ${ROLE}`));
    await database.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'limited'`);
  });

  afterEach(async () => {
    await database.query(`ALTER ROLE ${ROLE} RESET ALL`);
  });

  function roleUrl(): string {
    const url = new URL(database.url);
    url.username = ROLE;
    url.password = 'limited';
    return url.href;
  }

  /** Lets a session of the role do the same without the module, until the server ends it. */
  async function untilAnotherIsEnded(statement: string): Promise<void> {
    const client = new pg.Client(roleUrl());
    client.on('error', () => undefined);
    await client.connect();
    const ended = new Promise((resolve) => client.once('end', resolve));
    await client.query(statement).catch(() => undefined); // It may be ended before it answers.
    await ended;
  }

  // FAULTS 13.
  it('keeps its quiet listener despite an idle_session_timeout', async () => {
    await database.query(`ALTER ROLE ${ROLE} SET idle_session_timeout = '300ms'`);
    // No heartbeat and no check comes to its help.
    const subject = watched(await suite.create({ connection: roleUrl(), heartbeat: { interval: 60_000 } }));
    await subject.app.init();
    await subject.service.ready();
    const { processId } = subject.service.status;
    await untilAnotherIsEnded('LISTEN watched');
    await expectDelivery(subject, 'still there');
    expect(subject.service.status.processId).toBe(processId);
    expect(subject.seen.items).toEqual(['start', 'still there']);
  });

  it.each([
    ['read pg_settings', 'SELECT ON pg_settings'],
    ['execute set_config()', 'EXECUTE ON FUNCTION set_config(text, text, boolean)'],
  ])('keeps its quiet sessions despite an idle_session_timeout if the role may not %s', async (_what, privilege) => {
    await database.query(`REVOKE ${privilege} FROM PUBLIC`);
    suite.cleanup(() => database.query(`GRANT ${privilege} TO PUBLIC`));
    await database.query(`ALTER ROLE ${ROLE} SET idle_session_timeout = '300ms'`);
    const subject = watched(await suite.create({ connection: roleUrl(), heartbeat: { interval: 60_000 } }));
    await subject.app.init();
    await subject.service.ready();
    await subject.service.notify('watched', 'first');
    const pids = await pidsOfRole();
    await untilAnotherIsEnded('LISTEN watched');
    await expectDelivery(subject, 'still there');
    expect(await pidsOfRole()).toEqual(pids); // The sending session, too.
    expect(subject.seen.items).toEqual(['start', 'first', 'still there']);
    expect(subject.logger.texts('warn')).toEqual([]);
  });

  async function pidsOfRole(): Promise<readonly number[]> {
    const { rows } = await database.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE usename = '${ROLE}' AND application_name <> 'nest-pg-notify delivery check'
        AND application_name LIKE 'nest-pg-notify %' ORDER BY pid`,
    );
    return rows.map(({ pid }) => pid);
  }

  // FAULTS 15.
  itFrom(17, 'keeps its listener despite a transaction_timeout', async () => {
    await database.query(`ALTER ROLE ${ROLE} SET transaction_timeout = '300ms'`);
    const subject = watched(await suite.create({ connection: roleUrl() }));
    await subject.app.init();
    const { processId } = subject.service.status;
    await untilAnotherIsEnded('SELECT pg_sleep(10)');
    await askListeningSession(subject, 'SELECT pg_sleep(0.5)');
    await expectDelivery(subject, 'still there');
    expect(subject.service.status.processId).toBe(processId);
    expect(subject.seen.items).toEqual(['start', 'still there']);
  });

  // FAULTS 14.
  /** What a consumer has seen on a session that its role gives 1 ms for something. */
  async function seenWith(setting: string): Promise<readonly unknown[]> {
    await database.query(`ALTER ROLE ${ROLE} SET ${setting} = '1ms'`);
    const subject = watched(
      await suite.create({
        connection: roleUrl(),
        publisher: { connection: database.url },
        startup: { timeout: 2_000 },
      }),
    );
    await subject.app.init();
    await subject.service.ready();
    // The session lives without it: a statement that takes longer is not cancelled.
    await askListeningSession(subject, 'SELECT pg_sleep(0.05)');
    await expectDelivery(subject, 'delivered');
    await subject.app.close();
    return [...subject.seen.items, ...subject.states.items.map(({ state }) => state)];
  }

  const undisturbed = ['start', 'delivered', 'closed', 'connecting', 'listening', 'closed'];

  it('listens despite a lock_timeout of 1 ms', async () => {
    expect(await seenWith('lock_timeout')).toEqual(undisturbed);
  });

  it('knows when it began, however its role writes dates', async () => {
    await database.query(`ALTER ROLE ${ROLE} SET DateStyle = 'SQL, DMY'`);
    await database.query(`ALTER ROLE ${ROLE} SET TimeZone = 'Europe/Dublin'`); // Its winter time is written GMT, its summer time IST.
    const subject = await suite.start({ connection: roleUrl() });
    const { askedAt, backendPid } = internals(subject).session.facts;
    const { rows } = await database.query(
      `SELECT backend_start <= $2::timestamptz AND $2::timestamptz <= clock_timestamp() AS is_between
       FROM pg_stat_activity WHERE pid = $1`,
      [backendPid, askedAt],
    );
    expect(rows).toEqual([{ is_between: true }]);
    expect(new Date(askedAt!).toISOString().slice(0, 19)).toBe(askedAt!.slice(0, 19));
  });

  it('listens despite a statement_timeout of 1 ms', async () => {
    expect(await seenWith('statement_timeout')).toEqual(undisturbed);
  });
});

// FAULTS 14 and 43: what a server refuses is as bad as what it does not answer.
describe('a refused statement', () => {
  const suite = appSuite({ options: QUICK });

  async function startStub(onQuery: StubPostgresOptions['onQuery']): Promise<StubPostgres> {
    return suite.use(await StubPostgres.start({ onQuery }));
  }

  it('replaces the session and announces the loss if it is a heartbeat (57014)', async () => {
    let refusals = 1;
    const server = await startStub((query, connection) => {
      if (!query.text.includes('AS same') || refusals === 0) return false;
      refusals -= 1;
      connection.reply(query, backend.errorResponse('57014', 'canceling statement due to user request'));
      return true;
    });
    const heartbeat = { interval: 30, timeout: 5_000 };
    const subject = watched(await suite.create({ connection: server.url, heartbeat }));
    await subject.app.init();
    await subject.seen.until(2);
    expect(subject.seen.items).toEqual(['start', 'reconnect']);
    // The heartbeat may come at any time after LISTEN was answered: only a record of all states is sure to have the loss.
    const losses = subject.states.items.filter(({ state }) => state === 'reconnecting');
    expect(losses.map(({ lastFailure }) => lastFailure?.sqlState)).toEqual(['57014']);
    await subject.service.ready();
  });

  it('is tried again in a new session each time, with the reason in the status, if it is LISTEN (58P01)', async () => {
    let refusals = 4;
    const attempts = new Recorder<number>();
    const server = await startStub((query, connection) => {
      if (!query.text.includes('LISTEN "') || refusals === 0) return false;
      refusals -= 1;
      attempts.push(connection.processId);
      const text = 'could not access status of transaction 1234567';
      connection.reply(query, backend.errorResponse('58P01', text));
      return true;
    });
    const subject = watched(await suite.create({ connection: server.url }));
    const failures = new Recorder<string | undefined>();
    subject.service.status$.subscribe(({ lastFailure }) => failures.push(lastFailure?.sqlState));
    await subject.app.init();
    expect(attempts.items).toEqual([...new Set(attempts.items)]); // A session each.
    expect(attempts.items).toHaveLength(4);
    expect(failures.items).toContain('58P01');
    expect(subject.service.status.lastFailure?.message).toContain('could not access status of transaction');
    expect(subject.seen.items).toEqual(['start']);
    expect(subject.logger.texts('warn').filter((line) => line.includes('Not listening yet'))).toHaveLength(1);
  });

  it('asks for a newer minor version if it is LISTEN (58P01)', async () => {
    const server = await startStub((query, connection) => {
      if (!query.text.includes('LISTEN "')) return false;
      connection.reply(query, backend.errorResponse('58P01', 'could not access status of transaction 1234567'));
      return true;
    });
    const subject = watched(await suite.create({ connection: server.url, startup: { mode: 'background' } }));
    await subject.app.init();
    const { lastFailure } = await untilStatus(subject, ({ attempts }) => attempts > 0);
    expect(lastFailure?.message).toMatch(/minor (version|release)/);
  });

  it('is tried again and leaves no session behind if it sets up a session', async () => {
    let refusals = 2;
    const server = await startStub((query, connection) => {
      if (!query.text.includes('set_config') || refusals === 0) return false;
      refusals -= 1;
      connection.reply(query, backend.errorResponse('57014', 'canceling statement due to statement timeout'));
      return true;
    });
    const subject = watched(await suite.create({ connection: server.url }));
    await subject.app.init();
    await subject.service.ready();
    const sessions = server.connections.filter(
      ({ parameters }) => parameters.get('application_name') === 'nest-pg-notify listener',
    );
    expect(sessions).toHaveLength(1);
  });
});
