import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PgGap, PgNotifyModuleOptions, PgNotifyStatus } from 'nest-pg-notify';
import { inspect } from 'node:util';
import pg from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import type { TestApp } from '../support/app/test-app.js';
import { untilListeners } from '../support/backends.js';
import type { TestDatabase } from '../support/postgres.js';
import { outcomeOf } from '../support/failures.js';
import { eventually, Recorder } from '../support/recorder.js';

const ROLE = 'rotating_listener';
const OLD = 'canary-öld';
const NEW = 'canary-néw';

const suite = appSuite({ options: { reconnect: { minDelay: 20, maxDelay: 100 } } });
let admin: TestDatabase;
let database: TestDatabase;

beforeAll(async () => {
  admin = suite.database;
  suite.cleanup(() => admin.query(`DROP ROLE IF EXISTS ${ROLE}`));
  database = await suite.createDatabase(); // One that the tests may drop.
  await createRole();
});

const createRole = (): Promise<unknown> => admin.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD '${OLD}'`);

interface Subject extends TestApp {
  readonly gaps: Recorder<PgGap>;
}

async function create(
  connection: PgNotifyModuleOptions['connection'],
  options: Partial<PgNotifyModuleOptions> = {},
): Promise<Subject> {
  const subject = await suite.create({ connection, ...options });
  const gaps = new Recorder<PgGap>();
  subject.service.gaps('orders').subscribe(gaps.push);
  return { ...subject, gaps };
}

const settings = (more: pg.ClientConfig = {}): pg.ClientConfig => ({
  ...database.config,
  user: ROLE,
  password: OLD,
  ...more,
});

/** Ends the listening backend, as the loss that is followed by what the test has changed. */
async function interrupt(subject: Subject): Promise<void> {
  const lost = untilLost(subject);
  await admin.query('SELECT pg_terminate_backend($1)', [subject.service.status.processId]);
  await lost;
}

/** It goes on trying for this reason, says so in its status and in one line of its log, and gives no secret away. */
async function expectRetries(subject: Subject, sqlState: string): Promise<void> {
  const { service, logger } = subject;
  const refused = await untilStatus(
    subject,
    ({ attempts, lastFailure }) => attempts >= 5 && lastFailure?.sqlState === sqlState,
  );
  expect(refused).toMatchObject({ state: 'reconnecting', channels: { wanted: 1, acknowledged: 0 } });
  expect(refused.lastFailure).toMatchObject({ kind: 'connection', endpoint: new URL(database.url).host });
  expect(logger.texts('warn').filter((line) => line.includes('Not listening'))).toHaveLength(1);
  const printed = [inspect(service.status, { depth: 20, showHidden: true }), ...logger.texts()].join('\n');
  for (const secret of [OLD, NEW]) expect(printed).not.toContain(secret);
}

/** It listens again, with one backend, and has announced the loss. */
async function expectRecovered(subject: Subject): Promise<void> {
  const { service, gaps } = subject;
  await service.ready();
  const pids = await untilListeners(database, 1);
  expect(pids).toEqual([service.status.processId]);
  expect(gaps.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect']);
}

describe('credentials', () => {
  it('are asked for at every attempt, so that a rotated password is used', async () => {
    const current = { password: OLD, asked: 0 };
    const password = (): Promise<string> => {
      current.asked += 1;
      return Promise.resolve(current.password);
    };
    const subject = await create(settings({ password }), { deliveryCheck: false });
    await subject.app.init();
    await subject.service.ready();
    expect(current.asked).toBe(1);
    await admin.query(`ALTER ROLE ${ROLE} PASSWORD '${NEW}'`);
    await interrupt(subject);
    await expectRetries(subject, '28P01');
    expect(current.asked).toBeGreaterThanOrEqual(5);
    current.password = NEW;
    await expectRecovered(subject);
    await admin.query(`ALTER ROLE ${ROLE} PASSWORD '${OLD}'`);
  });

  it('are tried again after the start as long as their role does not exist', async () => {
    const subject = await create(settings());
    await subject.app.init();
    await subject.service.ready();
    await admin.query(`DROP ROLE ${ROLE}`);
    await interrupt(subject);
    await expectRetries(subject, '28P01'); // The server does not tell a role that is absent from a wrong password.
    await createRole();
    await expectRecovered(subject);
    expect(subject.service.status).toMatchObject({ state: 'listening', attempts: 0 });
  });

  it('end the start at once if the role may not log in, and are tried again after the start', async () => {
    await admin.query(`ALTER ROLE ${ROLE} NOLOGIN`);
    const refused = await create(settings(), { startup: { timeout: 3_600_000 } });
    await expect(refused.app.init()).rejects.toMatchObject({ kind: 'connection', permanent: true, sqlState: '28000' });
    await admin.query(`ALTER ROLE ${ROLE} LOGIN`);
    const subject = await create(settings());
    await subject.app.init();
    await subject.service.ready();
    await admin.query(`ALTER ROLE ${ROLE} NOLOGIN`);
    await interrupt(subject);
    await expectRetries(subject, '28000');
    await admin.query(`ALTER ROLE ${ROLE} LOGIN`);
    await expectRecovered(subject);
  });
});

describe('a server that has no room', () => {
  it('fails the start with its reason at the timeout, and lets one that still waits start', async () => {
    await admin.query(`ALTER ROLE ${ROLE} CONNECTION LIMIT 0`);
    const refused = await create(settings(), { startup: { timeout: 300 } });
    await expect(refused.app.init()).rejects.toThrow(
      `too many connections for role "${ROLE}" (SQLSTATE 53300). Let something else use fewer connections, or raise what the message names: max_connections, or the CONNECTION LIMIT of the role or of the database.`,
    );
    const subject = await create(settings());
    const started = subject.app.init();
    started.catch(() => undefined); // Where the test fails before it waits for this.
    await untilStatus(subject, ({ attempts, lastFailure }) => attempts >= 3 && lastFailure?.sqlState === '53300');
    await admin.query(`ALTER ROLE ${ROLE} CONNECTION LIMIT -1`);
    await started;
    expect(subject.service.status).toMatchObject({ state: 'listening', delivery: { verdict: 'verified' } });
  });

  it('is tried again after the start until it has room', async () => {
    const subject = await create(settings());
    await subject.app.init();
    await subject.service.ready();
    await admin.query(`ALTER ROLE ${ROLE} CONNECTION LIMIT 0`);
    await interrupt(subject);
    await expectRetries(subject, '53300');
    await admin.query(`ALTER ROLE ${ROLE} CONNECTION LIMIT -1`);
    await expectRecovered(subject);
    expect(subject.service.status).toMatchObject({ state: 'listening', attempts: 0 });
  });

  it('leaves the delivery unknown if only the connection of the check is refused', async () => {
    await admin.query(`ALTER ROLE ${ROLE} CONNECTION LIMIT 1`);
    const subject = await create(settings());
    await subject.app.init();
    expect(subject.service.status).toMatchObject({
      state: 'listening',
      delivery: { verdict: 'unknown', cause: 'no-second-connection' },
    });
    await admin.query(`ALTER ROLE ${ROLE} CONNECTION LIMIT -1`);
  });
});

describe('a server whose max_connections are used up', () => {
  const full = appSuite({
    server: { settings: { max_connections: '9', superuser_reserved_connections: '4', max_wal_senders: '0' } },
    options: { reconnect: { minDelay: 20, maxDelay: 100 } },
  });
  let url: string;

  beforeAll(async () => {
    await full.database.query(`CREATE ROLE app LOGIN PASSWORD 'app'`);
    url = Object.assign(new URL(full.database.url), { username: 'app', password: 'app' }).href;
  });

  /** A superuser takes all connections that are left. Returns what gives them back. */
  async function useUp(): Promise<() => Promise<unknown>> {
    await full.database.query('SELECT 1'); // Keeps a connection for the test itself.
    const clients: pg.Client[] = [];
    for (;;) {
      const client = new pg.Client(full.database.url);
      client.on('error', () => undefined);
      try {
        await client.connect();
        clients.push(client);
      } catch {
        return () => Promise.all(clients.map((each) => each.end()));
      }
    }
  }

  const isRefused =
    (why: string) =>
    ({ attempts, lastFailure }: PgNotifyStatus): boolean =>
      attempts >= 3 &&
      lastFailure?.sqlState === '53300' &&
      lastFailure.message.includes(`${why} (SQLSTATE 53300). Let something else use fewer connections, or raise`);

  it('lets an application start as soon as there is room, and listen again', async () => {
    const giveBack = await useUp();
    const subject = await full.create({ connection: url });
    const started = subject.app.init();
    started.catch(() => undefined); // Where the test fails before it waits for this.
    await untilStatus(subject, isRefused('too many clients already'));
    await giveBack();
    await started;
    expect(subject.service.status).toMatchObject({ state: 'listening', delivery: { verdict: 'verified' } });

    const giveBackAgain = await useUp();
    const lost = untilLost(subject);
    await full.database.query('SELECT pg_terminate_backend($1)', [subject.service.status.processId]);
    await lost;
    // The place that the listener had is one of those that are kept for superusers now.
    await untilStatus(subject, ({ attempts, lastFailure }) => attempts >= 3 && lastFailure?.sqlState === '53300');
    expect(await outcomeOf(subject.service.notify('orders', 1))).toBe('not-sent');
    await giveBackAgain();
    await subject.service.ready();
    await subject.service.notify('orders', 2);
    expect(subject.logger.texts('warn').filter((line) => line.includes('Still not listening'))).toHaveLength(1);
  });
});

describe('a database that is given another name', () => {
  it('is named as missing at each attempt, and listened to under its new name when a function returns that', async () => {
    const named = await suite.createDatabase();
    const current = { database: named.name };
    const subject = await create(() => ({ ...named.config, user: ROLE, password: OLD, ...current }));
    await subject.app.init();
    await subject.service.ready();
    const renamed = `${named.name}_renamed`;
    const lost = untilLost(subject);
    // Nobody may be connected to it, so nobody may connect again in between.
    await admin.query(`ALTER DATABASE ${named.name} ALLOW_CONNECTIONS false`);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [named.name]);
    await lost;
    const refused = await untilStatus(subject, ({ attempts }) => attempts >= 2);
    expect(refused.lastFailure).toMatchObject({
      sqlState: '55000',
      message: expect.stringMatching(
        new RegExp(`"${named.name}" is not currently accepting connections \\(SQLSTATE 55000\\)\\. Let the database`),
      ),
    });
    await eventually(
      () =>
        admin.query(`ALTER DATABASE ${named.name} RENAME TO ${renamed}`).then(
          () => true,
          () => false,
        ),
      Boolean,
    );
    await admin.query(`ALTER DATABASE ${renamed} ALLOW_CONNECTIONS true`);
    const missing = await untilStatus(subject, ({ lastFailure }) => lastFailure?.sqlState === '3D000');
    expect(missing.lastFailure?.message).toMatch(
      new RegExp(
        `database "${named.name}" does not exist \\(SQLSTATE 3D000\\)\\. Create the database, or correct its name`,
      ),
    );
    current.database = renamed;
    await subject.service.ready();
    await subject.service.notify('orders', 1);
    expect(subject.gaps.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect']);
    await subject.app.close();
    await admin.query(`ALTER DATABASE ${renamed} RENAME TO ${named.name}`);
  });
});

describe('a database that is dropped', () => {
  it('is tried again after the start, until one of its name exists', async () => {
    const subject = await create(settings());
    await subject.app.init();
    await subject.service.ready();
    const lost = untilLost(subject);
    await admin.query(`DROP DATABASE ${database.name} WITH (FORCE)`);
    await lost;
    await expectRetries(subject, '3D000');
    await admin.query(`CREATE DATABASE ${database.name} TEMPLATE template0`);
    await expectRecovered(subject);
    expect(subject.service.status).toMatchObject({ state: 'listening', attempts: 0 });
  });
});

describe('the address of the server', () => {
  it('is asked for at every attempt, even after a name that cannot be resolved', async () => {
    const hosts = ['a..b', '127.0.0.1'];
    const asked: string[] = [];
    const current = { host: hosts[0]! };
    const connection = (): pg.ClientConfig => {
      asked.push(current.host);
      return settings({ host: current.host });
    };
    const subject = await create(connection, { deliveryCheck: false });
    const started = subject.app.init();
    started.catch(() => undefined); // Where the test fails before it waits for this.
    const { lastFailure, state } = await untilStatus(subject, ({ attempts }) => attempts >= 3);
    expect(state).toBe('connecting');
    expect(lastFailure?.message).toMatch(
      /^a\.\.b:\d+: getaddrinfo ENOTFOUND a\.\.b\. Check the host name of the connection\.$/,
    );
    current.host = '127.0.0.1';
    await started;
    await subject.service.ready();
    current.host = 'localhost';
    await interrupt(subject);
    await expectRecovered(subject);
    expect(asked.slice(0, 3)).toEqual(['a..b', 'a..b', 'a..b']);
    expect(asked.slice(-2)).toEqual(['127.0.0.1', 'localhost']);
    expect(subject.logger.texts('warn').filter((line) => line.includes('Not listening yet'))).toHaveLength(1);
  });
});
