import { beforeEach, describe, expect, it } from '@jest/globals';
import type { PgNotifyError, PgNotifyModuleOptions } from 'nest-pg-notify';
import { Client, Pool } from 'pg';
import { PgSession } from '../../lib/session/pg-session.js';
import { appSuite } from '../support/app/app-suite.js';
import { eventually, Recorder } from '../support/recorder.js';
import { outcomeOf } from '../support/failures.js';

describe('the option publisher.pool', () => {
  const suite = appSuite({ proxy: 'listener', options: { deliveryCheck: false } });
  let pool: Pool;

  beforeEach(() => {
    // Only the pool goes through the proxy.
    pool = new Pool({
      connectionString: suite.proxy.url(suite.database.url),
      max: 1,
      application_name: 'pool of the user',
    });
    pool.on('error', () => undefined);
    suite.cleanup(() => pool.ended || pool.end());
  });

  async function start(options: Partial<PgNotifyModuleOptions> = {}) {
    const { app, service } = await suite.create({ connection: suite.database.url, publisher: { pool }, ...options });
    const received = new Recorder<unknown>();
    service.listen('pooled').subscribe(({ payload }) => received.push(payload));
    await app.init();
    await service.ready();
    return { service, received };
  }

  const givenBack = (): Promise<number> =>
    eventually(
      () => pool.idleCount,
      (count) => count === 1,
    );

  it('sends with a client of the pool, and gives it back as it was', async () => {
    const client = await pool.connect();
    const listeners = (): unknown[] =>
      ['error', 'end', 'notification', 'data'].map((event) => [
        client.listenerCount(event),
        (client as unknown as { connection: { stream: Client } }).connection.stream.listenerCount(event),
      ]);
    client.release();
    const before = listeners();
    const { service, received } = await start();
    await Promise.all([1, 2, 3, 3].map((payload) => service.notify('pooled', payload)));
    await service.notifyMany('pooled', [4, 5]);
    expect(await received.until(6)).toEqual([1, 2, 3, 3, 4, 5]);
    await givenBack();
    expect(listeners()).toEqual(before);
    const { rows } = await pool.query('SELECT pg_backend_pid() AS pid, true AS yes');
    expect(rows).toEqual([{ pid: (client as unknown as { processID: number }).processID, yes: true }]);
    const backends = await suite.database.query(
      `SELECT application_name AS name FROM pg_stat_activity
        WHERE datname = current_database() AND application_name NOT IN ('test-admin', '') ORDER BY 1`,
    );
    expect(backends.rows).toEqual([{ name: 'nest-pg-notify listener' }, { name: 'pool of the user' }]);
  });

  it('waits for a client as long as connectTimeout says, then rejects, and gives back one that comes too late', async () => {
    const { service, received } = await start({ connectTimeout: 500 });
    const client = await pool.connect(); // A caller that is in a transaction, and forgot the executor.
    await expect(service.notify('pooled', 1)).rejects.toMatchObject({
      kind: 'publish',
      outcome: 'not-sent',
      message:
        'The notification for channel "pooled" was not sent. publisher.pool: no client within 500 ms. Does everything release its clients, and is the "max" of the pool large enough?',
    });
    client.release();
    await givenBack();
    await service.notify('pooled', 2);
    expect(await received.until(1)).toEqual([2]);
  });

  it('starts with an unknown delivery while the only client of the pool is never given back, and names the pool', async () => {
    await pool.connect().then((kept) => suite.cleanup(() => kept.release()));
    const subject = await suite.create({
      connection: suite.database.url,
      publisher: { pool },
      connectTimeout: 300,
      deliveryCheck: {},
    });
    await subject.app.init();
    const { delivery } = subject.service.status;
    expect(delivery).toMatchObject({ verdict: 'unknown', cause: 'no-second-connection' });
    expect(delivery?.message).toBe(
      'Whether notifications arrive is unknown: the connection that sends failed. publisher.pool: no client within 300 ms. Does everything release its clients, and is the "max" of the pool large enough?',
    );
    const lines = subject.logger.texts('warn').filter((line) => line.includes('publisher.pool'));
    expect(lines).toEqual([`${delivery!.message} PgNotify`]);
  });

  it('rejects what waits for a client at a shutdown, and lets go of a client that comes later', async () => {
    const { app, service } = await suite.create({
      connection: suite.database.url,
      publisher: { pool },
      shutdownTimeout: 50,
    });
    await app.init();
    const kept = await pool.connect();
    const sent = outcomeOf(service.notify('pooled', 1));
    await eventually(
      () => pool.waitingCount,
      (count) => count === 1,
    );
    await app.close();
    expect(await sent).toBe('not-sent');
    kept.release();
    await givenBack();
    expect(pool.waitingCount).toBe(0);
  });

  it.each([
    ['in the middle of a transaction', 'SELECT 1'],
    ['in a transaction that has failed', 'SELECT no_such_column'],
  ])('does not send with a client that was given back %s, which would never be committed', async (_what, statement) => {
    const { service, received } = await start();
    const careless = await pool.connect();
    const { rows } = await careless.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await careless.query('BEGIN');
    await careless.query(statement).catch(() => undefined);
    careless.release();
    await service.notify('pooled', 'sent');
    expect(await received.until(1)).toEqual(['sent']);
    await givenBack();
    const { rows: now } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    expect(now[0]!.pid).not.toBe(rows[0]!.pid);
  });

  it('does not keep others waiting while there is more to send', async () => {
    const { service } = await start();
    const done = new AbortController();
    const sending = [1, 2, 3, 4].map(async () => {
      for (let i = 0; !done.signal.aborted; i += 1) await service.notify('pooled', i);
    });
    for (let i = 0; i < 5; i += 1) expect((await pool.query('SELECT 1')).rowCount).toBe(1);
    done.abort();
    await Promise.all(sending);
    await givenBack();
  });

  it('reads the answers to its own questions with its own type parsers', async () => {
    const odd = new Pool({
      connectionString: suite.database.url,
      types: { getTypeParser: () => () => 'surprise' },
    });
    suite.cleanup(() => odd.end());
    const session = await PgSession.borrow(
      { option: 'publisher.pool', connect: () => odd.connect(), isShort: () => false },
      { connectTimeout: 10_000 },
    );
    expect(session.facts).toMatchObject({ database: suite.database.name, standby: false, readOnly: false });
    expect(session.facts.backendPid).toBe(session.processId);
    await session.close();
    expect((await odd.query('SELECT 1 AS one')).rows).toEqual([{ one: 'surprise' }]);
  });

  it('does not get back a client that still runs a statement', async () => {
    const session = await PgSession.borrow(
      { option: 'publisher.pool', connect: () => pool.connect(), isShort: () => false },
      { connectTimeout: 10_000 },
    );
    const asked = session
      .query({ text: 'SELECT pg_sleep(600)', timeout: 3_600_000 })
      .catch(({ kind }: PgNotifyError) => kind);
    await session.close();
    expect(await asked).toBe('closed');
    await eventually(
      () => pool.totalCount,
      (count) => count === 0,
    );
  });

  it('goes on with another client when one was lost', async () => {
    const { service, received } = await start({ connectTimeout: 300 });
    await service.notify('pooled', 1);
    await givenBack();
    suite.proxy.blackhole();
    expect(await outcomeOf(service.notify('pooled', 2))).toBe('not-sent'); // The first question had no answer.
    suite.proxy.heal();
    await eventually(
      () => pool.totalCount,
      (count) => count === 0,
    );
    // What is slow on a busy machine is not sent, and tried again.
    await eventually(
      () => outcomeOf(service.notify('pooled', 3)),
      (outcome) => outcome === 'sent',
    );
    expect(await received.until(2)).toEqual([1, 3]);
    await suite.database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pool of the user'`,
    );
    await eventually(
      () => outcomeOf(service.notify('pooled', 4)),
      (outcome) => outcome === 'sent',
    );
    await received.until((items) => items.includes(4));
    await givenBack();
  });

  it('is used by the delivery check, so that a pool of another database fails the start', async () => {
    const elsewhere = await suite.createDatabase();
    const other = new Pool({ connectionString: elsewhere.url });
    suite.cleanup(() => other.end());
    await expect(start({ deliveryCheck: { timeout: 200 }, publisher: { pool: other } })).rejects.toThrow(
      /different databases/,
    );
    const { service } = await start({ deliveryCheck: {} });
    expect(service.status.delivery).toMatchObject({ verdict: 'verified' });
    await givenBack();
  });

  it('rejects notify() when the pool was ended, and names the reason', async () => {
    const { service } = await start();
    await pool.end();
    await expect(service.notify('pooled', 1)).rejects.toMatchObject({
      kind: 'publish',
      outcome: 'not-sent',
      message: expect.stringContaining('publisher.pool: Cannot use a pool after calling end on the pool.'),
    });
  });

  it.each<[string, () => PgNotifyModuleOptions['publisher'], string]>([
    ['a client', () => ({ pool: new Client() as unknown as Pool }), 'must be a Pool of pg.'],
    ['a text', () => ({ pool: 'postgres://localhost' as unknown as Pool }), 'must be a Pool of pg.'],
    [
      'given beside publisher.connection',
      () => ({ pool, connection: 'postgres://localhost' }),
      'goes without publisher.connection: leave one out.',
    ],
  ])('is refused at the start when it is %s', async (_what, publisher, problem) => {
    await expect(start({ publisher: publisher()! })).rejects.toMatchObject({
      kind: 'configuration',
      message: `The option publisher.pool of PgNotifyModule ${problem}`,
    });
  });
});
