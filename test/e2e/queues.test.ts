import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import type { PgNotification, PgNotifyContext } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { received } from '../support/handled.js';
import { HeldCalls } from '../support/held-calls.js';
import { eventually, Recorder } from '../support/recorder.js';
import { turn } from '../support/turn.js';

describe('the queue of a handler', () => {
  const suite = appSuite({ options: { deliveryCheck: false } });

  /** Sends the numbers from one to another, each by itself, in order. */
  const send = (from: number, to: number): Promise<unknown> =>
    suite.database.query(`SELECT pg_notify('c', i::text) FROM generate_series($1::int, $2::int) i`, [from, to]);

  it('runs one call at a time, and delays no other handler by that', async () => {
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
    await suite.start({ providers: [Provider] });
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

  it('runs as many calls at a time as its concurrency says, begun in order', async () => {
    const held = new HeldCalls();

    @Injectable()
    class Provider {
      @OnPgNotify('c', { concurrency: 3 })
      handle(payload: unknown): Promise<void> {
        return held.run(payload);
      }
    }
    const { service } = await suite.start({ providers: [Provider] });
    await send(1, 5);
    await received(service, 5);
    await turn();
    expect(held.begun.items).toEqual([1, 2, 3]);
    expect(service.stats().handlers).toMatchObject([{ running: 3, waiting: 2 }]);
    held.end();
    expect(await held.begun.until(4)).toEqual([1, 2, 3, 4]);
    held.end();
    await held.begun.until(5);
    for (let left = 3; left > 0; left -= 1) held.end();
  });

  it('hands over full batches, and at a shutdown what is left', async () => {
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
    const { app, service } = await suite.start({ providers: [Provider] });
    await send(1, 2);
    await received(service, 2);
    await turn();
    expect(held.begun.items).toEqual([]);
    await send(3, 8);
    await received(service, 8);
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
    await suite.start({ providers: [Provider] });
    await send(1, 2);
    expect((await batches.until((all) => all.flat().length === 2)).flat()).toEqual([1, 2]);
  });

  it('keeps only the newest of all, or of each key, with the option latest', async () => {
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
    const { service } = await suite.start({ providers: [Provider] });
    await send(1, 1);
    await Promise.all([newest.begun.until(1), newestOfKey.begun.until(1)]);
    await send(2, 7);
    await received(service, 7);
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

  it('goes on after a timeout when that run has ended, however it ends', async () => {
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
    const { service, logger } = await suite.start({ providers: [Provider] });
    const errors = new Recorder<unknown>();
    service.errors$.subscribe(errors.push);
    await send(1, 3);
    await errors.until(1);
    expect([held.begun.items, service.stats().handlers[0]?.running]).toEqual([[1], 1]);
    held.end();
    await errors.until(2);
    expect(held.begun.items).toEqual([1, 2]);
    held.end(new Error('too late'));
    expect(await held.begun.until(3)).toEqual([1, 2, 3]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
    expect(signals[0]!.reason).toMatchObject({ message: expect.stringContaining('timeout of 20 ms') });
    expect(service.stats()).toMatchObject({ delivered: 1, failed: 2 });
    expect(errors.items).toMatchObject([
      { kind: 'handler', channel: 'c', handler: 'Provider.handle' },
      { kind: 'handler', channel: 'c', handler: 'Provider.handle' },
    ]);
    expect(logger.texts('error')).toHaveLength(1); // The second is equal.
    expect(logger.texts('log')).toContainEqual(
      expect.stringMatching(/^Provider\.handle works again, after 2 failures in \d+ s\./),
    );
  });
});
