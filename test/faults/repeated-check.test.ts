import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { DeliverySenders } from '../../lib/publisher/delivery-senders.js';
import { SendingSessions } from '../../lib/publisher/sending-sessions.js';
import { PgSession } from '../../lib/session/pg-session.js';
import type { SessionFacts } from '../../lib/session/session-facts.js';
import { sendingSettings } from '../../lib/session/session-settings.js';
import { appSuite } from '../support/app/app-suite.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import type { TestDatabase } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';

const suite = appSuite();
let database: TestDatabase;
const { signal } = new AbortController();

beforeAll(() => {
  database = suite.database;
});

/** The second connections of a registration's checks. */
function checksOf(url: string) {
  const connection = { option: 'connection', read: () => ({ connectionString: url }) };
  const sessions = new SendingSessions({ connection, connectTimeout: 10_000 });
  const opened: PgSession[] = [];
  /** Whether each session presumed its facts when it was opened. */
  const presumed: boolean[] = [];
  const senders = new DeliverySenders(async (request) => {
    const session = await sessions.open(request);
    suite.cleanup(() => session.close());
    opened.push(session);
    presumed.push(session.isPresumed);
    return session;
  }, 3_000);
  const check = async (payload: string, isRepeated: boolean): Promise<SessionFacts> =>
    (await senders.open(signal, isRepeated)).notify('checks', payload);
  return { opened, presumed, check };
}

/** A session that presumes the facts of a direct one. */
async function presuming(url: string): Promise<PgSession> {
  const open = (to: string, earlier?: SessionFacts): Promise<PgSession> =>
    PgSession.open(
      { option: 'connection', read: () => ({ connectionString: to }) },
      { applicationName: 'test', connectTimeout: 10_000, lockTimeout: 2_700, earlier },
    );
  const direct = await open(database.url);
  await direct.close();
  const session = await open(url, direct.facts);
  suite.cleanup(() => session.close());
  return session;
}

async function received(): Promise<Recorder<string>> {
  const payloads = new Recorder<string>();
  const client = new Client(database.url);
  suite.cleanup(() => client.end());
  await client.connect();
  client.on('notification', ({ payload = '' }) => payloads.push(payload));
  await client.query('LISTEN checks');
  return payloads;
}

function settingsOf(session: PgSession): Promise<readonly Record<string, unknown>[]> {
  return session.query({
    text: 'SELECT name, setting FROM pg_settings WHERE name = ANY ($1) ORDER BY name',
    values: [Object.keys(sendingSettings(0))],
    timeout: 10_000,
  });
}

describe('the second connection of a repeated delivery check', () => {
  it('has the facts and the settings of the first one when it has sent its notification', async () => {
    const payloads = await received();
    const { opened, presumed, check } = checksOf(database.url);
    const first = await check('1', false);
    const second = await check("it's \\ 2", true);
    expect(presumed).toEqual([false, true]);
    expect(second).toEqual({ ...first, backendPid: opened[1]!.processId, askedAt: expect.any(String) });
    const settings = await settingsOf(opened[0]!);
    expect(settings).toContainEqual({ name: 'lock_timeout', setting: '2700' });
    expect(await settingsOf(opened[1]!)).toEqual(settings);
    expect(await payloads.until(2)).toEqual(['1', "it's \\ 2"]);
  });

  it('sends despite a statement_timeout that is shorter than it takes, within its own limit for locks', async () => {
    const payloads = await received();
    await database.query(
      `CREATE ROLE check_hasty LOGIN PASSWORD 'hasty'; ALTER ROLE check_hasty SET statement_timeout = '200ms'`,
    );
    suite.cleanup(() => database.query('DROP ROLE check_hasty'));
    const url = new URL(database.url);
    [url.username, url.password] = ['check_hasty', 'hasty'];
    const session = await presuming(url.href);
    const text = `SELECT pg_notify('checks', current_setting('lock_timeout')) FROM pg_sleep(0.5)`;
    expect(await session.queryFirst({ text, timeout: 10_000 })).toBe(true);
    expect(await payloads.until(1)).toEqual(['2700ms']);
  });

  it('is set up as any other for a role that may not read pg_settings, from the first refusal on', async () => {
    const payloads = await received();
    await database.query(`CREATE ROLE check_poor LOGIN PASSWORD 'poor'; REVOKE SELECT ON pg_settings FROM PUBLIC`);
    suite.cleanup(() => database.query('GRANT SELECT ON pg_settings TO PUBLIC; DROP ROLE check_poor'));
    const url = new URL(database.url);
    [url.username, url.password] = ['check_poor', 'poor'];
    const { opened, presumed, check } = checksOf(url.href);
    for (const payload of ['1', '2', '3']) await check(payload, payload !== '1');
    expect(presumed).toEqual([false, true, false]);
    for (const session of opened) {
      const [row] = await session.query({ text: 'SHOW lock_timeout', timeout: 10_000 });
      expect(row).toEqual({ lock_timeout: '2700ms' });
    }
    expect(await payloads.until(3)).toEqual(['1', '2', '3']);
  });

  describeWithPgBouncer('behind a pooler', () => {
    it('leaves no setting in the backend of the pooler', async () => {
      const payloads = await received();
      const bouncer = suite.use(await PgBouncer.start(database.url, 'transaction', { default_pool_size: '1' }));
      const session = await presuming(bouncer.url);
      const text = `SELECT pg_notify('checks', current_setting('lock_timeout'))`;
      expect(await session.queryFirst({ text, timeout: 10_000 })).toBe(true);
      expect(await payloads.until(1)).toEqual(['2700ms']);
      expect(session.isDirect).toBe(false);
      const settings = await settingsOf(session);
      expect(settings).toContainEqual({ name: 'lock_timeout', setting: '0' });
      expect(settings).toContainEqual({ name: 'client_connection_check_interval', setting: '0' });
    });

    it('asks the pooler before it sends, each time', async () => {
      const bouncer = suite.use(await PgBouncer.start(database.url, 'session'));
      const { presumed, check } = checksOf(bouncer.url);
      for (const payload of ['1', '2']) await check(payload, payload !== '1');
      expect(presumed).toEqual([false, false]);
    });
  });
});
