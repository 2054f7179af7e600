import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { PgNotifyHealthIndicator } from 'nest-pg-notify';
import type { PgNotifyError, PgNotifyModuleOptions, PgNotifyStatus } from 'nest-pg-notify';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Pool } from 'pg';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilStatus } from '../support/app/status.js';
import { watched } from '../support/app/watched-app.js';
import type { WatchedApp } from '../support/app/watched-app.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';

const PUBLISHER = 'nest-pg-notify publisher';
const CHECK = 'nest-pg-notify delivery check';
const RELEASE = `ALTER SYSTEM RESET synchronous_standby_names`;

describe('a commit that hangs and holds the lock that every NOTIFY waits for', () => {
  const suite = appSuite({ server: {}, options: QUICK });
  let database: TestDatabase;
  let writer: Client;
  let subject: WatchedApp;

  beforeAll(async () => {
    ({ database } = suite);
    await database.query('CREATE TABLE written (id int)');
  });

  afterEach(async () => {
    await writer?.end();
    await release();
  });

  /** A synchronous standby is gone: who writes waits for it in the commit, with the lock if it has notified. */
  async function hang(): Promise<void> {
    await database.query(`ALTER SYSTEM SET synchronous_standby_names = 'gone'`);
    await database.query('SELECT pg_reload_conf()');
    await eventually(
      () => database.query(`SELECT current_setting('synchronous_standby_names') AS names`),
      ({ rows }) => rows[0]?.['names'] === 'gone',
    );
    writer = new Client(database.url);
    writer.on('error', () => undefined);
    await writer.connect();
    await writer.query(`SET application_name = 'writer'`);
    writer.query(`BEGIN; INSERT INTO written VALUES (1); SELECT pg_notify('c', '1'); COMMIT`).catch(() => undefined); // It is ended in the middle of it.
    await eventually(
      () => database.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`),
      ({ rowCount }) => rowCount === 1,
    );
  }

  async function release(): Promise<void> {
    await database.query(RELEASE);
    await database.query('SELECT pg_reload_conf()');
    await eventually(
      () => database.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`),
      ({ rowCount }) => rowCount === 0,
    );
  }

  async function start(options: Partial<PgNotifyModuleOptions> = {}): Promise<WatchedApp> {
    subject = watched(
      await suite.create({
        connection: database.url,
        publisher: { timeout: 800 },
        deliveryCheck: false,
        ...options,
      }),
    );
    await subject.app.init();
    return subject;
  }

  /** The backends that wait to send. */
  async function waiting(name = '%'): Promise<number[]> {
    const { rows } = await database.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_notify(%' AND wait_event_type = 'Lock'
       AND application_name LIKE $1 AND datname = current_database() ORDER BY pid`,
      [name],
    );
    return rows.map(({ pid }) => pid);
  }

  /** Counts the waiting backends again and again until then; returns the most at a time, and how many there were in all. */
  async function watchWaiting(until: Promise<unknown>): Promise<{ readonly most: number; readonly all: number }> {
    const seen = new Set<number>();
    let most = 0;
    let isOver = false;
    const over = until.finally(() => (isOver = true));
    while (!isOver) {
      const pids = await waiting();
      most = Math.max(most, pids.length);
      for (const pid of pids) seen.add(pid);
      await delay(10); // A backend waits for several hundred milliseconds.
    }
    await over;
    return { most, all: seen.size };
  }

  it('leaves one backend of delivery checks at a time, and the verdict, its remedy and the health say what is wrong', async () => {
    await start({ deliveryCheck: { interval: 50, timeout: 800 } });
    await hang();
    const verdicts = new Recorder<Date>();
    subject.service.status$.subscribe(({ delivery }) => {
      if (delivery?.verdict === 'unknown') verdicts.push(delivery.at);
    });
    const { most, all } = await watchWaiting(verdicts.until(2));
    expect(most).toBe(1);
    expect(all).toBeGreaterThanOrEqual(2);
    const { delivery } = subject.service.status;
    expect(delivery).toMatchObject({ verdict: 'unknown', cause: 'hanging-commit' });
    expect(delivery?.message).toMatch(/SQLSTATE 55P03/);
    // The remedy is a query: what it finds is the backend that hangs.
    const [, query] = /: (SELECT .*)$/.exec(delivery!.message!)!;
    const { rows } = await database.query<{ pid: number }>(query!.replace(/\.$/, ''));
    const { rows: hanging } = await database.query(`SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
    expect(rows).toEqual(hanging);
    const health = subject.app.get(PgNotifyHealthIndicator);
    expect((await health.isHealthy()).pg_notify).toMatchObject({
      status: 'up',
      delivery: 'unknown',
      deliveryCause: 'hanging-commit',
    });

    await release();
    await untilStatus(subject, ({ delivery: now }) => now?.verdict === 'verified');
  });

  it('leaves one backend of delivery checks at a time however often a health probe interrupts them', async () => {
    await start({ deliveryCheck: { interval: 50, timeout: 1_000 } });
    const health = subject.app.get(PgNotifyHealthIndicator);
    await hang();
    const unknown = untilStatus(subject, ({ delivery }) => delivery?.verdict === 'unknown');
    let isOver = false;
    void unknown.then(() => (isOver = true));
    const probing = (async () => {
      while (!isOver) await health.isHealthy();
    })();
    const { most } = await watchWaiting(unknown);
    expect(most).toBe(1);
    const { delivery }: PgNotifyStatus = await unknown;
    expect(delivery?.cause).toBe('hanging-commit');
    await probing;
  });

  it('fails a notification as not sent, and keeps one backend for all that follow', async () => {
    await start();
    await subject.service.notify('c', 'before');
    await hang();
    const outcomes = new Recorder<PgNotifyError>();
    const sending = (async () => {
      for (let count = 0; count < 2; count += 1) {
        await subject.service.notify('c', String(count)).catch((error: PgNotifyError) => outcomes.push(error));
      }
    })();
    const { most, all } = await watchWaiting(sending);
    expect([most, all]).toEqual([1, 1]);
    expect(outcomes.items.map(({ outcome, sqlState }) => [outcome, sqlState])).toEqual(
      Array.from({ length: 2 }, () => ['not-sent', '55P03']),
    );
    await release();
    await subject.service.notify('c', 'after');
  });

  it('fails all that wait to be sent together, not one after the other', async () => {
    await start({ publisher: { timeout: 1_000 } });
    await subject.service.notify('c', 'before');
    await hang();
    const begun = performance.now();
    // Equal ones: each would need a statement of its own.
    const sent = Array.from({ length: 20 }, () => subject.service.notify('c', 'same'));
    const outcomes = await Promise.allSettled(sent);
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(performance.now() - begun).toBeLessThan(3 * 1_000);
  });

  it('lets the server drop at once what an application leaves behind that is closed', async () => {
    // The server itself would give up the lock after almost a minute only.
    const timeout = 60_000;
    await start({ publisher: { timeout }, shutdownTimeout: 50, deliveryCheck: { interval: 50, timeout } });
    await hang();
    const sent = subject.service.notify('c', 'never').catch((error: PgNotifyError) => error);
    for (const name of [PUBLISHER, CHECK]) {
      await eventually(
        () => waiting(name),
        ({ length }) => length === 1,
      );
    }
    await subject.app.close();
    expect(await sent).toMatchObject({ outcome: 'unknown' });
    await eventually(waiting, ({ length }) => length === 0);
  });

  it('is not waited for with a client of a pool any longer, and the client keeps its own settings', async () => {
    const pool = new Pool({ connectionString: database.url, max: 1, application_name: 'users' });
    pool.on('error', () => undefined);
    await pool.query(`SET lock_timeout = '7min'`);
    await start({ publisher: { pool, timeout: 800 } });
    await subject.service.notify('c', 'before');
    await hang();
    const { rows: before } = await pool.query('SELECT pg_backend_pid() AS pid');
    await expect(subject.service.notify('c', '1')).rejects.toMatchObject({ outcome: 'not-sent', sqlState: '55P03' });
    const { rows } = await pool.query(
      `SELECT pg_backend_pid() AS pid, current_setting('lock_timeout') AS lock_timeout`,
    );
    expect(rows).toEqual([{ ...before[0], lock_timeout: '7min' }]);
    await subject.app.close();
    await pool.end();
  });

  /** How the role of the application sees the other backends that it has. */
  const VIEWS: [what: string, setUp: string, undo: string][] = [
    ['owns its backends', '', ''],
    ['is another one since its login', 'GRANT team TO member; ALTER ROLE member SET role = team', ''],
    [
      'may not ask for the activity of backends',
      'REVOKE EXECUTE ON FUNCTION pg_stat_get_activity(integer) FROM PUBLIC',
      'GRANT EXECUTE ON FUNCTION pg_stat_get_activity(integer) TO PUBLIC',
    ],
  ];

  it.each(VIEWS)(
    'is asked about before anything is sent beside a backend that the server cannot end, by a role that %s',
    async (_what, setUp, undo) => {
      await database.query(`CREATE ROLE team; CREATE ROLE member LOGIN PASSWORD 'poor'; ${setUp}`);
      suite.cleanup(async () => {
        await release(); // Or this would hang as well.
        await database.query(`${undo}; DROP ROLE member; DROP ROLE team`);
      });
      const url = new URL(database.url);
      [url.username, url.password] = ['member', 'poor'];
      await start({ publisher: { connection: url.href, timeout: 500 } });
      await hang();
      const first = subject.service.notify('c', '1').catch((error: PgNotifyError) => error);
      const [pid] = await eventually(
        () => waiting(PUBLISHER),
        ({ length }) => length === 1,
      );
      process.kill(pid!, 'SIGSTOP'); // As one that hangs in the kernel, on a disk that does not answer.
      try {
        expect(await first).toMatchObject({ outcome: 'unknown' });
        for (const payload of ['2', '3']) {
          await expect(subject.service.notify('c', payload)).rejects.toMatchObject({
            outcome: 'not-sent',
            message: expect.stringContaining(`the backend ${pid} has not ended yet`),
          });
        }
        expect(await waiting()).toEqual([pid]);
      } finally {
        process.kill(pid!, 'SIGCONT');
      }
      await release();
      await eventually(
        () => subject.service.notify('c', 'after').then(() => 'sent', String),
        (outcome) => outcome === 'sent',
      );
    },
  );

  it('changes nothing for a role that may not change settings', async () => {
    await database.query('REVOKE EXECUTE ON FUNCTION set_config(text, text, boolean) FROM public');
    await database.query(`CREATE ROLE poor LOGIN PASSWORD 'poor'`);
    const url = new URL(database.url);
    [url.username, url.password] = ['poor', 'poor'];
    const pool = new Pool({ connectionString: url.href, max: 1 });
    pool.on('error', () => undefined);
    try {
      for (const publisher of [{}, { pool }]) {
        await start({ connection: url.href, publisher, deliveryCheck: { interval: 50 } });
        expect(subject.service.status).toMatchObject({ state: 'listening', delivery: { verdict: 'verified' } });
        await subject.service.notify('watched', 'sent');
        await subject.seen.until((items) => items.includes('sent'));
        await subject.app.close();
      }
    } finally {
      await pool.end();
      await database.query('GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO public');
    }
  });

  describeWithPgBouncer('behind a pooler', () => {
    it('leaves one backend of the pooler at a time, and no setting on it', async () => {
      const bouncer = await PgBouncer.start(database.url, 'transaction', { default_pool_size: '5' });
      try {
        await start({ publisher: { connection: bouncer.url, timeout: 800 } });
        await subject.service.notify('c', 'before');
        await hang();
        const sending = (async () => {
          for (const payload of ['1', '2']) {
            await expect(subject.service.notify('c', payload)).rejects.toMatchObject({ sqlState: '55P03' });
          }
        })();
        expect((await watchWaiting(sending)).most).toBe(1);
        const other = new Client(bouncer.url);
        await other.connect();
        const { rows } = await other.query(`SELECT current_setting('lock_timeout') AS lock_timeout`);
        expect(rows).toEqual([{ lock_timeout: '0' }]);
        await other.end();
        await subject.app.close();
      } finally {
        await bouncer.close();
      }
    });
  });
});
