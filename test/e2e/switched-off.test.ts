import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import {
  definePgChannel,
  OnPgGap,
  OnPgNotify,
  OnPgWakeUp,
  PgNotifyError,
  PgNotifyHealthIndicator,
  PgNotifyModule,
} from 'nest-pg-notify';
import type { PgNotifyModuleOptions, PgNotifyState } from 'nest-pg-notify';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import * as z from 'zod';
import { appSuite } from '../support/app/app-suite.js';
import { failureOf } from '../support/failures.js';
import { listeningBackends } from '../support/backends.js';
import { Recorder } from '../support/recorder.js';

const calls: string[] = [];

/** Wants to be called for everything. */
@Injectable()
class Eager {
  @OnPgNotify('a')
  handle(): void {
    calls.push('handle');
  }

  @OnPgGap('a')
  reload(): void {
    calls.push('reload');
  }

  @OnPgWakeUp('a', { fallbackPollInterval: 1, pollInterval: 1 })
  work(): void {
    calls.push('work');
  }
}

@Injectable()
class Misnamed {
  @OnPgNotify('a', { registration: 'nowhere' })
  handle(): void {
    calls.push('handle');
  }
}

afterEach(() => {
  calls.length = 0;
});

describe('a registration with enabled: false', () => {
  const suite = appSuite();
  let server: Server;
  let connections = 0;

  beforeAll(async () => {
    server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    suite.cleanup(async () => {
      server.close();
      await once(server, 'close');
    });
  });

  afterEach(() => {
    expect(connections).toBe(0);
  });

  /** Leads to the server that counts. */
  function options(): PgNotifyModuleOptions {
    const { port } = server.address() as AddressInfo;
    const connection = `postgres://127.0.0.1:${port}/database`;
    return { connection, publisher: { connection }, enabled: false };
  }

  it('opens no connection and calls no handler, and does everything else as far as it can', async () => {
    const { app, service } = await suite.create({ ...options(), providers: [Eager] });
    const completed: string[] = [];
    service.listen('a').subscribe({ complete: () => completed.push('listen') });
    service.listen('b').subscribe().unsubscribe();
    service.gaps('a').subscribe({ complete: () => completed.push('gaps of a channel') });
    service.gaps().subscribe({ complete: () => completed.push('gaps') });
    service.errors$.subscribe({ complete: () => completed.push('errors') });
    const states: PgNotifyState[] = [];
    service.status$.subscribe({
      next: ({ state }) => states.push(state),
      complete: () => completed.push('status'),
    });
    const loads = new Recorder<number>();
    service
      .liveQuery('a', () => loads.items.length, { fallbackPollInterval: 1 })
      .subscribe({ next: loads.push, complete: () => completed.push('live query') });
    await app.init();
    await service.ready();
    expect(service.status).toEqual({
      state: 'disabled',
      since: expect.any(Date),
      attempts: 0,
      gaps: 0,
      channels: { wanted: 1, acknowledged: 0 },
    });
    await expect(service.queueUsage()).rejects.toThrow('the option enabled of PgNotifyModule is false');
    await loads.until(20); // A wake-up would have polled as often.
    expect(loads.items.slice(0, 3)).toEqual([0, 1, 2]);
    expect(calls).toEqual([]);
    expect(service.stats()).toEqual({
      received: 0,
      discarded: 0,
      delivered: 0,
      failed: 0,
      rejected: 0,
      dropped: 0,
      gaps: 0,
      reconnects: 0,
      handlers: [],
    });
    await app.close();
    expect(completed.toSorted()).toEqual(['errors', 'gaps', 'gaps of a channel', 'listen', 'live query', 'status']);
    expect(states).toEqual(['disabled', 'closed']);
    await expect(service.ready()).rejects.toMatchObject({ kind: 'closed' });
    await expect(service.notify('a', 1)).rejects.toMatchObject({ kind: 'closed' });
  });

  it('rejects notify(), and names the option', async () => {
    const { service } = await suite.start(options());
    const errors: PgNotifyError[] = [];
    service.errors$.subscribe((error) => errors.push(error));
    const failure = await failureOf(service.notify('a', 1));
    expect(failure).toMatchObject({ kind: 'publish', outcome: 'not-sent', channel: 'a' });
    expect(failure.message).toContain('the option enabled of PgNotifyModule is false');
    expect(errors).toEqual([failure]);
    const Checked = definePgChannel('a', { schema: z.number() });
    await expect(service.notify(Checked, 'one' as never)).rejects.toMatchObject({ kind: 'payload' });
    await expect(service.notify('x'.repeat(64))).rejects.toMatchObject({ kind: 'channel' });
  });

  it('sends nothing in a transaction of the caller either', async () => {
    const { service } = await suite.create(options());
    const statements: string[] = [];
    const executor = (text: string): Promise<void> => Promise.resolve(void statements.push(text));
    await expect(service.notify('a', 1, { executor })).rejects.toMatchObject({ kind: 'publish', outcome: 'not-sent' });
    expect(statements).toEqual([]);
  });

  it('is healthy, so that no load balancer takes the instance out, until it is closed', async () => {
    const { app } = await suite.start({ ...options(), imports: [TerminusModule] });
    const health = app.get(PgNotifyHealthIndicator);
    const { status, details } = await app.get(HealthCheckService).check([() => health.isHealthy()]);
    expect(status).toBe('ok');
    expect(details).toEqual({
      pg_notify: {
        status: 'up',
        state: 'disabled',
        since: expect.any(String),
        channels: { wanted: 0, acknowledged: 0 },
      },
    });
    await app.close();
    expect((await health.isHealthy()).pg_notify).toMatchObject({ status: 'down', state: 'closed' });
  });

  it.each([
    ['undefined', undefined],
    ['empty', ''],
    ['no URL', 'database'],
  ])('takes a connection setting that is %s', async (_what, connection) => {
    const { service } = await suite.start({ connection: connection as string, enabled: false });
    expect(service.status.state).toBe('disabled');
  });

  it('checks the decorators nevertheless', async () => {
    const { app } = await suite.create({ ...options(), providers: [Misnamed] });
    await expect(app.init()).rejects.toThrow(`names the registration 'nowhere', which does not exist`);
  });
});

describe('a registration with handlers: false', () => {
  const suite = appSuite();

  it('ignores decorated methods, wrong ones too, while streams work', async () => {
    const { service } = await suite.start({ handlers: false, providers: [Eager, Misnamed] });
    expect(service.status.channels).toEqual({ wanted: 0, acknowledged: 0 });
    const seen = new Recorder<unknown>();
    service.gaps('a').subscribe(({ reason }) => seen.push(reason));
    service.listen('a').subscribe(({ payload }) => seen.push(payload));
    const loads = new Recorder<unknown>();
    service.liveQuery('a', () => seen.items.length).subscribe(loads.push);
    await service.ready();
    await loads.until(1);
    await service.notify('a', 1);
    expect(await seen.until(2)).toEqual(['start', 1]);
    await loads.until((items) => items.includes(2));
    expect(calls).toEqual([]);
    expect(service.stats().handlers).toEqual([]);
  });

  it('does not affect the handlers of another registration', async () => {
    @Injectable()
    class Elsewhere {
      @OnPgNotify('a')
      handle(): void {
        calls.push('handle');
      }

      @OnPgNotify('a', { registration: 'other' })
      handleOther(): void {
        calls.push('handle other');
      }
    }
    const { app, service } = await suite.createOf({
      imports: [
        PgNotifyModule.forRoot({ connection: suite.database.url }),
        PgNotifyModule.forRoot({ name: 'other', connection: suite.database.url, handlers: false }),
      ],
      providers: [Elsewhere],
    });
    await app.init();
    const seen = new Recorder<unknown>();
    service.listen('a').subscribe(seen.push);
    expect(await listeningBackends(suite.database)).toHaveLength(2);
    await service.notify('a', 1);
    await seen.until(1);
    await app.close(); // Lets handlers finish.
    expect(calls).toEqual(['handle']);
  });
});

describe('the options of a registration', () => {
  const suite = appSuite({ bus: true });

  it.each([
    [{ enabled: 'false' }, `The option enabled of PgNotifyModule must be true or false, not 'false'.`],
    [{ enabled: 0 }, 'The option enabled of PgNotifyModule must be true or false, not 0.'],
    [{ handlers: 'false' }, `The option handlers of PgNotifyModule must be false or an object, not 'false'.`],
    [{ handlers: true }, 'The option handlers of PgNotifyModule must be false or an object, not true.'],
    [{ deliveryCheck: 'off' }, `The option deliveryCheck of PgNotifyModule must be false or an object, not 'off'.`],
    [{ startup: 'background' }, `The option startup of PgNotifyModule must be an object, not 'background'.`],
    [{ publisher: 'postgres://a' }, 'The option publisher of PgNotifyModule must be an object, not this text.'],
    [
      { handlers: { bufferSize: 0 } },
      'The option handlers.bufferSize of PgNotifyModule must be an integer of at least 1, not 0.',
    ],
    [
      { handlers: { globalEnhancers: 'true' } },
      `The option handlers.globalEnhancers of PgNotifyModule must be true or false, not 'true'.`,
    ],
  ])('are refused by name when their type is wrong: %j', async (wrong, message) => {
    const options = { connection: 'postgres://127.0.0.1:1/none', enabled: false, ...wrong } as PgNotifyModuleOptions;
    await expect(suite.create(options)).rejects.toMatchObject({ kind: 'configuration', message });
  });
});
