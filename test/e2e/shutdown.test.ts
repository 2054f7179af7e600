import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Injectable, Sse } from '@nestjs/common';
import type { MessageEvent } from '@nestjs/common';
import { InjectPgChannel, OnPgGap, OnPgNotify, OnPgWakeUp, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import type { PgNotification, PgNotifyError } from 'nest-pg-notify';
import { filter, firstValueFrom, lastValueFrom, map, Observable, toArray } from 'rxjs';
import { createApp, createAppOf } from '../support/app.js';
import { listeningBackends } from '../support/backends.js';
import { createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';
import { StubServer } from '../support/stub-server.js';

/** The sockets and timers that keep this process alive. */
function openResources(): string[] {
  return process.getActiveResourcesInfo().filter((resource) => /^TCP|^TLS|Timeout|GETADDRINFO/.test(resource));
}

/** Runs what opens and closes an application, and asserts that it leaves nothing open. */
async function leavingNothingOpen(work: () => Promise<void>): Promise<void> {
  const before = openResources().length;
  await work();
  await eventually(openResources, (resources) => resources.length <= before);
}

describe('app.close()', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(() => database.drop());

  it('at once, before init(), leaves nothing open', () =>
    leavingNothingOpen(async () => {
      const { app, service } = await createApp({ connection: database.url });
      await app.close();
      expect(service.status.state).toBe('closed');
      await expect(service.ready()).rejects.toMatchObject({ kind: 'closed' });
    }));

  it('twice, and at the same time, leaves nothing open and no backend', () =>
    leavingNothingOpen(async () => {
      const { app, service } = await createApp({ connection: database.url });
      await app.init();
      await service.notify('anything');
      await Promise.all([app.close(), app.close()]);
      await app.close();
      const { rows } = await eventually(
        () =>
          database.query(`SELECT 1 FROM pg_stat_activity
             WHERE application_name LIKE 'nest-pg-notify%' AND datname = current_database()`),
        (result) => result.rows.length === 0,
      );
      expect(rows).toEqual([]);
    }));

  it('while init() connects to a server that never answers, ends both', () =>
    leavingNothingOpen(async () => {
      const arrived = new Recorder<number>();
      const stub = await StubServer.start({ onStartup: ({ processId }) => arrived.push(processId) });
      const { app } = await createApp({ connection: stub.url, deliveryCheck: false });
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

  it('while the settings of the connection are asked for, ends both', () =>
    leavingNothingOpen(async () => {
      const asked = new Recorder<string>();
      const connection = (): Promise<never> => {
        asked.push('asked');
        return new Promise(() => undefined);
      };
      const { app } = await createApp({ connection });
      const started = app.init().catch((error: { kind: string }) => error.kind);
      await asked.until(1);
      await app.close();
      expect(await started).toBe('closed');
    }));

  it('while it waits for the next attempt, ends both', () =>
    leavingNothingOpen(async () => {
      const stub = await StubServer.start();
      const connection = stub.url;
      await stub.close(); // Nobody listens on that port any more.
      const options = { connection, reconnect: { minDelay: 3_600_000, maxDelay: 3_600_000 } };
      const { app, service } = await createApp(options);
      const started = app.init().catch((error: { kind: string }) => error.kind);
      await firstValueFrom(service.status$.pipe(filter(({ attempts }) => attempts === 1)));
      await app.close();
      expect(await started).toBe('closed');
    }));

  it('while LISTEN is not answered, and the server says nothing to a goodbye, ends within its bound', () =>
    leavingNothingOpen(async () => {
      const asked = new Recorder<string>();
      const stub = await StubServer.start({
        onQuery: (query, connection) =>
          query.text.startsWith('LISTEN') ? asked.push(query.text) : connection.replyByDefault(query),
      });
      const { app, service } = await createApp({ connection: stub.url, deliveryCheck: false });
      service.listen('unanswered').subscribe();
      const started = app.init().catch((error: { kind: string }) => error.kind);
      await asked.until(1);
      await app.close();
      expect(await started).toBe('closed');
      await stub.close();
    }));

  it('ends while sending is stuck, and tells the sender that nobody knows', () =>
    leavingNothingOpen(async () => {
      const asked = new Recorder<string>();
      const stub = await StubServer.start({
        onQuery: (query, connection) =>
          query.text.includes('pg_notify') ? asked.push(query.text) : connection.replyByDefault(query),
      });
      const { app, service } = await createApp({ connection: stub.url, deliveryCheck: false, shutdownTimeout: 100 });
      await app.init();
      const outcomeOf = (call: Promise<void>): Promise<unknown> =>
        call.catch(({ outcome, failures }: PgNotifyError) => failures?.map(({ error }) => error.outcome) ?? outcome);
      const first = outcomeOf(service.notify('first'));
      await asked.until(1);
      const others = [outcomeOf(service.notify('second')), outcomeOf(service.notifyMany('third', [1, 2]))];
      await app.close();
      expect(await Promise.all([first, ...others])).toEqual(['unknown', 'not-sent', ['not-sent', 'not-sent']]);
      await stub.close();
    }));

  it('is not needed after a bootstrap that failed: neither woken methods nor gap methods run on', () =>
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
      const first = PgNotifyModule.forRoot({ connection: database.url });
      const second = PgNotifyModule.forRoot({ connection: database.url, name: 'second' });
      const { app } = await createAppOf({ imports: [first, second], providers: [Handlers] });
      await expect(app.init()).rejects.toThrow(
        `@OnPgNotify('work') on Handlers.wrong takes a whole number from 1 on for concurrency, not 0.`,
      );
      expect(attempts.items).toEqual(expect.arrayContaining(['gap', 'wake-up']));
    }));

  it('completes all streams, and later subscribers at once', async () => {
    const { app, service } = await createApp({ connection: database.url });
    await app.init();
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

  it('lets a running handler and what is queued finish, and the handler may still send', async () => {
    const log = new Recorder<string>();
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));

    @Injectable()
    class Handlers {
      constructor(private readonly service: PgNotifyService) {}

      @OnPgNotify('work')
      async handle(id: number): Promise<void> {
        log.push(`begin ${id}`);
        await finished;
        await this.service.notify('results', id);
        log.push(`end ${id}`);
      }
    }
    const results = new Recorder<unknown>();
    const observer = await createApp({ connection: database.url });
    await observer.app.init();
    observer.service.listen('results').subscribe(({ payload }) => results.push(payload));
    await observer.service.ready();

    const { app, service } = await createApp({ connection: database.url }, { providers: [Handlers] });
    await app.init();
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
    finish();
    await closed;
    expect(log.items).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2', 'closed']);
    expect(await results.until(2)).toEqual([1, 2]);
    await observer.app.close();
  });

  it('does not wait longer than shutdownTimeout for a handler, and names it', async () => {
    const begun = new Recorder<string>();
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));

    @Injectable()
    class Handlers {
      @OnPgNotify('work')
      async forEver(): Promise<void> {
        begun.push('begun');
        await finished;
      }
    }
    const options = { connection: database.url, shutdownTimeout: 50 };
    const { app, service, logger } = await createApp(options, { providers: [Handlers] });
    await app.init();
    await service.notify('work');
    await begun.until(1);
    await service.notify('work');
    const later = new Recorder<unknown>();
    service.listen('later').subscribe(later.push);
    await service.ready();
    await service.notify('later');
    await later.until(1); // So the second piece of work is queued.
    await app.close();
    finish();
    const errors = logger.texts('error');
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(
      'Not finished within the shutdownTimeout of 50 ms: Handlers.forEver (and 1 that waited).',
    );
    expect(begun.items).toHaveLength(1);
    expect(
      await eventually(
        () => listeningBackends(database),
        (pids) => pids.length === 0,
      ),
    ).toEqual([]);
  });

  it('is not held up by an open SSE route', async () => {
    @Controller()
    class Events {
      constructor(@InjectPgChannel('events') private readonly events$: Observable<PgNotification<string>>) {}

      @Sse('events')
      events(): Observable<MessageEvent> {
        return this.events$.pipe(map(({ payload }) => ({ data: payload })));
      }
    }
    const { app, service } = await createApp(
      { connection: database.url },
      { imports: [PgNotifyModule.forFeature(['events'])], controllers: [Events] },
    );
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
