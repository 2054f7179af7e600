import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgGap, OnPgNotify, PgNotifyService } from 'nest-pg-notify';
import type { PgNotification, PgNotifyContext } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { received } from '../support/handled.js';
import { HeldCalls } from '../support/held-calls.js';
import { eventually, Recorder } from '../support/recorder.js';
import { turn } from '../support/turn.js';

describe('a shutdown', () => {
  const suite = appSuite();

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
    const { app, service } = await suite.start({ providers: [Provider] });
    const done = new Recorder<unknown>();
    const completed = new Promise<void>((complete) =>
      service.listen('done').subscribe({ next: ({ payload }) => done.push(payload), complete }),
    );
    await service.ready();
    await suite.database.query(`SELECT pg_notify('c', i::text) FROM generate_series(1, 3) i`);
    await held.begun.until(1);
    await received(service, 3);
    const closed = app.close();
    await turn();
    await suite.database.query(`SELECT pg_notify('c', '4'), pg_notify('done', 'sent meanwhile')`);
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

  it('names in one line the handlers that did not finish in time, and aborts their signals', async () => {
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
    const { app, service, logger } = await suite.start({ shutdownTimeout: 100, providers: [Provider, Cache] });
    await suite.database.query(
      `SELECT pg_notify('c', i::text), pg_notify('d', i::text), pg_notify('quick', i::text) FROM generate_series(1, 3) i`,
    );
    await received(service, 9);
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

  it('leaves a gap alone that waits behind a stuck run, also when that run ends later', async () => {
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
    const { app, service } = await suite.start({ shutdownTimeout: 50, providers: [Provider] });
    await suite.database.query(`SELECT pg_notify('c', '1')`);
    await stuck.begun.until(1);
    await suite.database.query(`SELECT pg_notify('c', '2'), pg_notify('c', '3')`);
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
