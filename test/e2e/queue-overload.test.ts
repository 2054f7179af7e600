import { get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { Controller, Get, Injectable } from '@nestjs/common';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgGap } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { blockEventLoop } from '../support/block-event-loop.js';
import { received } from '../support/handled.js';
import { HeldCalls } from '../support/held-calls.js';
import { eventually, Recorder } from '../support/recorder.js';
import { turn } from '../support/turn.js';

describe('the queue of a handler that is too slow', () => {
  const suite = appSuite({ options: { deliveryCheck: false } });

  /** Sends the numbers from one to another, each by itself, in order. */
  const send = (from: number, to: number): Promise<unknown> =>
    suite.database.query(`SELECT pg_notify('c', i::text) FROM generate_series($1::int, $2::int) i`, [from, to]);

  const rowOf = ({ service }: TestApp, name: string) =>
    service.stats().handlers.find(({ handler }) => handler === name)!;

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
    const subject = await suite.start({ providers: [Provider] });
    await send(1, 1);
    await held.begun.until(1);
    await send(2, 100);
    await received(subject.service, 100);
    expect(rowOf(subject, 'Provider.handle')).toMatchObject({ waiting: 10, running: 1, dropped: 89 });
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
    expect(subject.logger.texts('warn')).toEqual([
      expect.stringContaining('Handler Provider.handle cannot keep up with the channel "c": its buffer of '),
    ]);
  });

  it('takes 200,000 notifications while its handler stalls, in no more memory than its buffer, and accounts for each', async () => {
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
    const subject = await suite.start({ providers: [Provider] });
    await send(0, 0);
    await held.begun.until(1);
    const heap = heapInUse();
    const chunk = 50_000;
    for (let from = 1; from < 200_000; from += chunk) await send(from, from + chunk - 1);
    await received(subject.service, 200_001);
    expect(rowOf(subject, 'Provider.handle')).toMatchObject({ waiting: 10_000, running: 1, dropped: 190_000 });
    // 10,000 that wait take about 5 MB; the 200,000 would take a hundred.
    expect(heapInUse() - heap).toBeLessThan(20_000_000);
    held.end();
    await eventually(
      () => rowOf(subject, 'Provider.handle').waiting,
      (waiting) => waiting === 0,
    );
    expect(handled).toBe(10_001);
    expect(gaps.items.map(({ dropped }) => dropped)).toEqual([190_000]);
  }, 120_000);

  it('gives timers, sockets and other handlers their turn in the middle of a burst', async () => {
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
    const { app, service } = await suite.start({ providers: [Provider], controllers: [Health] });
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    await send(1, 50_000);
    await received(service, 50_000);
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
    const busyTurns = deliveriesOfTurn.filter((size) => size > 0);
    expect(busyTurns.length).toBeGreaterThan(2);
    // By turns: neither runs to its end while the other waits.
    const shares = order.filter((name, index) => name !== order[index - 1]);
    expect(shares.length).toBeGreaterThan(2);
  });

  it.each([
    ['one notification after the other', 400],
    ['them', 8_000],
  ])('delivers %s on other channels while a synchronous handler has %i to go through', async (_what, backlog) => {
    const quick = new Recorder<number>();

    @Injectable()
    class Provider {
      @OnPgNotify('c')
      slow(): void {
        blockEventLoop(5);
      }

      @OnPgNotify('d')
      quick(id: number): void {
        quick.push(id);
      }
    }
    const heartbeat = { interval: 100, timeout: 400 };
    const subject = await suite.start({ providers: [Provider], shutdownTimeout: 50, heartbeat });
    await send(1, backlog);
    await eventually(
      () => rowOf(subject, 'Provider.slow').delivered,
      (delivered) => delivered > 0,
    );
    for (let id = 1; id <= 10; id += 1) {
      await suite.database.query('SELECT pg_notify($1, $2)', ['d', String(id)]);
      await quick.until(id);
    }
    expect(rowOf(subject, 'Provider.slow').waiting).toBeGreaterThan(0);
    expect(subject.service.stats().reconnects).toBe(0);
  });

  it('drops nothing for an asynchronous handler that waits for nothing, in a burst of 200,000', async () => {
    const last = new Recorder<number>();

    @Injectable()
    class Provider {
      @OnPgNotify('c')
      // eslint-disable-next-line @typescript-eslint/require-await
      async handle(id: number): Promise<void> {
        if (id === 200_000) last.push(id);
      }
    }
    const { service } = await suite.start({ providers: [Provider] });
    await send(1, 200_000);
    await last.until(1);
    expect(service.stats()).toMatchObject({ received: 200_000, dropped: 0 });
  });

  it('goes on while its gap method waits between two overflows', async () => {
    const gaps = new Recorder<PgGap>();
    let handled = 0;

    @Injectable()
    class Provider {
      @OnPgNotify('c', { bufferSize: 10 })
      async slow(): Promise<void> {
        await turn();
        handled += 1;
      }

      @OnPgGap('c', { reasons: ['overflow'] })
      reload(gap: PgGap): void {
        gaps.push(gap);
      }
    }
    await suite.start({ providers: [Provider] });
    await send(1, 100);
    await gaps.until(1);
    const before = handled;
    let from = 101;
    while (gaps.items.length < 2) {
      await send(from, from + 99);
      from += 100;
      await delay(10); // The pace of the bursts: nobody waits for anything here.
    }
    // Ten for each burst that came in between, more or less; ten in all if it stood still.
    expect(handled - before).toBeGreaterThan(50);
  });
});

/** In bytes, after everything was collected that nobody holds. */
function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
