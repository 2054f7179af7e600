import { get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Injectable } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import { OnPgGap, OnPgNotify, PgNotifyService } from 'nest-pg-notify';
import type { PgGap, PgNotification, PgNotifyContext, PgNotifyModuleOptions } from 'nest-pg-notify';
import { createApp } from '../support/app.js';
import type { TestApp } from '../support/app.js';
import { HeldCalls } from '../support/held-calls.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';
import { turn } from '../support/turn.js';

describe('the queue of a handler', () => {
  let database: TestDatabase;
  let subject: TestApp | undefined;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await subject?.app.close();
    subject = undefined;
  });

  afterAll(() => database.drop());

  async function start(
    classes: { providers: Type[]; controllers?: Type[] },
    options: Partial<PgNotifyModuleOptions> = {},
  ): Promise<TestApp> {
    subject = await createApp({ connection: database.url, deliveryCheck: false, ...options }, classes);
    await subject.app.init();
    return subject;
  }

  /** Sends the numbers from one to another, each by itself, in order. */
  const send = (from: number, to: number, channel = 'c'): Promise<unknown> =>
    database.query(`SELECT pg_notify($1, i::text) FROM generate_series($2::int, $3::int) i`, [channel, from, to]);

  const received = (count: number): Promise<number> =>
    eventually(
      () => subject!.service.stats().received,
      (sum) => sum >= count,
    );

  const rowOf = (name: string) => subject!.service.stats().handlers.find(({ handler }) => handler === name)!;

  it('runs one at a time, and delays no other handler by that', async () => {
    const held = new HeldCalls();
    const others = new Recorder<unknown>();

    @Injectable()
    class Provider {
      @OnPgNotify('c')
      slow(payload: unknown): Promise<void> {
        return held.run(payload);
      }

      @OnPgNotify('c')
      quick(payload: unknown): void {
        others.push(payload);
      }
    }
    await start({ providers: [Provider] });
    await send(1, 3);
    expect(await others.until(3)).toEqual([1, 2, 3]);
    expect(held.begun.items).toEqual([1]);
    for (const count of [2, 3]) {
      held.end();
      await held.begun.until(count);
    }
    expect(held.begun.items).toEqual([1, 2, 3]);
    held.end();
  });

  it('runs as many at a time as its concurrency says, begun in order', async () => {
    const held = new HeldCalls();

    @Injectable()
    class Provider {
      @OnPgNotify('c', { concurrency: 3 })
      handle(payload: unknown): Promise<void> {
        return held.run(payload);
      }
    }
    const { service } = await start({ providers: [Provider] });
    await send(1, 5);
    await received(5);
    await turn();
    expect(held.begun.items).toEqual([1, 2, 3]);
    expect(service.stats().handlers).toMatchObject([{ running: 3, waiting: 2 }]);
    held.end();
    expect(await held.begun.until(4)).toEqual([1, 2, 3, 4]);
    held.end();
    await held.begun.until(5);
    for (let left = 3; left > 0; left -= 1) held.end();
  });

  it('hands over batches, with what came meanwhile, and at a shutdown what there is', async () => {
    const held = new HeldCalls();

    @Injectable()
    class Provider {
      @OnPgNotify('c', { batch: { maxSize: 3, maxWait: 3_600_000 } })
      handle(payloads: unknown[], notifications: PgNotification[], context: PgNotifyContext): Promise<void> {
        expect(notifications.map(({ payload }) => payload)).toEqual(payloads);
        expect([context.kind, context.notifications]).toEqual(['batch', notifications]);
        return held.run(payloads);
      }
    }
    const { app, service } = await start({ providers: [Provider] });
    await send(1, 2);
    await received(2);
    await turn();
    expect(held.begun.items).toEqual([]);
    await send(3, 8);
    await received(8);
    expect(await held.begun.until(1)).toEqual([[1, 2, 3]]);
    held.end();
    expect(await held.begun.until(2)).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    held.end();
    const closed = app.close();
    expect((await held.begun.until(3)).at(-1)).toEqual([7, 8]);
    held.end();
    await closed;
    expect(service.stats()).toMatchObject({ delivered: 8, failed: 0, dropped: 0 });
  });

  it('hands over a batch that is not full when its first has waited for maxWait', async () => {
    const batches = new Recorder<unknown[]>();

    @Injectable()
    class Provider {
      @OnPgNotify('c', { batch: { maxSize: 100, maxWait: 20 } })
      handle(payloads: unknown[]): void {
        batches.push(payloads);
      }
    }
    await start({ providers: [Provider] });
    await send(1, 2);
    expect((await batches.until((all) => all.flat().length === 2)).flat()).toEqual([1, 2]);
  });

  it('keeps the newest of all, or of each key, where only that counts', async () => {
    const newest = new HeldCalls();
    const newestOfKey = new HeldCalls();

    @Injectable()
    class Provider {
      @OnPgNotify('c', { latest: true })
      all(payload: number): Promise<void> {
        return newest.run(payload);
      }

      @OnPgNotify('c', { latest: (payload: number) => payload % 2 })
      byKey(payload: number): Promise<void> {
        return newestOfKey.run(payload);
      }
    }
    const { service } = await start({ providers: [Provider] });
    await send(1, 1);
    await Promise.all([newest.begun.until(1), newestOfKey.begun.until(1)]);
    await send(2, 7);
    await received(7);
    for (const held of [newest, newestOfKey]) held.end();
    await Promise.all([newest.begun.until(2), newestOfKey.begun.until(2)]);
    newestOfKey.end();
    await newestOfKey.begun.until(3);
    expect(newest.begun.items).toEqual([1, 7]);
    expect(newestOfKey.begun.items).toEqual([1, 6, 7]);
    for (const held of [newest, newestOfKey]) held.end();
    await eventually(
      () => service.stats().delivered,
      (delivered) => delivered === 5,
    );
    expect(service.stats().handlers.map(({ conflated }) => conflated)).toEqual([5, 4]);
  });

  it('goes on after a timeout, and takes no notice of how that run ends', async () => {
    const held = new HeldCalls();
    const signals: AbortSignal[] = [];

    @Injectable()
    class Provider {
      @OnPgNotify('c', { timeout: 20 })
      handle(payload: number, _: PgNotification, { signal }: PgNotifyContext): Promise<void> | undefined {
        signals.push(signal);
        if (payload < 3) return held.run(payload);
        held.begun.push(payload);
        return undefined;
      }
    }
    const { service, logger } = await start({ providers: [Provider] });
    const errors = new Recorder<unknown>();
    service.errors$.subscribe(errors.push);
    await send(1, 3);
    expect(await held.begun.until(3)).toEqual([1, 2, 3]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
    expect(signals[0]!.reason).toMatchObject({ message: expect.stringContaining('timeout of 20 ms') });
    held.end();
    held.end(new Error('too late'));
    await turn();
    expect(service.stats()).toMatchObject({ delivered: 1, failed: 2 });
    expect(errors.items).toMatchObject([
      { kind: 'handler', channel: 'c', handler: 'Provider.handle' },
      { kind: 'handler', channel: 'c', handler: 'Provider.handle' },
    ]);
    expect(logger.texts('error')).toHaveLength(2);
  });

  it('drops the oldest that wait when it is full, and announces exactly how many', async () => {
    const held = new HeldCalls();
    const gaps = new Recorder<PgGap>();

    @Injectable()
    class Provider {
      @OnPgNotify('c', { bufferSize: 10 })
      handle(payload: number): Promise<void> {
        return held.run(payload);
      }

      @OnPgGap('c', { reasons: ['overflow'] })
      reload(gap: PgGap): void {
        held.begun.push('gap');
        gaps.push(gap);
      }
    }
    const { logger } = await start({ providers: [Provider] });
    await send(1, 1);
    await held.begun.until(1);
    await send(2, 100);
    await received(100);
    expect(rowOf('Provider.handle')).toMatchObject({ waiting: 10, running: 1, dropped: 89 });
    held.end();
    const [gap] = await gaps.until(1);
    expect(gap).toEqual({
      channel: 'c',
      reason: 'overflow',
      since: expect.any(Date),
      until: expect.any(Date),
      dropped: 89,
    });
    for (let count = 3; count < 13; count += 1) {
      await held.begun.until(count);
      held.end();
    }
    expect(held.begun.items).toEqual([1, 'gap', ...Array.from({ length: 10 }, (_, index) => 91 + index)]);
    expect(logger.texts('warn')).toEqual([
      expect.stringContaining('Handler Provider.handle is too slow for the channel "c"'),
    ]);
  });

  it('takes 1,000,000 notifications while its handler stalls, in no more memory than its buffer, and accounts for each', async () => {
    const held = new HeldCalls();
    const gaps = new Recorder<PgGap>();
    let handled = 0;

    @Injectable()
    class Provider {
      @OnPgNotify('c')
      handle(payload: number): Promise<void> | undefined {
        handled += 1;
        return payload === 0 ? held.run(payload) : undefined;
      }

      @OnPgGap('c', { reasons: ['overflow'] })
      reload(gap: PgGap): void {
        gaps.push(gap);
      }
    }
    await start({ providers: [Provider] });
    await send(0, 0);
    await held.begun.until(1);
    const heap = heapInUse();
    const chunk = 50_000;
    for (let from = 1; from < 1_000_000; from += chunk) await send(from, from + chunk - 1);
    await received(1_000_001);
    expect(rowOf('Provider.handle')).toMatchObject({ waiting: 10_000, running: 1, dropped: 990_000 });
    // 10,000 that wait take about 5 MB; the million would take some hundreds.
    expect(heapInUse() - heap).toBeLessThan(50_000_000);
    held.end();
    await eventually(
      () => rowOf('Provider.handle').waiting,
      (waiting) => waiting === 0,
    );
    expect(handled).toBe(10_001);
    expect(gaps.items.map(({ dropped }) => dropped)).toEqual([990_000]);
  }, 120_000);

  it('cuts a burst: timers, sockets and other handlers get their turn', async () => {
    const held = new HeldCalls();
    const order: string[] = [];
    let turns = 0;
    const deliveriesOfTurn: number[] = [];
    const count = (name: string): void => {
      order.push(name);
      deliveriesOfTurn[turns] = (deliveriesOfTurn[turns] ?? 0) + 1;
    };

    @Injectable()
    class Provider {
      @OnPgNotify('c', { bufferSize: 50_000 })
      first(): void {
        count('first');
      }

      @OnPgNotify('c', { bufferSize: 50_000 })
      second(): void {
        count('second');
      }

      @OnPgGap('c', { reasons: ['start'] })
      warmUp(): Promise<void> {
        return held.run('start');
      }
    }

    @Controller()
    class Health {
      @Get()
      answer(): string {
        return `after ${order.length}`;
      }
    }
    const { app } = await start({ providers: [Provider], controllers: [Health] });
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    await send(1, 50_000);
    await received(50_000);
    let isDone = false;
    const turning = (async () => {
      for (; !isDone; turns += 1) await turn();
    })();
    const answered = new Promise<string>((resolve, reject) => {
      get({ port, host: '127.0.0.1', agent: false }, (response) => {
        response.setEncoding('utf8');
        response.on('data', resolve);
      }).on('error', reject);
    });
    let deliveredAtTimer: number | undefined;
    setTimeout(() => (deliveredAtTimer = order.length), 1);
    held.end(); // All 100,000 may run now.
    await eventually(
      () => order.length,
      (length) => length === 100_000,
    );
    isDone = true;
    await turning;
    const [, served] = (await answered).split(' ');
    expect(Number(served)).toBeLessThan(100_000);
    expect(deliveredAtTimer).toBeLessThan(100_000);
    const sizes = deliveriesOfTurn.map((size) => size ?? 0);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000);
    // By turns: neither has a second share while the other waits for its first.
    const shares = order.filter((name, index) => name !== order[index - 1]);
    expect(shares.length).toBeGreaterThan(50);
  });
});

/** In bytes, after everything was collected that nobody holds. */
function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}

describe('a shutdown', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(() => database.drop());

  it('takes nothing more, but lets handlers finish what waits, and send while they do', async () => {
    const held = new HeldCalls();

    @Injectable()
    class Provider {
      constructor(private readonly pgNotify: PgNotifyService) {}

      @OnPgNotify('c')
      async handle(payload: number): Promise<void> {
        await held.run(payload);
        await this.pgNotify.notify('done', payload);
      }
    }
    const { app, service } = await createApp({ connection: database.url }, { providers: [Provider] });
    await app.init();
    const done = new Recorder<unknown>();
    const completed = new Promise<void>((complete) =>
      service.listen('done').subscribe({ next: ({ payload }) => done.push(payload), complete }),
    );
    await service.ready();
    await database.query(`SELECT pg_notify('c', i::text) FROM generate_series(1, 3) i`);
    await held.begun.until(1);
    await eventually(
      () => service.stats().received,
      (count) => count === 3,
    );
    const closed = app.close();
    await turn();
    await database.query(`SELECT pg_notify('c', '4'), pg_notify('done', 'sent meanwhile')`);
    await done.until((items) => items.includes('sent meanwhile')); // It is still listening, but not to that.
    for (const count of [2, 3]) {
      held.end();
      await held.begun.until(count);
    }
    held.end();
    await Promise.all([closed, completed]);
    expect(held.begun.items).toEqual([1, 2, 3]);
    expect(service.stats()).toMatchObject({ delivered: 3, failed: 0, dropped: 0 });
    await app.close();
  });

  it('names once, in one line, what did not finish in time, and aborts its signal; what ends later harms nobody', async () => {
    const stuck = new HeldCalls();
    const signals: AbortSignal[] = [];

    @Injectable()
    class Provider {
      @OnPgNotify('c')
      stuck(payload: number, _: PgNotification, { signal }: PgNotifyContext): Promise<void> {
        signals.push(signal);
        return stuck.run(payload);
      }

      @OnPgNotify('quick')
      quick(): void {}
    }

    @Injectable()
    class Cache {
      @OnPgNotify('d')
      evict(): void {
        stuck.begun.push('never');
      }

      @OnPgGap('d')
      reload(): never {
        throw new Error('cannot be read');
      }
    }
    const options = { connection: database.url, shutdownTimeout: 100 };
    const { app, service, logger } = await createApp(options, { providers: [Provider, Cache] });
    await app.init();
    await database.query(
      `SELECT pg_notify('c', i::text), pg_notify('d', i::text), pg_notify('quick', i::text) FROM generate_series(1, 3) i`,
    );
    await eventually(
      () => service.stats().received,
      (count) => count === 9,
    );
    logger.lines.length = 0;
    await Promise.all([app.close(), app.close()]);
    await app.close();
    const lines = logger.texts('error').filter((text) => text.startsWith('Not finished'));
    expect(lines).toEqual([
      expect.stringContaining(
        'Not finished within the shutdownTimeout of 100 ms: Provider.stuck (and 2 that waited), Cache.reload, Cache.evict (and 3 that waited).',
      ),
    ]);
    expect(signals[0]!.reason).toMatchObject({ kind: 'closed' });
    stuck.end(new Error('too late'));
    await turn(); // A microtask that never ends would keep this turn from coming.
    expect(stuck.begun.items).toEqual([1]);
  });

  it('that could not wait for a gap behind a run settles all the same when that run ends', async () => {
    const stuck = new HeldCalls();

    @Injectable()
    class Provider {
      @OnPgNotify('c', { bufferSize: 1 })
      stuck(payload: number): Promise<void> {
        return stuck.run(payload);
      }

      @OnPgGap('c', { reasons: ['overflow'] })
      reload(): void {
        stuck.begun.push('gap');
      }
    }
    const options = { connection: database.url, shutdownTimeout: 50 };
    const { app, service } = await createApp(options, { providers: [Provider] });
    await app.init();
    await database.query(`SELECT pg_notify('c', '1')`);
    await stuck.begun.until(1);
    await database.query(`SELECT pg_notify('c', '2'), pg_notify('c', '3')`);
    await eventually(
      () => service.stats().dropped,
      (count) => count === 1,
    );
    await app.close();
    stuck.end();
    await turn();
    expect(stuck.begun.items).toEqual([1]);
  });
});
