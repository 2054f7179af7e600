import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { OnPgNotify, PgNotifyHealthIndicator } from 'nest-pg-notify';
import type { PgGap, PgNotifyStatus } from 'nest-pg-notify';
import { consume } from '../support/app/consumer.js';
import { CONTRACT_SUITES } from '../support/app/contract-suite.js';
import { untilStatus } from '../support/app/status.js';
import { failureOf } from '../support/failures.js';
import { recordStream } from '../support/record-stream.js';
import { Recorder } from '../support/recorder.js';

describe.each(CONTRACT_SUITES)('the connection of a registration on %s', (_name, createSuite) => {
  const suite = createSuite();

  it('announces a gap before the first notification after a loss, in which notifications were lost', async () => {
    const subject = await suite.start();
    const seen = new Recorder<unknown>();
    consume(subject, 'a', seen);
    consume(subject, 'b', seen);
    const gaps = recordStream(subject.service.gaps('a'));
    await subject.service.ready();
    await suite.emit('a', '1');
    await seen.until(3);
    await suite.disconnect(subject);
    await suite.emit('a', 'lost');
    await subject.service.notify('b', 'lost too');
    await suite.reconnect(subject);
    await suite.emit('a', '2');
    await suite.emit('b', '3');
    await seen.until((items) => items.includes(3));
    expect(new Set(seen.items.slice(0, 3))).toEqual(new Set(['a: start', 'b: start', 1]));
    expect(new Set(seen.items.slice(3, 5))).toEqual(new Set(['a: reconnect', 'b: reconnect']));
    expect(seen.items.slice(5)).toEqual([2, 3]);
    expect(gaps.items).toEqual([
      { channel: 'a', reason: 'start', until: expect.any(Date) },
      { channel: 'a', reason: 'reconnect', since: expect.any(Date), until: expect.any(Date) },
    ]);
    const [, { since, until }] = gaps.items as [PgGap, Required<PgGap>];
    expect(since.getTime()).toBeLessThanOrEqual(until.getTime());
  });

  it('gives a subscriber that came during a loss a start gap', async () => {
    const subject = await suite.start();
    const early = consume(subject, 'a');
    await subject.service.ready();
    await suite.disconnect(subject);
    const late = consume(subject, 'a');
    const other = consume(subject, 'b');
    expect([...late.seen.items, ...other.seen.items]).toEqual([]);
    await suite.reconnect(subject);
    await suite.emit('a', '1');
    await suite.emit('b', '2');
    expect(await late.seen.until(2)).toEqual(['a: start', 1]);
    expect(await other.seen.until(2)).toEqual(['b: start', 2]);
    expect(early.seen.items).toEqual(['a: start', 'a: reconnect', 1]);
  });

  it('describes its connection in the status, field by field', async () => {
    const subject = await suite.create();
    const { service } = subject;
    const states = new Recorder<PgNotifyStatus>();
    service.status$.subscribe((status) => {
      if (states.items.at(-1)?.state !== status.state) states.push(status);
    });
    const errors = recordStream(service.errors$);
    consume(subject, 'a');
    expect(service.status).toMatchObject({ state: 'closed', channels: { wanted: 1, acknowledged: 0 } });
    await subject.app.init();
    const listening: PgNotifyStatus = {
      state: 'listening',
      since: expect.any(Date) as never,
      attempts: 0,
      gaps: 1,
      delivery: { verdict: 'verified', at: expect.any(Date) as never },
      channels: { wanted: 1, acknowledged: 1 },
      processId: expect.any(Number) as never,
      serverVersion: expect.any(String) as never,
    };
    expect(service.status).toEqual(listening);
    await suite.disconnect(subject);
    const lost = service.status;
    expect(lost).toEqual({
      state: 'reconnecting',
      since: expect.any(Date),
      attempts: expect.any(Number),
      gaps: 1,
      delivery: { verdict: expect.stringMatching(/verified|unknown/), at: expect.any(Date) },
      channels: { wanted: 1, acknowledged: 0 },
      lastFailure: {
        kind: 'connection',
        message: expect.any(String),
        at: expect.any(Date),
        endpoint: expect.any(String),
      },
    });
    expect(lost.attempts).toBeGreaterThan(0);
    expect(errors.items[0]).toMatchObject({ kind: 'connection' });
    await suite.reconnect(subject);
    const again = await untilStatus(subject, ({ delivery }) => delivery?.verdict === 'verified');
    expect(again).toEqual({ ...listening, gaps: 2, lastFailure: expect.objectContaining({ kind: 'connection' }) });
    await subject.app.close();
    expect(states.items.map(({ state }) => state)).toEqual([
      'closed',
      'connecting',
      'listening',
      'reconnecting',
      'listening',
      'closed',
    ]);
  });

  it('keeps ready() waiting while the connection is lost, but not for a channel without consumers', async () => {
    const subject = await suite.start();
    const { service } = subject;
    const a = consume(subject, 'a');
    await service.ready();
    await suite.disconnect(subject);
    const b = consume(subject, 'b');
    const settled: string[] = [];
    const ready = service.ready().then(() => settled.push('ready'));
    b.unsubscribe();
    const nothing = service.ready();
    await suite.emit('a', 'meanwhile');
    expect(settled).toEqual([]);
    await suite.reconnect(subject);
    await Promise.all([ready, nothing]);
    expect(a.seen.items).toEqual(['a: start', 'a: reconnect']);
  });

  it('keeps ready() waiting while the connection is lost, even without consumers', async () => {
    const subject = await suite.start();
    await suite.disconnect(subject);
    const settled: string[] = [];
    const ready = subject.service.ready().then(() => settled.push('ready'));
    await suite.emit('a', 'meanwhile');
    expect(settled).toEqual([]);
    await suite.reconnect(subject);
    await ready;
  });

  it('counts what was received, handled and lost', async () => {
    const handled = new Recorder<unknown>();

    @Injectable()
    class Handlers {
      @OnPgNotify('a')
      handle(payload: unknown): void {
        handled.push(payload);
        if (payload === 'fail') throw new Error('on purpose');
      }
    }
    const subject = await suite.start({ providers: [Handlers] });
    const errors = recordStream(subject.service.errors$);
    const other = consume(subject, 'b');
    await subject.service.ready();
    await suite.emit('unheard', '1');
    await suite.emit('a', '1');
    await handled.until(1);
    await suite.disconnect(subject);
    await suite.reconnect(subject);
    await suite.emit('a', 'fail');
    await suite.emit('b', 'last');
    await other.seen.until((items) => items.includes('last'));
    await errors.until((items) => items.some((error) => error !== 'completed' && error.kind === 'handler'));
    expect(subject.service.stats()).toEqual({
      received: 3,
      discarded: 0,
      delivered: 1,
      failed: 1,
      rejected: 0,
      dropped: 0,
      gaps: 4,
      reconnects: 1,
      handlers: [
        {
          kind: 'notification',
          handler: 'Handlers.handle',
          channel: 'a',
          waiting: 0,
          running: 0,
          delivered: 1,
          failed: 1,
          rejected: 0,
          dropped: 0,
          conflated: 0,
        },
      ],
    });
  });

  it('reports to @nestjs/terminus that it is healthy while it listens', async () => {
    const subject = await suite.start({ imports: [TerminusModule] });
    const [health, terminus] = [subject.app.get(PgNotifyHealthIndicator), subject.app.get(HealthCheckService)];
    const { details } = await terminus.check([() => health.isHealthy('notifications')]);
    expect(details).toEqual({
      notifications: {
        status: 'up',
        state: 'listening',
        since: expect.any(String),
        delivery: 'verified',
        channels: { wanted: 0, acknowledged: 0 },
        queueUsage: expect.any(Number),
      },
    });
    await suite.disconnect(subject);
    expect((await health.isHealthy()).pg_notify).toMatchObject({
      status: 'down',
      delivery: 'unknown',
      reason: expect.stringMatching(/^the registration is reconnecting/),
    });
    expect((await failureOf(subject.service.queueUsage())).kind).toBe('connection');
    await suite.reconnect(subject);
  });
});
