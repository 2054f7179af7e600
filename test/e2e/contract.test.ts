import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import {
  definePgChannel,
  InjectPgChannel,
  OnPgGap,
  OnPgNotify,
  OnPgWakeUp,
  PgNotifyHealthIndicator,
  PgNotifyModule,
  PgNotifyService,
} from 'nest-pg-notify';
import type { PgGap, PgNotification, PgNotifyStatus, PgWakeUp } from 'nest-pg-notify';
import { Observable } from 'rxjs';
import * as z from 'zod';
import { consume } from '../support/app/consumer.js';
import { busContractSuite, postgresContractSuite } from '../support/app/contract-suite.js';
import { untilStatus } from '../support/app/status.js';
import { failureOf } from '../support/failures.js';
import { recordStream } from '../support/record-stream.js';
import { Recorder } from '../support/recorder.js';
import { deferred } from '../support/deferred.js';

const SUITES = [
  ['PostgreSQL', postgresContractSuite],
  ['the test bus', busContractSuite],
] as const;

describe.each(SUITES)('a registration on %s', (_name, createSuite) => {
  const suite = createSuite();

  describe('its streams', () => {
    it('emit a start gap first, and are ready when init() has resolved', async () => {
      const subject = await suite.create();
      const { seen } = consume(subject, 'a');
      await subject.app.init();
      await suite.emit('a', '1');
      expect(await seen.until(2)).toEqual(['a: start', 1]);
    });

    it('give a late subscriber a start gap of its own, which the others do not get', async () => {
      const subject = await suite.start();
      const first = consume(subject, 'a');
      await subject.service.ready();
      const second = consume(subject, 'a');
      expect(second.seen.items).toEqual(['a: start']); // At once: the channel is covered.
      await suite.emit('a', '1');
      expect(await first.seen.until(2)).toEqual(['a: start', 1]);
      expect(await second.seen.until(2)).toEqual(['a: start', 1]);
    });

    it('keep the order of the senders across channels, own notifications included', async () => {
      const subject = await suite.start();
      const seen = new Recorder<unknown>();
      consume(subject, 'a', seen);
      consume(subject, 'b', seen);
      await subject.service.ready();
      await seen.until(2);
      await suite.emit('a', '1');
      await subject.service.notify('b', 2);
      await suite.emit('b', '3');
      await Promise.all([
        subject.service.notify('a', 4),
        subject.service.notify('b', 5),
        subject.service.notify('a', 6),
      ]);
      await suite.emit('a', '7');
      expect((await seen.until(9)).slice(2)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    });

    it('deliver what a subscriber sends after every subscriber got what it reacts to', async () => {
      const subject = await suite.start();
      const { service } = subject;
      const asked: Promise<void>[] = [];
      service.listen('a').subscribe(({ payload }) => {
        if (payload === 'question') asked.push(service.notify('a', 'answer'));
      });
      service.gaps('b').subscribe(() => asked.push(service.notify('a', 'after the gap')));
      const { seen } = consume(subject, 'a');
      const other = consume(subject, 'b');
      await service.ready();
      await seen.until((items) => items.includes('after the gap'));
      await suite.emit('a', 'question');
      await seen.until((items) => items.includes('answer'));
      expect(seen.items).toEqual(['a: start', 'after the gap', 'question', 'answer']);
      expect(other.seen.items).toEqual(['b: start']);
      await Promise.all(asked);
    });

    it('deliver two equal notifications for two calls', async () => {
      const subject = await suite.start();
      const { seen } = consume(subject, 'a');
      await subject.service.ready();
      await Promise.all([subject.service.notify('a', 'same'), subject.service.notify('a', 'same')]);
      await suite.emit('a', 'last');
      expect(await seen.until((items) => items.includes('last'))).toEqual(['a: start', 'same', 'same', 'last']);
    });

    it('carry whole notifications', async () => {
      const subject = await suite.start();
      const notifications = recordStream(subject.service.listen('Mixed Case "quoted"'));
      await subject.service.ready();
      await suite.emit('Mixed Case "quoted"', '{"id":7}');
      await subject.service.notify('Mixed Case "quoted"');
      expect(await notifications.until(2)).toEqual([
        {
          channel: 'Mixed Case "quoted"',
          raw: '{"id":7}',
          payload: { id: 7 },
          processId: expect.any(Number),
          receivedAt: expect.any(Date),
        },
        expect.objectContaining({ raw: '', payload: undefined }),
      ]);
      const { processId } = subject.service.status;
      expect(notifications.items.map((item) => (item as PgNotification).processId)).not.toContain(processId);
    });

    it('decode by the codec of each definition', async () => {
      const subject = await suite.start();
      const raws = ['{"a":[1,null]}', 'plain text', '9007199254740993', '12', '"quoted"', 'null', '{"broken":', ''];
      const auto = recordStream(subject.service.listen('codecs'));
      const text = recordStream(subject.service.listen(definePgChannel('codecs', { codec: 'text' })));
      const json = recordStream(subject.service.listen(definePgChannel('codecs', { codec: 'json' })));
      const errors = recordStream(subject.service.errors$);
      await subject.service.ready();
      for (const raw of raws) await suite.emit('codecs', raw);
      const payloads = async (recorder: typeof auto, count: number): Promise<unknown[]> =>
        (await recorder.until(count)).map((item) => (item as PgNotification).payload);
      expect(await payloads(text as typeof auto, raws.length)).toEqual(raws);
      expect(await payloads(auto, raws.length)).toEqual([
        { a: [1, null] },
        'plain text',
        '9007199254740993',
        12,
        'quoted',
        null,
        '{"broken":',
        undefined,
      ]);
      expect(await payloads(json, 6)).toEqual([{ a: [1, null] }, 9007199254740992, 12, 'quoted', null, undefined]);
      expect(errors.items).toEqual([
        expect.objectContaining({ kind: 'payload', channel: 'codecs', size: 10 }),
        expect.objectContaining({ kind: 'payload', channel: 'codecs', size: 10 }),
      ]);
    });

    it('are injected by forFeature()', async () => {
      @Injectable()
      class Feature {
        constructor(@InjectPgChannel('a') readonly stream: Observable<PgNotification>) {}
      }
      const subject = await suite.start({ imports: [PgNotifyModule.forFeature(['a'])], providers: [Feature] });
      const notifications = recordStream(subject.app.get(Feature).stream);
      await subject.service.ready();
      await suite.emit('a', '1');
      expect(await notifications.until(1)).toMatchObject([{ channel: 'a', payload: 1 }]);
    });

    it('release the channel after the last subscriber, and begin anew with the next', async () => {
      const subject = await suite.start();
      const [first, second] = [consume(subject, 'a'), consume(subject, 'a')];
      await subject.service.ready();
      expect(subject.service.status.channels).toEqual({ wanted: 1, acknowledged: 1 });
      first.unsubscribe();
      await suite.emit('a', '1');
      await second.seen.until(2);
      expect(first.seen.items).toEqual(['a: start']);
      const released = untilStatus(subject, ({ channels }) => channels.wanted === 0 && channels.acknowledged === 0);
      second.unsubscribe();
      await released;
      await suite.emit('a', 'missed');
      const third = consume(subject, 'a');
      await subject.service.ready();
      await suite.emit('a', '2');
      expect(await third.seen.until(2)).toEqual(['a: start', 2]);
      expect(second.seen.items).toEqual(['a: start', 1]);
    });

    it('report the gaps of all channels to gaps() without a channel', async () => {
      const subject = await suite.start();
      consume(subject, 'a');
      await subject.service.ready();
      const gaps = recordStream(subject.service.gaps());
      consume(subject, 'b');
      await subject.service.ready();
      await suite.disconnect(subject);
      await suite.reconnect(subject);
      const told = (await gaps.until(4)).map((gap) => `${(gap as PgGap).channel}: ${(gap as PgGap).reason}`);
      expect(told.slice(0, 2)).toEqual(['a: start', 'b: start']);
      expect(told.slice(2).toSorted()).toEqual(['a: reconnect', 'b: reconnect']);
    });
  });

  describe('what it sends', () => {
    it('refuses what cannot be sent with the same errors, before anything is sent', async () => {
      const subject = await suite.start();
      const { service } = subject;
      const { seen } = consume(subject, 'a');
      await service.ready();
      const Checked = definePgChannel('a', { schema: z.object({ id: z.number() }) });
      const Text = definePgChannel('a', { codec: 'text' });
      const cyclic: Record<string, unknown> = {};
      cyclic['self'] = cyclic;
      const refused = await Promise.all(
        [
          service.notify('x'.repeat(64)),
          service.notify(''),
          service.notify('a', 'ü'.repeat(4_000)),
          service.notify(Text, 'nul \0'),
          service.notify(Text, '\ud800'),
          service.notify('a', cyclic),
          service.notify('a', () => undefined),
          service.notify(Checked, { id: 'seven' } as never),
        ].map((call) => failureOf(call)),
      );
      expect(refused.map(({ kind, size, limit }) => [kind, size, limit])).toEqual([
        ['channel', 64, 63],
        ['channel', undefined, undefined],
        ['payload', 8_002, 7_999],
        ['payload', undefined, undefined],
        ['payload', undefined, undefined],
        ['payload', undefined, undefined],
        ['payload', undefined, undefined],
        ['payload', undefined, undefined],
      ]);
      expect(refused.at(-1)?.issues).toHaveLength(1);
      await service.notify(Text, 'x'.repeat(7_999));
      expect(await seen.until(2)).toEqual(['a: start', 'x'.repeat(7_999)]);
    });

    it('checks payloads by their schema, and delivers its output to handlers and streams', async () => {
      const Dates = definePgChannel('dates', {
        schema: z.object({ at: z.string().transform((text) => new Date(text)) }),
      });
      const subject = await suite.start();
      const notifications = recordStream(subject.service.listen(Dates));
      const errors = recordStream(subject.service.errors$);
      await subject.service.ready();
      await suite.emit('dates', '{"at":7}');
      await subject.service.notify(Dates, { at: '2026-01-01T00:00:00.000Z' });
      expect(await notifications.until(1)).toMatchObject([{ payload: { at: new Date('2026-01-01T00:00:00.000Z') } }]);
      expect(errors.items).toMatchObject([{ kind: 'payload', channel: 'dates', issues: [expect.anything()] }]);
    });

    it('sends the valid payloads of notifyMany() in order, and rejects with the others', async () => {
      const subject = await suite.start();
      const { seen } = consume(subject, 'a');
      await subject.service.ready();
      const call = subject.service.notifyMany('a', [1, 'x'.repeat(8_000), 2, () => undefined, 2]);
      const error = await failureOf(call);
      expect(error).toMatchObject({ kind: 'payload', channel: 'a' });
      expect(error.failures?.map(({ index }) => index)).toEqual([1, 3]);
      expect(await seen.until(4)).toEqual(['a: start', 1, 2, 2]);
    });

    it('delivers what a handler sends to that handler too', async () => {
      const seen = new Recorder<unknown>();

      @Injectable()
      class Chain {
        constructor(private readonly service: PgNotifyService) {}

        @OnPgNotify('count')
        async count(value: number): Promise<void> {
          seen.push(value);
          if (value < 3) await this.service.notify('count', value + 1);
        }
      }
      await suite.start({ providers: [Chain] });
      await suite.emit('count', '1');
      expect(await seen.until(3)).toEqual([1, 2, 3]);
    });
  });

  describe('its connection', () => {
    it('announces a gap before the first notification after a loss; what was sent meanwhile is lost', async () => {
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
        delivered: 1,
        failed: 1,
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

  describe('its handlers', () => {
    it('stop at a gap until the gap method has succeeded, and handle what was received before it first', async () => {
      const log = new Recorder<string>();
      let release: () => void = () => undefined;
      const released = new Promise<void>((resolve) => (release = resolve));
      let attempts = 0;

      @Injectable()
      class Cache {
        @OnPgNotify('a')
        async handle(payload: string): Promise<void> {
          log.push(`handle ${payload}`);
          if (payload === 'slow') await released;
          log.push(`handled ${payload}`);
        }

        @OnPgGap('a')
        reload({ reason }: PgGap): void {
          attempts += 1;
          log.push(`reload ${reason}`);
          if (attempts === 2) throw new Error('on purpose');
        }
      }
      const subject = await suite.start({ providers: [Cache] });
      const { seen } = consume(subject, 'a');
      await log.until(1);
      await suite.emit('a', 'slow');
      await suite.emit('a', 'waits');
      await seen.until((items) => items.includes('waits'));
      await suite.disconnect(subject);
      await suite.reconnect(subject);
      await suite.emit('a', 'after');
      await seen.until((items) => items.includes('after'));
      release();
      await log.until((lines) => lines.includes('handled after'));
      expect(log.items).toEqual([
        'reload start',
        'handle slow',
        'handled slow',
        'handle waits',
        'handled waits',
        'reload reconnect',
        'reload reconnect',
        'handle after',
        'handled after',
      ]);
      expect(subject.logger.texts('error')).toEqual([expect.stringContaining('on purpose')]);
    });

    it('drop the oldest when they are too slow, and get a gap with the exact number', async () => {
      const log = new Recorder<unknown>();
      const first = deferred();

      @Injectable()
      class Slow {
        @OnPgNotify('a', { bufferSize: 2 })
        async handle(payload: number): Promise<void> {
          log.push(payload);
          if (payload === 1) await first.promise;
        }

        @OnPgGap('a')
        lost({ reason, dropped }: PgGap): void {
          log.push(`${reason} ${dropped}`);
        }
      }
      const subject = await suite.start({ providers: [Slow] });
      const { seen } = consume(subject, 'a');
      await log.until(1);
      await suite.emit('a', '1');
      await log.until(2);
      for (let id = 2; id <= 6; id += 1) await suite.emit('a', String(id));
      await seen.until((items) => items.includes(6));
      first.resolve();
      await log.until((items) => items.includes(6));
      expect(log.items).toEqual(['start undefined', 1, 'overflow 3', 5, 6]);
      expect(subject.service.stats().dropped).toBe(3);
    });

    it('are woken at the start, by notifications and by gaps', async () => {
      const reasons = new Recorder<string>();

      @Injectable()
      class Worker {
        @OnPgWakeUp('jobs')
        work({ reason, channel }: PgWakeUp): boolean {
          reasons.push(`${channel} ${reason}`);
          return reason === 'notification'; // There is more.
        }
      }
      const subject = await suite.start({ providers: [Worker] });
      expect((await reasons.until(1))[0]).toBe('jobs start');
      await suite.emit('jobs', '');
      await reasons.until((items) => items.includes('jobs again'));
      expect(reasons.items.slice(reasons.items.indexOf('jobs notification'))).toEqual([
        'jobs notification',
        'jobs again',
      ]);
      const { length } = reasons.items;
      await suite.disconnect(subject);
      await suite.reconnect(subject);
      await reasons.until((items) => items.slice(length).includes('jobs gap'));
    });

    it('report what they throw once, and go on', async () => {
      const seen = new Recorder<unknown>();

      @Injectable()
      class Fragile {
        @OnPgNotify('a')
        async handle(payload: unknown): Promise<void> {
          await Promise.resolve();
          if (payload === 'bad') throw new Error('on purpose');
          seen.push(payload);
        }
      }
      const subject = await suite.start({ providers: [Fragile] });
      const errors = recordStream(subject.service.errors$);
      await suite.emit('a', 'bad');
      await suite.emit('a', 'good');
      expect(await seen.until(1)).toEqual(['good']);
      expect(errors.items).toEqual([
        expect.objectContaining({ kind: 'handler', channel: 'a', handler: 'Fragile.handle' }),
      ]);
      expect(subject.logger.texts('error')).toHaveLength(1);
    });
  });

  describe('its live queries', () => {
    it('load at the start, after notifications and after gaps, once for all subscribers', async () => {
      const subject = await suite.start();
      let loads = 0;
      const summary$ = subject.service.liveQuery(['a', 'b'], () => Promise.resolve((loads += 1)));
      const [first, second] = [recordStream(summary$), recordStream(summary$)];
      await subject.service.ready();
      await first.until(1);
      expect(loads).toBe(1);
      await suite.emit('b', '1');
      await first.until(2);
      expect(second.items).toEqual(first.items);
      await suite.disconnect(subject);
      const { length } = first.items;
      await suite.reconnect(subject);
      await first.until(length + 1);
      await subject.app.close();
      expect(await second.until((items) => items.includes('completed'))).toEqual(first.items);
      expect(first.items.slice(0, -1)).toEqual(Array.from({ length: loads }, (_, index) => index + 1));
    });
  });

  describe('at its end', () => {
    it('completes every stream, and sends nothing any more', async () => {
      const subject = await suite.start();
      const { service } = subject;
      const streams = [
        recordStream(service.listen('a')),
        recordStream(service.gaps('a')),
        recordStream(service.gaps()),
        recordStream(service.errors$),
        recordStream(service.status$),
        recordStream(service.liveQuery('a', () => 1)),
      ];
      await service.ready();
      await subject.app.close();
      for (const stream of streams) expect(stream.items.at(-1)).toBe('completed');
      expect(service.status).toMatchObject({ state: 'closed', channels: { wanted: 0, acknowledged: 0 } });
      const [late, ready] = [recordStream(service.listen('a')), await failureOf(service.ready())];
      expect(late.items).toEqual(['completed']);
      expect(ready.kind).toBe('closed');
      const error = await failureOf(service.notify('a', 1));
      expect([error.kind, error.message]).toEqual([
        'closed',
        'Nothing can be sent to channel "a": the registration has been closed.',
      ]);
    });

    it('lets handlers finish what was received, and send while they do', async () => {
      const log = new Recorder<unknown>();
      const first = deferred();

      @Injectable()
      class Slow {
        constructor(private readonly service: PgNotifyService) {}

        @OnPgNotify('a')
        async handle(payload: number): Promise<void> {
          log.push(payload);
          await first.promise;
          await this.service.notify('done', payload);
          log.push(`${payload} done`);
        }
      }
      const subject = await suite.start({ providers: [Slow] });
      const { seen } = consume(subject, 'a');
      await subject.service.ready();
      await suite.emit('a', '1');
      await suite.emit('a', '2');
      await seen.until((items) => items.includes(2));
      const closed = subject.app.close();
      first.resolve();
      await closed;
      expect(log.items).toEqual([1, '1 done', 2, '2 done']);
    });
  });
});
