import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PgGap, PgNotifyModuleOptions } from 'nest-pg-notify';
import pg from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { askListeningSession } from '../support/app/listening-session.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import type { TestApp } from '../support/app/test-app.js';
import { untilListeners } from '../support/backends.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import type { PgBouncerSettings, PoolMode } from '../support/pgbouncer.js';
import type { TestDatabase } from '../support/postgres.js';
import { failureOf } from '../support/failures.js';
import { eventually, Recorder } from '../support/recorder.js';

/**
 * Short, so that a check that fails is over soon; one that is expected to succeed keeps the default. But long enough for a
 * commit on a busy machine: a check whose notification is not committed in time is unknown, not failing.
 */
const IMPATIENT = { timeout: 500 };

const suite = appSuite();
let database: TestDatabase;

beforeAll(async () => {
  database = suite.database;
  await database.query(`ALTER DATABASE ${database.name} SET statement_timeout = '7s'`);
  await database.query(`ALTER DATABASE ${database.name} SET idle_session_timeout = '9min'`);
});

async function startBouncer(mode: PoolMode, settings: PgBouncerSettings = {}): Promise<PgBouncer> {
  return suite.use(await PgBouncer.start(database.url, mode, settings));
}

/** Another client of the pool. */
async function connect({ url }: { url: string }): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  suite.cleanup(() => client.end().catch(() => undefined));
  await client.connect();
  return client;
}

/** Keeps clients of the pool busy; returns what ends them. */
function makeBusy(members: readonly pg.Client[]): () => Promise<void> {
  let busy = true;
  const work = Promise.all(
    members.map(async (client) => {
      while (busy) await client.query('SELECT pg_sleep(0.002)');
    }),
  );
  return async () => {
    busy = false;
    await work;
  };
}

/** What a setting is on the listening session, asked when the listener has nothing to ask. */
async function settingOfListener(subject: TestApp, name: string): Promise<unknown> {
  const [row] = await askListeningSession(subject, `SHOW ${name}`);
  return row?.[name];
}

/** The verdict behind a pooler that does not keep sessions. */
function poolerMessage({ endpoint }: PgBouncer): RegExp {
  const text =
    `Notifications do not arrive: three in a row, sent from a second connection, did not come back within ${IMPATIENT.timeout} ms. ` +
    `${endpoint} is a pooler in transaction or statement mode, where LISTEN stays with a connection that others use ` +
    '(it announced the backend ANNOUNCED, the statements run in BACKEND). ' +
    'Point the option connection directly to PostgreSQL, or to the pooler in session mode (PgBouncer: pool_mode=session).';
  const escaped = text.replaceAll(/[.()]/g, '\\$&');
  return new RegExp(`^${escaped.replace('ANNOUNCED', '-?\\d+').replace('BACKEND', '(\\d+)')}$`);
}

describeWithPgBouncer('behind PgBouncer', () => {
  describe.each(['transaction', 'statement'] as const)('in %s mode', (mode) => {
    it.each(['idle', 'busy'] as const)('refuses to start with a remedy while the pool is %s', async (pool) => {
      const bouncer = await startBouncer(mode, { default_pool_size: '3' });
      const others = await Promise.all([1, 2, 3, 4].map(() => connect(bouncer)));
      const end = pool === 'busy' ? makeBusy(others) : (): Promise<void> => Promise.resolve();
      const { app, service, logger } = await suite.create({ connection: bouncer.url, deliveryCheck: IMPATIENT });
      service.listen('orders').subscribe();
      const failure = await failureOf(app.init());
      const [{ rows: servers }] = await Promise.all([
        database.query<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE datname = current_database()'),
        end(),
      ]);

      expect(failure).toMatchObject({ kind: 'configuration', permanent: true });
      const { message } = failure;
      expect(message).toMatch(poolerMessage(bouncer));
      const [, backend] = poolerMessage(bouncer).exec(message) ?? [];
      expect(servers.map(({ pid }) => pid)).toContain(Number(backend));
      expect(service.status).toMatchObject({
        state: 'closed',
        delivery: { verdict: 'failing', cause: 'transaction-pooler', message },
      });
      expect(logger.texts('warn')).toEqual([]); // The bootstrap says it.
      await app.close();
      await eventually(
        async () => (await bouncer.command('SHOW CLIENTS')).filter(({ database: name }) => name === database.name),
        (left) => left.length === others.length,
      );
    });

    it('leaves no LISTEN behind on the connections of others, when it refuses to start and when it is closed', async () => {
      const bouncer = await startBouncer(mode, { default_pool_size: '1' });
      const other = await connect(bouncer);
      const listened = async (): Promise<unknown> => (await other.query('SELECT pg_listening_channels()')).rows;
      const options = { connection: bouncer.url, deliveryCheck: IMPATIENT };
      const refused = await suite.create(options);
      refused.service.listen('orders').subscribe();
      await failureOf(refused.app.init());
      expect(await listened()).toEqual([]);

      const deliveryCheck = { ...IMPATIENT, onStartFailure: 'warn' as const };
      const warned = await suite.create({ ...options, deliveryCheck });
      warned.service.listen('orders').subscribe();
      await warned.app.init();
      expect(await listened()).toHaveLength(2); // With the channel of the check.
      await warned.app.close();
      expect(await listened()).toEqual([]);
    });

    it('starts with onStartFailure "warn", warns once, and leaves the settings of pooled connections as they were', async () => {
      const bouncer = await startBouncer(mode, { default_pool_size: '1' });
      const other = await connect(bouncer);
      const deliveryCheck = { ...IMPATIENT, interval: 50, onStartFailure: 'warn' as const };
      const subject = await suite.create({
        connection: bouncer.url,
        deliveryCheck,
        heartbeat: { interval: 50 },
      });
      const { app, service, logger } = subject;
      await app.init();
      const { delivery, state } = service.status;
      expect({ state, ...delivery }).toMatchObject({
        state: 'listening',
        verdict: 'failing',
        cause: 'transaction-pooler',
      });
      expect(delivery?.message).toMatch(poolerMessage(bouncer));
      const later = await untilStatus(subject, ({ delivery: now }) => now !== undefined && now.at > delivery!.at);
      await untilStatus(subject, ({ delivery: now }) => now !== undefined && now.at > later.delivery!.at);
      expect(logger.texts('warn')).toEqual([expect.stringContaining(delivery!.message!)]);
      const shared = await other.query<Record<string, string>>(
        `SELECT pg_backend_pid() AS pid, current_setting('statement_timeout') AS statement,
           current_setting('idle_session_timeout') AS idle`,
      );
      expect(shared.rows).toEqual([{ pid: service.status.processId, statement: '7s', idle: '9min' }]);
    });
  });

  describe('in session mode', () => {
    async function startListening(
      bouncer: PgBouncer,
      more: Partial<PgNotifyModuleOptions> = {},
    ): Promise<TestApp & { readonly payloads: Recorder<unknown>; readonly gaps: Recorder<PgGap> }> {
      const subject = await suite.create({
        connection: bouncer.url,
        heartbeat: { interval: 100 },
        connectTimeout: 300,
        reconnect: { minDelay: 20, maxDelay: 100 },
        // On a busy machine a check may not connect in 300 ms; then the next one comes after the interval.
        deliveryCheck: { interval: 500 },
        ...more,
      });
      const payloads = new Recorder<unknown>();
      const gaps = new Recorder<PgGap>();
      subject.service.gaps('orders').subscribe(gaps.push);
      subject.service.listen('orders').subscribe(({ payload }) => payloads.push(payload));
      await subject.app.init();
      return { ...subject, payloads, gaps };
    }

    /** It listens on one backend, hears others, and the check is content. */
    async function expectListening(subject: Awaited<ReturnType<typeof startListening>>, what: string): Promise<void> {
      const { service, payloads } = subject;
      await service.ready();
      await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
      await database.query(`SELECT pg_notify('orders', $1)`, [JSON.stringify(what)]);
      await payloads.until((items) => items.includes(what));
      const pids = await untilListeners(database, 1);
      expect(pids).toEqual([service.status.processId]);
    }

    it('starts with a verified delivery and the settings of a listener', async () => {
      const bouncer = await startBouncer('session');
      // PgBouncer refuses startup parameters that it does not know, so we must not send any.
      const careless = new pg.Client({ connectionString: bouncer.url, statement_timeout: 1_000 });
      careless.on('error', () => undefined);
      await expect(careless.connect()).rejects.toThrow('unsupported startup parameter');

      const subject = await startListening(bouncer, { connectTimeout: 10_000 });
      expect(subject.service.status).toMatchObject({ state: 'listening', delivery: { verdict: 'verified' } });
      await expectListening(subject, 'first');
      for (const name of ['statement_timeout', 'idle_session_timeout', 'lock_timeout']) {
        expect(await settingOfListener(subject, name)).toBe('0');
      }
      expect(subject.logger.texts('warn')).toEqual([]);
      await subject.app.close();
      const next = await connect(bouncer);
      expect((await next.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '7s' }]);
    });

    it('listens again with a gap after a restart of the pooler', async () => {
      const bouncer = await startBouncer('session');
      const subject = await startListening(bouncer);
      const lost = untilLost(subject);
      await bouncer.restart();
      await lost;
      await expectListening(subject, 'after the restart');
      expect(subject.gaps.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect']);
      expect(await settingOfListener(subject, 'statement_timeout')).toBe('0');
    });

    it('goes on through PAUSE, and listens again after RESUME if it was lost meanwhile', async () => {
      const bouncer = await startBouncer('session');
      const subject = await startListening(bouncer);
      const { service, gaps, logger } = subject;
      const paused = bouncer.command(`PAUSE ${database.name}`); // Is over when the last server connection is.
      await eventually(
        async () => (await bouncer.command('SHOW DATABASES')).find(({ name }) => name === database.name)?.['paused'],
        (answer) => Number(answer) === 1,
      );
      await database.query(`SELECT pg_notify('orders', '"while paused"')`);
      await subject.payloads.until((items) => items.includes('while paused'));
      expect(gaps.items).toHaveLength(1);

      await database.query('SELECT pg_terminate_backend($1)', [service.status.processId]);
      const held = await untilStatus(subject, ({ attempts }) => attempts >= 4);
      expect(held).toMatchObject({ state: 'reconnecting', channels: { wanted: 1, acknowledged: 0 } });
      await paused;
      await bouncer.command(`RESUME ${database.name}`);
      await expectListening(subject, 'after the pause');
      expect(gaps.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect']);
      expect(logger.texts('warn').filter((line) => line.includes('Not listening'))).toHaveLength(1);
    });

    it('keeps its connection through RECONNECT and RELOAD, and listens again after KILL', async () => {
      const bouncer = await startBouncer('session');
      const subject = await startListening(bouncer);
      const { service, gaps } = subject;
      const { processId } = service.status;
      await bouncer.command('RECONNECT');
      await bouncer.reload('session');
      await expectListening(subject, 'after RECONNECT');
      expect(service.status.processId).toBe(processId);
      expect(gaps.items.map(({ reason }) => reason)).toEqual(['start']);

      const lost = untilLost(subject);
      await bouncer.command(`KILL ${database.name}`);
      await lost;
      await bouncer.command(`RESUME ${database.name}`);
      await expectListening(subject, 'after KILL');
      expect(gaps.items.map(({ reason }) => reason)).toEqual(['start', 'reconnect']);
    });

    it('stays connected while idle connections are ended by the pooler and by the server behind it', async () => {
      suite.cleanup(() => database.query(`ALTER DATABASE ${database.name} SET idle_session_timeout = '9min'`));
      await database.query(`ALTER DATABASE ${database.name} SET idle_session_timeout = '1s'`);
      // PgBouncer ends idle clients that hold no server connection, PostgreSQL ends those that hold one.
      const bouncer = await startBouncer('session', { client_idle_timeout: '1' });
      const subject = await startListening(bouncer, { heartbeat: { interval: 400 } });
      const quiet = await startListening(bouncer, { heartbeat: { interval: 60_000 } });
      const [without, holding] = [await connect(bouncer), await connect(bouncer)];
      await holding.query('SELECT 1');
      await Promise.all([without, holding].map((idle) => new Promise((resolve) => idle.once('end', resolve))));
      for (const { service, gaps, payloads } of [subject, quiet]) {
        const { processId } = service.status;
        await service.notify('orders', 'still here');
        await payloads.until(1);
        expect(service.status.processId).toBe(processId);
        expect(gaps.items.map(({ reason }) => reason)).toEqual(['start']);
      }
    });
  });
});
