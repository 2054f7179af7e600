import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgGap, PgNotifyContext } from 'nest-pg-notify';
import pg from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { received } from '../support/handled.js';
import { HeldCalls } from '../support/held-calls.js';
import { eventually, Recorder } from '../support/recorder.js';
import { turn, turns } from '../support/turn.js';

describe('@OnPgGap', () => {
  const suite = appSuite({ options: { deliveryCheck: false, reconnect: { minDelay: 1 } } });
  let subject: TestApp;

  async function start(...providers: Type[]): Promise<TestApp> {
    subject = await suite.start({ providers });
    return subject;
  }

  /** Ends the listening session, and waits until there is another one. */
  async function reconnect(): Promise<void> {
    const { service } = subject;
    const { reconnects } = service.stats();
    await suite.database.query('SELECT pg_terminate_backend($1)', [service.status.processId]);
    await eventually(
      () => service.stats().reconnects,
      (count) => count > reconnects,
    );
    await service.ready();
  }

  it('is called at the start, before the first notification, and init() does not wait for it', async () => {
    const held = new HeldCalls<PgGap>();
    const events = new Recorder<unknown>();

    @Injectable()
    class Cache {
      @OnPgNotify('c')
      evict(payload: unknown): void {
        events.push(payload);
      }

      @OnPgGap('c')
      async load(gap: PgGap, context: PgNotifyContext): Promise<void> {
        events.push([context.kind, context.handler, context.gap === gap]);
        await held.run(gap);
        events.push('loaded');
      }
    }
    await start(Cache);
    expect(await held.begun.until(1)).toEqual([{ channel: 'c', reason: 'start', until: expect.any(Date) }]);
    await suite.database.query(`SELECT pg_notify('c', '1')`);
    await received(subject.service, 1);
    await turn();
    expect(events.items).toEqual([['gap', 'Cache.load', true]]);
    held.end();
    expect(await events.until(3)).toEqual([['gap', 'Cache.load', true], 'loaded', 1]);
  });

  it('is called for the reasons that it names, also if it is alone in its provider', async () => {
    const gaps = { all: new Recorder<string>(), starts: new Recorder<string>(), reconnects: new Recorder<string>() };

    @Injectable()
    class Alone {
      @OnPgGap('c')
      all({ reason }: PgGap): void {
        gaps.all.push(reason);
      }

      @OnPgGap('c', { reasons: ['start'] })
      starts({ reason }: PgGap): void {
        gaps.starts.push(reason);
      }

      @OnPgGap('c', { reasons: ['reconnect', 'overflow'] })
      reconnects({ reason }: PgGap): void {
        gaps.reconnects.push(reason);
      }
    }
    const { service } = await start(Alone);
    await gaps.all.until(1);
    await reconnect();
    await gaps.reconnects.until(1);
    expect(gaps.all.items).toEqual(['start', 'reconnect']);
    expect(gaps.starts.items).toEqual(['start']);
    expect(gaps.reconnects.items).toEqual(['reconnect']);
    expect(service.stats().handlers.map(({ delivered }) => delivered)).toEqual([2, 1, 1]);
  });

  it('holds back the handlers of its provider, and no others', async () => {
    const held = new HeldCalls<PgGap>();
    const events = new Recorder<string>();

    @Injectable()
    class Cache {
      @OnPgNotify('c')
      one(): void {
        events.push('one');
      }

      @OnPgNotify('c', { concurrency: 2 })
      two(): void {
        events.push('two');
      }

      @OnPgNotify('d')
      otherChannel(): void {
        events.push('other channel');
      }

      @OnPgGap('c')
      load(gap: PgGap): Promise<void> {
        return held.run(gap);
      }
    }

    @Injectable()
    class Other {
      @OnPgNotify('c')
      three(): void {
        events.push('other provider');
      }
    }
    await start(Cache, Other);
    await held.begun.until(1);
    await suite.database.query(`SELECT pg_notify('c', ''), pg_notify('d', '')`);
    await events.until(2);
    await turn();
    expect(events.items.toSorted()).toEqual(['other channel', 'other provider']);
    held.end();
    await events.until(4);
    expect(events.items.slice(2).toSorted()).toEqual(['one', 'two']);
  });

  it('waits for what was received before it, however long that takes', async () => {
    const events = new Recorder<unknown>();
    const held = new HeldCalls();

    @Injectable()
    class Cache {
      @OnPgNotify('c')
      async evict(payload: unknown): Promise<void> {
        await held.run(payload);
        events.push(payload);
      }

      @OnPgGap('c', { reasons: ['reconnect'] })
      load({ reason }: PgGap): void {
        events.push(reason);
      }
    }
    await start(Cache);
    await suite.database.query(`SELECT pg_notify('c', '1'), pg_notify('c', '2')`);
    await received(subject.service, 2);
    await reconnect();
    await suite.database.query(`SELECT pg_notify('c', '3')`);
    await received(subject.service, 3);
    await turn();
    expect(events.items).toEqual([]);
    for (const count of [1, 2, 3]) {
      await held.begun.until(count);
      held.end();
    }
    expect(await events.until(4)).toEqual([1, 2, 'reconnect', 3]);
  });

  it('is a barrier under traffic, which runs alone between what was received before and after it', async () => {
    const events = new Recorder<string | number>();
    let running = 0;
    const beside: number[] = [];

    @Injectable()
    class Cache {
      @OnPgNotify('busy', { concurrency: 4 })
      async evict(payload: number): Promise<void> {
        events.push(payload);
        running += 1;
        await turn();
        running -= 1;
      }

      @OnPgGap('busy')
      async load({ reason }: PgGap): Promise<void> {
        events.push(`${reason} begins`);
        beside.push(running);
        const before = events.items.length;
        await turns();
        beside.push(running, events.items.length - before);
        events.push(`${reason} ends`);
      }
    }
    const { service } = await start(Cache);
    const writer = new pg.Client(suite.database.url);
    await writer.connect();
    suite.cleanup(() => writer.end());
    const done = new AbortController();
    suite.cleanup(() => done.abort());
    let sent = 0;
    const writing = (async () => {
      for (; !done.signal.aborted; sent += 20) {
        // On some machines the writer is the faster one for long enough to fill the queue, and an overflow is a gap too.
        await eventually(
          () => service.stats().handlers.reduce((sum, { waiting }) => sum + waiting, 0),
          (waiting) => waiting < 1_000,
        );
        await writer.query(`SELECT pg_notify('busy', i::text) FROM generate_series($1::int, $1::int + 19) i`, [sent]);
      }
    })();
    for (let round = 1; round <= 5; round += 1) {
      await reconnect();
      const { length } = await events.until(
        (items) => items.filter((item) => item === 'reconnect ends').length >= round,
      );
      await events.until((items) => items.slice(length).some((item) => typeof item === 'number'));
    }
    done.abort();
    await writing;
    expect(beside.every((count) => count === 0)).toBe(true);
    const { items } = events;
    const gaps = items.filter((item) => typeof item === 'string');
    expect(gaps).toEqual(
      ['start', ...Array.from({ length: 5 }, () => 'reconnect')].flatMap((reason) => [
        `${reason} begins`,
        `${reason} ends`,
      ]),
    );
    const numbers = items.filter((item) => typeof item === 'number');
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  });

  it('is called again until it succeeds, and takes up what comes meanwhile', async () => {
    const held = new HeldCalls<PgGap>();
    const evicted = new Recorder<unknown>();

    @Injectable()
    class Cache {
      @OnPgNotify('c', { bufferSize: 2 })
      evict(payload: unknown): void {
        evicted.push(payload);
      }

      @OnPgGap('c')
      load(gap: PgGap): Promise<void> {
        return held.run(gap);
      }
    }
    const { service, logger } = await start(Cache);
    await held.begun.until(1);
    held.end();
    await reconnect();
    const [, first] = await held.begun.until(2);
    expect(first).toMatchObject({ reason: 'reconnect', since: expect.any(Date) });
    await reconnect();
    await suite.database.query(`SELECT pg_notify('c', i::text) FROM generate_series(1, 5) i`);
    await received(subject.service, 5);
    held.end(new Error('cannot be read'));
    const [, , second] = await held.begun.until(3);
    expect(second).toEqual({
      channel: 'c',
      reason: 'reconnect',
      since: first!.since,
      until: expect.any(Date),
      dropped: 3,
    });
    expect(second!.until.getTime()).toBeGreaterThan(first!.until.getTime());
    held.end(new Error('still not'));
    expect((await held.begun.until(4)).at(-1)).toEqual(second);
    expect(evicted.items).toEqual([]);
    held.end();
    expect(await evicted.until(2)).toEqual([4, 5]);
    expect(held.begun.items).toHaveLength(4);
    expect(logger.texts('error')).toEqual([
      expect.stringContaining('Handler Cache.load failed for the channel "c": cannot be read'),
      expect.stringContaining('Handler Cache.load failed for the channel "c": still not'),
    ]);
    expect(service.stats().handlers.find(({ handler }) => handler === 'Cache.load')).toMatchObject({
      delivered: 2,
      failed: 2,
    });
  });

  it('counts as failed after its timeout, and is called again when it has ended', async () => {
    const held = new HeldCalls<PgGap>();
    const signals: AbortSignal[] = [];
    const evicted = new Recorder<unknown>();

    @Injectable()
    class Cache {
      @OnPgNotify('c')
      evict(payload: unknown): void {
        evicted.push(payload);
      }

      @OnPgGap('c', { timeout: 20 })
      load(gap: PgGap, { signal }: PgNotifyContext): Promise<void> | undefined {
        signals.push(signal);
        return signals.length === 1 ? held.run(gap) : undefined;
      }
    }
    const { service } = await start(Cache);
    await suite.database.query(`SELECT pg_notify('c', '1')`);
    await eventually(
      () => service.stats().handlers.find(({ kind }) => kind === 'gap')!,
      ({ failed, running }) => failed === 1 && running === 1,
    );
    expect(service.status.blocked).toMatchObject([{ handler: 'Cache.load', reason: 'overrun' }]);
    expect([signals.map(({ aborted }) => aborted), evicted.items]).toEqual([[true], []]);
    held.end(new Error('too late'));
    expect(await evicted.until(1)).toEqual([1]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(service.status.blocked).toBeUndefined();
  });
});
