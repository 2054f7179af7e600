import { describe, expect, it } from '@jest/globals';
import { Controller, Injectable, Sse } from '@nestjs/common';
import type { MessageEvent } from '@nestjs/common';
import { InjectPgChannel, OnPgGap, OnPgNotify, OnPgWakeUp, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import type { PgNotification, PgNotifyError } from 'nest-pg-notify';
import { lastValueFrom, map, Observable, toArray } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import { untilStatus } from '../support/app/status.js';
import { untilListeners } from '../support/backends.js';
import { leavingNothingOpen } from '../support/open-resources.js';
import { eventually, Recorder } from '../support/recorder.js';
import { StubServer } from '../support/stub-server.js';
import { deferred } from '../support/deferred.js';

describe('app.close()', () => {
  const suite = appSuite();

  it('leaves nothing open when called before init()', () =>
    leavingNothingOpen(async () => {
      const { app, service } = await suite.create();
      await app.close();
      expect(service.status.state).toBe('closed');
      await expect(service.ready()).rejects.toMatchObject({ kind: 'closed' });
    }));

  it('leaves nothing open and no backend when called several times at once', () =>
    leavingNothingOpen(async () => {
      const { app, service } = await suite.start();
      await service.notify('anything');
      await Promise.all([app.close(), app.close()]);
      await app.close();
      const { rows } = await eventually(
        () =>
          suite.database.query(`SELECT 1 FROM pg_stat_activity
             WHERE application_name LIKE 'nest-pg-notify%' AND datname = current_database()`),
        (result) => result.rows.length === 0,
      );
      expect(rows).toEqual([]);
    }));

  it('ends init() while it connects to a server that never answers', () =>
    leavingNothingOpen(async () => {
      const arrived = new Recorder<number>();
      const stub = await StubServer.start({ onStartup: ({ processId }) => arrived.push(processId) });
      const { app } = await suite.create({ connection: stub.url, deliveryCheck: false });
      const started = app.init().then(
        () => 'started',
        (error: { kind: string }) => error.kind,
      );
      await arrived.until(1);
      await app.close();
      expect(await started).toBe('closed');
      await eventually(
        () => stub.connections.length,
        (count) => count === 0,
      );
      await stub.close();
    }));

  it('ends init() while it waits for the settings of the connection', () =>
    leavingNothingOpen(async () => {
      const asked = new Recorder<string>();
      const connection = (): Promise<never> => {
        asked.push('asked');
        return new Promise(() => undefined);
      };
      const { app } = await suite.create({ connection });
      const started = app.init().catch((error: { kind: string }) => error.kind);
      await asked.until(1);
      await app.close();
      expect(await started).toBe('closed');
    }));

  it('ends init() while it waits for the next attempt', () =>
    leavingNothingOpen(async () => {
      const stub = await StubServer.start();
      const connection = stub.url;
      await stub.close(); // Nobody listens on that port any more.
      const options = { connection, reconnect: { minDelay: 3_600_000, maxDelay: 3_600_000 } };
      const subject = await suite.create(options);
      const { app } = subject;
      const started = app.init().catch((error: { kind: string }) => error.kind);
      await untilStatus(subject, ({ attempts }) => attempts === 1);
      await app.close();
      expect(await started).toBe('closed');
    }));

  it('ends init() while LISTEN is unanswered, on a server that never closes its side', () =>
    leavingNothingOpen(async () => {
      const asked = new Recorder<string>();
      const stub = await StubServer.start({
        onQuery: (query, connection) =>
          query.text.startsWith('LISTEN') ? asked.push(query.text) : connection.replyByDefault(query),
      });
      const { app, service } = await suite.create({ connection: stub.url, deliveryCheck: false });
      service.listen('unanswered').subscribe();
      const started = app.init().catch((error: { kind: string }) => error.kind);
      await asked.until(1);
      await app.close();
      expect(await started).toBe('closed');
      await stub.close();
    }));

  it('rejects calls whose statement is unanswered as unknown, and waiting ones as not sent', () =>
    leavingNothingOpen(async () => {
      const asked = new Recorder<string>();
      const stub = await StubServer.start({
        onQuery: (query, connection) =>
          query.text.includes('pg_notify') ? asked.push(query.text) : connection.replyByDefault(query),
      });
      const { app, service } = await suite.start({ connection: stub.url, deliveryCheck: false, shutdownTimeout: 100 });
      const outcomeOf = (call: Promise<void>): Promise<unknown> =>
        call.catch(({ outcome, failures }: PgNotifyError) => failures?.map(({ error }) => error.outcome) ?? outcome);
      const first = outcomeOf(service.notify('first'));
      await asked.until(1);
      const others = [outcomeOf(service.notify('second')), outcomeOf(service.notifyMany('third', [1, 2]))];
      await app.close();
      expect(await Promise.all([first, ...others])).toEqual(['unknown', 'not-sent', ['not-sent', 'not-sent']]);
      await stub.close();
    }));

  it('is not needed after a failed bootstrap, which stops woken methods and gap methods', () =>
    leavingNothingOpen(async () => {
      const attempts = new Recorder<string>();

      @Injectable()
      class Handlers {
        @OnPgGap('work')
        reload(): never {
          attempts.push('gap');
          throw new Error('not yet');
        }

        @OnPgWakeUp('work')
        drain(): void {
          attempts.push('wake-up');
        }

        @OnPgNotify('work', { registration: 'second', concurrency: 0 })
        wrong(): void {}
      }
      const first = PgNotifyModule.forRoot({ connection: suite.database.url });
      const second = PgNotifyModule.forRoot({ connection: suite.database.url, name: 'second' });
      const { app } = await suite.createOf({ imports: [first, second], providers: [Handlers] });
      await expect(app.init()).rejects.toThrow(
        `The option concurrency of @OnPgNotify('work') on Handlers.wrong must be an integer of at least 1, not 0.`,
      );
      expect(attempts.items).toEqual(expect.arrayContaining(['gap', 'wake-up']));
    }));

  it('completes all streams, those subscribed to later included', async () => {
    const { app, service } = await suite.start();
    const streams: Observable<unknown>[] = [
      service.listen('a'),
      service.listen('b'),
      service.gaps('a'),
      service.gaps(),
    ];
    const ended = Promise.all(streams.map((stream) => lastValueFrom(stream.pipe(toArray()))));
    const states = lastValueFrom(service.status$.pipe(toArray()));
    await service.ready();
    await app.close();
    await ended;
    expect((await states).at(-1)).toMatchObject({ state: 'closed', channels: { wanted: 0, acknowledged: 0 } });
    for (const stream of streams) expect(await lastValueFrom(stream.pipe(toArray()))).toEqual([]);
    await expect(service.notify('a')).rejects.toMatchObject({ kind: 'closed' });
  });

  it('lets running and queued handlers finish, and send while they do', async () => {
    const log = new Recorder<string>();
    const work = deferred();

    @Injectable()
    class Handlers {
      constructor(private readonly service: PgNotifyService) {}

      @OnPgNotify('work')
      async handle(id: number): Promise<void> {
        log.push(`begin ${id}`);
        await work.promise;
        await this.service.notify('results', id);
        log.push(`end ${id}`);
      }
    }
    const results = new Recorder<unknown>();
    const observer = await suite.start();
    observer.service.listen('results').subscribe(({ payload }) => results.push(payload));
    await observer.service.ready();

    const { app, service } = await suite.start({ providers: [Handlers] });
    await service.notify('work', 1);
    await service.notify('work', 2);
    await log.until(1);
    // The second is queued as soon as a third party has received what was sent after it.
    const later = new Recorder<unknown>();
    service.listen('later').subscribe(({ payload }) => later.push(payload));
    await service.ready();
    await service.notify('later');
    await later.until(1);
    const closed = app.close().then(() => log.push('closed'));
    work.resolve();
    await closed;
    expect(log.items).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2', 'closed']);
    expect(await results.until(2)).toEqual([1, 2]);
  });

  it('waits for a handler no longer than shutdownTimeout, and names the handler in the log', async () => {
    const begun = new Recorder<string>();
    const work = deferred();

    @Injectable()
    class Handlers {
      @OnPgNotify('work')
      async forEver(): Promise<void> {
        begun.push('begun');
        await work.promise;
      }
    }
    const { app, service, logger } = await suite.start({ providers: [Handlers], shutdownTimeout: 50 });
    await service.notify('work');
    await begun.until(1);
    await service.notify('work');
    const later = new Recorder<unknown>();
    service.listen('later').subscribe(later.push);
    await service.ready();
    await service.notify('later');
    await later.until(1); // So the second piece of work is queued.
    await app.close();
    work.resolve();
    const errors = logger.texts('error');
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(
      'Not finished within the shutdownTimeout of 50 ms: Handlers.forEver (and 1 that waited).',
    );
    expect(begun.items).toHaveLength(1);
    await untilListeners(suite.database, 0);
  });

  it('ends open SSE routes', async () => {
    @Controller()
    class Events {
      constructor(@InjectPgChannel('events') private readonly events$: Observable<PgNotification<string>>) {}

      @Sse('events')
      events(): Observable<MessageEvent> {
        return this.events$.pipe(map(({ payload }) => ({ data: payload })));
      }
    }
    const { app, service } = await suite.create({
      imports: [PgNotifyModule.forFeature(['events'])],
      controllers: [Events],
    });
    await app.listen(0, '127.0.0.1');
    const response = await fetch(`${await app.getUrl()}/events`);
    const chunks = new Recorder<string>();
    const ended = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) chunks.push(decoder.decode(chunk as Uint8Array));
    })();
    await eventually(
      () => service.status.channels.acknowledged,
      (count) => count === 1,
    );
    await service.notify('events', 'hello');
    await chunks.until((texts) => texts.join('').includes('data: hello'));
    await app.close();
    await expect(ended).resolves.toBeUndefined();
  });
});
