import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify, PgNotifyModule } from 'nest-pg-notify';
import { eventLog, getPgEventsToken, OnPgEvent, PgEvents, PgEventsModule } from 'nest-pg-notify/events';
import type { PgEventContext } from 'nest-pg-notify/events';
import { DataSource } from 'typeorm';
import type { EntityManager } from 'typeorm';
import { Pool } from 'pg';
import { eventsSuite } from '../support/app/events-suite.js';
import { deferred } from '../support/deferred.js';
import { failureOf } from '../support/failures.js';
import { leavingNothingOpen } from '../support/open-resources.js';
import { eventually, Recorder } from '../support/recorder.js';
import { recordingConsumer } from '../support/recording-consumer.js';

const suite = eventsSuite();

const owners = async (): Promise<readonly (string | null)[]> => {
  const { rows } = await suite.database.query<{ owner: string | null }>('SELECT owner FROM nest_events.consumer');
  return rows.map(({ owner }) => owner);
};

const backends = async (): Promise<number> => {
  const { rows } = await suite.database.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'nest-pg-notify%'`,
  );
  return rows[0]!.count;
};

describe('an application with an event log', () => {
  it('handles the events of a committed transaction, and none of one that was rolled back', async () => {
    const log = new Recorder<unknown>();
    const { events } = await suite.start({ providers: [recordingConsumer('transactions', log)] });
    const pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    for (const end of ['ROLLBACK', 'COMMIT']) {
      const client = await pool.connect();
      await client.query('BEGIN');
      await events.publish('transactions', `one, ${end}`, { executor: client, key: 'k' });
      await events.publishMany('transactions', [{ payload: `two, ${end}` }, { payload: `three, ${end}` }], {
        executor: client,
      });
      await client.query(end);
      client.release();
    }
    expect(await log.until(3)).toEqual(['one, COMMIT', 'two, COMMIT', 'three, COMMIT']);
  });

  it('continues after a restart where it stopped, and shares the events with other instances', async () => {
    const log = new Recorder<unknown>();
    const first = await suite.start({ providers: [recordingConsumer('restart', log)] });
    await first.events.publish('restart', 1, { executor: false });
    await log.until(1);
    await first.app.close();
    const publisher = await suite.start({ events: { consume: false } });
    await publisher.events.publish('restart', 2, { executor: false });
    const second = await suite.start({ providers: [recordingConsumer('restart', log)] });
    await suite.start({ providers: [recordingConsumer('restart', log)] });
    await second.events.publish('restart', 3, { executor: false });
    expect(await log.until(3)).toEqual([1, 2, 3]);
  });

  it('runs transactional methods in a transaction that is rolled back after a failure', async () => {
    await suite.database.query('CREATE TABLE effects (order_id int)');
    const attempts = new Recorder<number>();

    @Injectable()
    class Projection {
      @OnPgEvent('effects', { consumer: 'effects', transactional: true, retry: { delay: 1 } })
      async apply(id: number, _: unknown, { tx, attempt }: PgEventContext): Promise<void> {
        await tx.query('INSERT INTO effects VALUES ($1)', [id]);
        attempts.push(attempt);
        if (attempt === 1) throw new Error('not yet');
      }
    }
    const { events } = await suite.start({ providers: [Projection] });
    await events.publish('effects', 7, { executor: false });
    expect(await attempts.until(2)).toEqual([1, 2]);
    const effects = await eventually(
      async () => (await suite.database.query('SELECT order_id FROM effects')).rows,
      (rows) => rows.length > 0,
    );
    expect(effects).toEqual([{ order_id: 7 }]);
  });

  it.each([
    [
      'catches the error of a statement',
      'SELECT 1 / 0',
      'a statement of the method failed, and its error was caught or not awaited',
    ],
    ['ends its transaction', '/* by itself */ COMMIT', 'A statement has ended the transaction that it ran in'],
  ])('treats it as a failure of a transactional method if that %s', async (_, statement, reason) => {
    const consumer = `misuse of ${statement}`;

    @Injectable()
    class Misuse {
      @OnPgEvent('misuse', { consumer, transactional: true, retry: { attempts: 2, delay: 1 } })
      async apply(id: number, event: unknown, { tx }: PgEventContext): Promise<void> {
        await tx.query(statement).catch(() => undefined);
      }
    }
    const { events } = await suite.start({ providers: [Misuse] });
    const id = await events.publish('misuse', 1, { executor: false });
    const [dead] = await eventually(
      () => events.deadLetters(consumer),
      (letters) => letters.length > 0,
    );
    expect(dead).toMatchObject({ id, attempts: 2, error: expect.stringContaining(reason) });
  });

  it("runs transactional methods in the ORM's own transaction with the option unitOfWork", async () => {
    await suite.database.query('CREATE TABLE units (order_id int)');
    const dataSource = await new DataSource({ type: 'postgres', url: suite.database.url }).initialize();
    suite.cleanup(() => dataSource.destroy());
    const log = new Recorder<boolean>();

    @Injectable()
    class Projection {
      @OnPgEvent('units', { consumer: 'units', transactional: true })
      async apply(id: number, _: unknown, { tx }: PgEventContext<EntityManager>): Promise<void> {
        await tx.query('INSERT INTO units VALUES ($1)', [id]);
        log.push(tx.queryRunner?.isTransactionActive ?? false);
      }
    }
    const unitOfWork = (work: (em: EntityManager) => Promise<void>): Promise<void> => dataSource.transaction(work);
    const { events } = await suite.start({ providers: [Projection], events: { unitOfWork } });
    await events.publish('units', 7, { executor: false });
    expect(await log.until(1)).toEqual([true]);
    await eventually(
      async () => (await suite.database.query('SELECT order_id FROM units')).rows,
      (rows) => rows.length === 1,
    );
  });

  it('treats it as a failure of the method if the ORM resolves although the transaction was rolled back', async () => {
    const dataSource = await new DataSource({ type: 'postgres', url: suite.database.url }).initialize();
    suite.cleanup(() => dataSource.destroy());

    @Injectable()
    class Unawaited {
      @OnPgEvent('unawaited', { consumer: 'unawaited', transactional: true, retry: { attempts: 2, delay: 1 } })
      apply(_: unknown, event: unknown, { tx }: PgEventContext<EntityManager>): void {
        // The second statement is sent when the method is over.
        const late = tx.query('SELECT 1').then(() => tx.query('SELECT 1 / 0'));
        late.catch(() => undefined);
      }
    }
    const unitOfWork = (work: (em: EntityManager) => Promise<void>): Promise<void> => dataSource.transaction(work);
    const { events } = await suite.start({ providers: [Unawaited], events: { unitOfWork } });
    const id = await events.publish('unawaited', 1, { executor: false });
    const [dead] = await eventually(
      () => events.deadLetters('unawaited'),
      (letters) => letters.length > 0,
    );
    expect(dead).toMatchObject({ id, attempts: 2, error: expect.stringContaining('was caught or not awaited') });
  });

  it("works with the application's pool", async () => {
    const pool = new Pool({ connectionString: suite.database.url, application_name: 'own pool' });
    suite.cleanup(() => pool.end());
    const log = new Recorder<unknown>();
    const { events, app } = await suite.start({ providers: [recordingConsumer('pooled', log)], events: { pool } });
    await events.publish('pooled', 1, { executor: false });
    expect(await log.until(1)).toEqual([1]);
    expect(pool.totalCount).toBeGreaterThan(0);
    await app.close();
    expect(pool.idleCount).toBe(pool.totalCount);
  });

  it('refuses a pool of one connection', async () => {
    const pool = new Pool({ connectionString: suite.database.url, max: 1 });
    suite.cleanup(() => pool.end());
    await expect(suite.start({ events: { pool } })).rejects.toThrow(
      'The option pool of PgEventsModule has at most 1 connection, and must have at least 2',
    );
  });

  it('renews leases while transactional methods take as many connections of a small pool as they may', async () => {
    const pool = new Pool({ connectionString: suite.database.url, max: 2, connectionTimeoutMillis: 500 });
    suite.cleanup(() => pool.end());
    const log = new Recorder<string>();
    const slow = async (name: string, { tx, signal }: PgEventContext): Promise<void> => {
      await tx.query('SELECT pg_sleep(2)');
      log.push(signal.aborted ? `${name} has lost its lease` : name);
    };

    @Injectable()
    class Projections {
      @OnPgEvent('small pool', { consumer: 'small pool 1', transactional: true })
      one(_: unknown, event: unknown, context: PgEventContext): Promise<void> {
        return slow('one', context);
      }

      @OnPgEvent('small pool', { consumer: 'small pool 2', transactional: true })
      two(_: unknown, event: unknown, context: PgEventContext): Promise<void> {
        return slow('two', context);
      }
    }
    const { events } = await suite.start({ providers: [Projections], events: { pool, lease: 900 } });
    await events.publish('small pool', 1, { executor: false });
    expect([...(await log.until(2))].toSorted()).toEqual(['one', 'two']);
  });

  it('has a log for each registration', async () => {
    const other = await suite.createDatabase();
    await other.query(eventLog({ schema: 'log' }).up);
    const log = new Recorder<string>();

    @Injectable()
    class Both {
      @OnPgEvent('shared', { consumer: 'here' })
      here(payload: unknown): void {
        log.push(`here ${String(payload)}`);
      }

      @OnPgEvent('shared', { consumer: 'there', registration: 'other' })
      there(payload: unknown, _: unknown, { registration }: PgEventContext): void {
        log.push(`${registration} ${String(payload)}`);
      }
    }
    const imports = [
      PgNotifyModule.forRoot({ name: 'other', connection: other.url }),
      PgEventsModule.forRoot({ registration: 'other', schema: 'log' }),
    ];
    const { app, events } = await suite.start({ imports, providers: [Both] });
    await events.publish('shared', 1, { executor: false });
    await log.until(1);
    await app.get<PgEvents>(getPgEventsToken('other'), { strict: false }).publish('shared', 2, { executor: false });
    expect(await log.until(2)).toEqual(['here 1', 'other 2']);
  });

  it('requeues dead letters', async () => {
    const log = new Recorder<unknown>();
    let isBroken = true;

    @Injectable()
    class Billing {
      @OnPgEvent('dead', { consumer: 'dead', retry: { attempts: 1 } })
      charge(payload: unknown): void {
        log.push(payload);
        if (isBroken) throw new Error('no');
      }
    }
    const { events } = await suite.start({ providers: [Billing] });
    const id = await events.publish('dead', 1, { executor: false, key: 'k' });
    const [letter] = await eventually(
      () => events.deadLetters('dead'),
      ({ length }) => length === 1,
    );
    expect(letter).toMatchObject({ id, key: 'k', payload: '1', attempts: 1, error: 'no' });
    isBroken = false;
    expect(await events.requeue('dead', [id])).toBe(1);
    expect(await log.until(2)).toEqual([1, 1]);
    const [state] = await eventually(
      async () => (await events.consumers()).filter(({ consumer }) => consumer === 'dead'),
      ([found]) => found?.retrying === 0,
    );
    expect(state).toMatchObject({ dead: 0, waiting: 0, paused: false });
  });
});

describe('the start of an event log', () => {
  it('fails without tables, names the command to run, and leaves nothing open', async () => {
    const { url } = await suite.createDatabase();
    await leavingNothingOpen(async () => {
      const { app } = await suite.create({ connection: url });
      const error = await failureOf(app.init());
      expect(error).toMatchObject({ kind: 'configuration' });
      expect(error.message).toContain('run "npx nest-pg-notify events sql" and execute what it prints');
      await app.close();
    });
  });

  it('leaves no lease and no connection when another registration fails', async () => {
    const log = new Recorder<unknown>();

    @Injectable()
    class Wrong {
      @OnPgNotify('other', { concurrency: 0, registration: 'other' })
      handle(): void {}
    }
    const imports = [PgNotifyModule.forRoot({ name: 'other', connection: suite.database.url })];
    const { app } = await suite.create({ imports, providers: [recordingConsumer('failing', log), Wrong] });
    await expect(app.init()).rejects.toThrow('concurrency');
    const { rows } = await suite.database.query("SELECT epoch FROM nest_events.consumer WHERE name = 'failing'");
    expect(rows).toEqual([{ epoch: '1' }]); // It had been claimed.
    expect(await owners()).not.toContainEqual(expect.any(String));
    await eventually(backends, (count) => count === 0);
  });

  it('continues in the background with startup.mode, and consumes when the tables exist', async () => {
    const database = await suite.createDatabase();
    const log = new Recorder<unknown>();
    const { events, logger } = await suite.start({
      connection: database.url,
      startup: { mode: 'background' },
      reconnect: { minDelay: 10, maxDelay: 50 },
      providers: [recordingConsumer('late', log)],
    });
    await eventually(
      () => logger.texts('error'),
      (texts) => texts.some((text) => text.includes('events sql')),
    );
    await database.query(eventLog().up);
    await eventually(
      async () => (await database.query('SELECT FROM nest_events.consumer')).rowCount,
      (count) => count === 1,
    );
    await events.publish('late', 1, { executor: false });
    expect(await log.until(1)).toEqual([1]);
    expect(logger.texts('error').filter((text) => text.includes('events sql'))).toHaveLength(1);
  });

  it('opens no connection with enabled: false, and refuses to publish', async () => {
    const { events } = await suite.start({ enabled: false, connection: 'postgres://127.0.0.1:1/nowhere' });
    const error = await failureOf(events.publish('orders', 1, { executor: async () => undefined }));
    expect(error).toMatchObject({ kind: 'publish', outcome: 'not-sent' });
    expect(error.message).toContain('the option enabled of PgNotifyModule is false');
    expect((await failureOf(events.consumers())).message).toContain('The event log is not connected');
  });
});

describe('the end of an event log', () => {
  it('lets a method finish, releases its lease, and closes its connections', async () => {
    const begun = deferred();
    const finish = deferred();
    const log = new Recorder<string>();

    @Injectable()
    class Slow {
      @OnPgEvent('slow', { consumer: 'slow' })
      async handle(payload: string): Promise<void> {
        begun.resolve();
        await finish.promise;
        log.push(payload);
      }
    }
    const { app, events } = await suite.start({ providers: [Slow] });
    await events.publishMany('slow', [{ payload: 'first' }, { payload: 'second' }], { executor: false });
    await begun.promise;
    const closing = app.close();
    finish.resolve();
    await closing;
    expect(log.items).toContain('first');
    expect(await owners()).not.toContainEqual(expect.any(String));
    await eventually(backends, (count) => count === 0);
    const error = await failureOf(events.publish('slow', 'third', { executor: false }));
    expect(error.kind).toBe('closed');
  });

  it('aborts a method that takes longer than shutdownTimeout', async () => {
    const begun = deferred();
    const aborted = new Recorder<unknown>();

    @Injectable()
    class Endless {
      @OnPgEvent('endless', { consumer: 'endless' })
      async handle(_payload: unknown, _event: unknown, { signal }: PgEventContext): Promise<void> {
        begun.resolve();
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        aborted.push(signal.reason);
      }
    }
    const { app, events } = await suite.start({ providers: [Endless], shutdownTimeout: 50 });
    await events.publish('endless', 1, { executor: false });
    await begun.promise;
    await app.close();
    expect(aborted.items).toHaveLength(1);
    expect(await owners()).not.toContainEqual(expect.any(String));
  });
});
