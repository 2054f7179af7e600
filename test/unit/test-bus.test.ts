import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Injectable, Logger, Module } from '@nestjs/common';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import type { TestingModuleBuilder } from '@nestjs/testing';
import {
  definePgChannel,
  getPgNotifyHealthToken,
  getPgNotifyToken,
  getPgNotifyTransportToken,
  InjectPgChannel,
  InjectPgNotify,
  OnPgGap,
  OnPgNotify,
  OnPgWakeUp,
  PgNotifyError,
  PgNotifyHealthIndicator,
  PgNotifyModule,
  PgNotifyService,
} from 'nest-pg-notify';
import type { PgGap, PgNotification, PgNotifyModuleOptions, PgWakeUp } from 'nest-pg-notify';
import { PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Observable } from 'rxjs';
import * as z from 'zod';
import { leavingNothingOpen } from '../support/fault-app.js';
import { CapturingLogger } from '../support/capturing-logger.js';
import { turn } from '../support/turn.js';
import { failureOf } from '../support/failures.js';

const Changes = definePgChannel<{ id: number }>('changes');

@Injectable()
class Cache {
  readonly log: string[] = [];

  constructor(private readonly pgNotify: PgNotifyService) {}

  @OnPgNotify(Changes)
  async evict({ id }: { id: number }): Promise<void> {
    await Promise.resolve();
    this.log.push(`evict ${id}`);
    await this.pgNotify.notify('evicted', id);
  }

  @OnPgGap(Changes)
  reload({ reason, since }: PgGap): void {
    this.log.push(since ? `reload ${reason}, once well` : `reload ${reason}`);
  }
}

@Controller()
class Dashboard {
  constructor(@InjectPgChannel('evicted') readonly evicted$: Observable<PgNotification<number>>) {}
}

@Module({ imports: [PgNotifyModule.forFeature(['evicted'])], providers: [Cache], controllers: [Dashboard] })
class FeatureModule {}

const apps: INestApplication[] = [];

afterEach(async () => {
  jest.useRealTimers();
  for (const app of apps.splice(0)) await app.close();
});

async function init(builder: TestingModuleBuilder): Promise<INestApplication> {
  const logger = new CapturingLogger();
  const app = (await builder.setLogger(logger).compile()).createNestApplication();
  Logger.overrideLogger(logger);
  apps.push(app);
  return app.init();
}

/** An application of one registration on a bus. */
function initOn(bus: PgNotifyTestBus, metadata: ModuleMetadata = {}): Promise<INestApplication> {
  const imports = [PgNotifyModule.forRoot({} as PgNotifyModuleOptions), ...(metadata.imports ?? [])];
  const builder = Test.createTestingModule({ ...metadata, imports });
  return init(builder.overrideProvider(getPgNotifyTransportToken()).useValue(bus));
}

describe('PgNotifyTestBus', () => {
  it.each([
    ['without options', () => PgNotifyModule.forRoot(undefined as never)],
    ['without a connection', () => PgNotifyModule.forRoot({ connection: undefined as never })],
    ['with an empty connection string', () => PgNotifyModule.forRoot({ connection: { connectionString: '' } })],
    ['with a server that is not there', () => PgNotifyModule.forRoot({ connection: 'postgres://127.0.0.1:1/none' })],
    ['with enabled: false', () => PgNotifyModule.forRoot({ connection: '', enabled: false })],
    [
      'with forRootAsync',
      () => PgNotifyModule.forRootAsync({ useFactory: () => ({ connection: undefined as never }) }),
    ],
  ])('takes the place of PostgreSQL in a whole application %s', async (_how, root) => {
    @Module({ imports: [root(), FeatureModule, TerminusModule] })
    class AppModule {}

    const bus = new PgNotifyTestBus();
    const builder = Test.createTestingModule({ imports: [AppModule] });
    const app = await init(builder.overrideProvider(getPgNotifyTransportToken()).useValue(bus));
    const evicted: number[] = [];
    app.get(Dashboard).evicted$.subscribe(({ payload }) => evicted.push(payload));
    bus.emit(Changes, { id: 7 });
    await bus.settled();
    expect(app.get(Cache).log).toEqual(['reload start', 'evict 7']);
    expect(bus.sent()).toEqual([{ channel: 'evicted', raw: '7', payload: 7 }]);
    expect(evicted).toEqual([7]);
    expect((await app.get(PgNotifyHealthIndicator).isHealthy()).pg_notify).toMatchObject({ status: 'up' });
  });

  it('leaves nothing open', () =>
    leavingNothingOpen(async () => {
      const bus = new PgNotifyTestBus();
      const app = await initOn(bus, { imports: [FeatureModule] });
      app
        .get(PgNotifyService)
        .liveQuery('changes', () => 1)
        .subscribe();
      bus.emit(Changes, { id: 7 });
      bus.simulateDisconnect();
      await bus.settled();
      await app.close();
      expect(bus.sent()).toHaveLength(1);
    }));

  it('serves one of several registrations, each has its own', async () => {
    @Injectable()
    class Both {
      readonly log: string[] = [];

      constructor(
        private readonly own: PgNotifyService,
        @InjectPgNotify('analytics') private readonly analytics: PgNotifyService,
      ) {}

      @OnPgNotify('a')
      async handle(payload: string): Promise<void> {
        this.log.push(`own ${payload}`);
        await this.analytics.notify('b', payload);
      }

      @OnPgNotify('a', { registration: 'analytics' })
      async handleAnalytics(payload: string): Promise<void> {
        this.log.push(`analytics ${payload}`);
        await this.own.notify('c', payload);
      }
    }

    @Module({
      imports: [
        PgNotifyModule.forRoot({ connection: '' }),
        PgNotifyModule.forRootAsync({ name: 'analytics', useFactory: () => ({ connection: '' }) }),
      ],
      providers: [Both],
    })
    class AppModule {}

    const [bus, analytics] = [new PgNotifyTestBus(), new PgNotifyTestBus()];
    const gaps: unknown[] = [];
    const onGap = (event: unknown): void => void gaps.push(event);
    subscribe('nest-pg-notify.gap', onGap);
    const app = await init(
      Test.createTestingModule({ imports: [AppModule] })
        .overrideProvider(getPgNotifyTransportToken())
        .useValue(bus)
        .overrideProvider(getPgNotifyTransportToken('analytics'))
        .useValue(analytics),
    );
    unsubscribe('nest-pg-notify.gap', onGap);
    bus.emit('a', 'one');
    await bus.settled();
    analytics.emit('a', 'two');
    await analytics.settled();
    analytics.simulateDisconnect();
    expect(app.get(Both).log).toEqual(['own one', 'analytics two']);
    expect([bus.sent(), analytics.sent()]).toMatchObject([[{ channel: 'c' }], [{ channel: 'b' }]]);
    const health = (name?: string) => app.get<PgNotifyHealthIndicator>(getPgNotifyHealthToken(name)).isHealthy();
    expect([await health(), await health('analytics')]).toMatchObject([
      { pg_notify: { status: 'up' } },
      { pg_notify: { status: 'down' } },
    ]);
    // Each reports under the name of the registration that it serves.
    expect(gaps).toMatchObject([{ registration: 'default' }, { registration: 'analytics' }]);
  });

  it('serves one registration at a time, and says so', async () => {
    const bus = new PgNotifyTestBus();
    const shared = /serves another registration: make one for each, and close an application/;
    const builder = Test.createTestingModule({
      imports: [
        PgNotifyModule.forRoot({ connection: '' }),
        PgNotifyModule.forRoot({ name: 'analytics', connection: '' }),
      ],
    });
    for (const name of [undefined, 'analytics']) {
      builder.overrideProvider(getPgNotifyTransportToken(name)).useValue(bus);
    }
    expect((await failureOf(() => init(builder))).message).toMatch(shared);
    await apps.pop()?.close();

    const first = await initOn(bus);
    expect((await failureOf(() => initOn(bus))).message).toMatch(shared);
    expect(first.get(PgNotifyService).status.state).toBe('listening');
  });

  it('begins anew with the next application, and keeps what the last one has sent until then', async () => {
    const bus = new PgNotifyTestBus();
    // One that is never started, and closed late, does not get in the way.
    const unused = await Test.createTestingModule({ imports: [PgNotifyModule.forRoot({ connection: '' })] })
      .overrideProvider(getPgNotifyTransportToken())
      .useValue(bus)
      .compile();
    const first = await initOn(bus, { imports: [FeatureModule] });
    await first.get(PgNotifyService).notify('evicted', 1);
    bus.simulateDisconnect();
    await first.close();
    bus.emit(Changes, { id: 0 });
    await bus.settled();
    expect(bus.sent('evicted')).toHaveLength(1);
    const second = await initOn(bus, { imports: [FeatureModule] });
    await unused.close();
    await first.close();
    expect(bus.sent()).toEqual([]);
    bus.emit(Changes, { id: 2 });
    await bus.settled();
    expect(second.get(Cache).log).toEqual(['reload start', 'evict 2']);
  });

  it('says so when no registration uses it, or when something else is in its place', async () => {
    const bus = new PgNotifyTestBus();
    const unused = /serves no registration: override getPgNotifyTransportToken\(name\)/;
    for (const use of [
      () => bus.emit('a'),
      () => bus.simulateGap(),
      () => bus.simulateDisconnect(),
      () => bus.reconnect(),
      () => bus.settled(),
    ]) {
      expect((await failureOf(use)).message).toMatch(unused);
    }
    expect(bus.sent()).toEqual([]);
    const builder = Test.createTestingModule({ imports: [PgNotifyModule.forRoot({ connection: '' })] });
    builder.overrideProvider(getPgNotifyTransportToken()).useValue({});
    expect((await failureOf(() => builder.compile())).message).toMatch(/can be overridden by a PgNotifyTestBus only/);
  });

  it('simulates every gap of a connection, for one channel or for all', async () => {
    const bus = new PgNotifyTestBus();
    const app = await initOn(bus);
    const gaps: string[] = [];
    const tell = ({ channel, reason, since, until }: PgGap): void => {
      gaps.push(`${channel} ${reason}${since && since <= until ? ' since' : ''}`);
    };
    for (const channel of ['changes', 'other']) app.get(PgNotifyService).gaps(channel).subscribe(tell);
    bus.simulateGap();
    bus.simulateGap({ channel: Changes, reason: 'relisten' });
    bus.simulateGap({ channel: 'other', reason: 'undelivered' });
    bus.simulateGap({ channel: 'unheard' });
    bus.simulateDisconnect();
    bus.simulateGap();
    bus.simulateDisconnect();
    bus.reconnect();
    bus.reconnect();
    expect(gaps).toEqual([
      'changes start',
      'other start',
      'changes reconnect since',
      'other reconnect since',
      'changes relisten since',
      'other undelivered since',
      'changes reconnect since',
      'other reconnect since',
    ]);
    expect(app.get(PgNotifyService).stats()).toMatchObject({ gaps: 8, reconnects: 1 });
  });

  it('refuses to emit what PostgreSQL would refuse, and emits what the schema would refuse', async () => {
    const Checked = definePgChannel('changes', { schema: z.object({ id: z.number() }) });
    const bus = new PgNotifyTestBus();
    const app = await initOn(bus, { imports: [FeatureModule] });
    const errors: PgNotifyError[] = [];
    app.get(PgNotifyService).errors$.subscribe((error) => errors.push(error));
    const checked: unknown[] = [];
    app
      .get(PgNotifyService)
      .listen(Checked)
      .subscribe(({ payload }) => checked.push(payload));
    expect(() => bus.emit('x'.repeat(64))).toThrow('is 64 bytes long; PostgreSQL allows 63');
    expect(() => bus.emit(Changes, 'x'.repeat(8_000))).toThrow('PostgreSQL allows 7999');
    expect(() => bus.emit(definePgChannel('changes', { codec: 'text' }), '\0')).toThrow('NUL');
    bus.emit(Checked, { id: 'seven' });
    bus.emit(Checked, { id: 7 });
    await bus.settled();
    expect(checked).toEqual([{ id: 7 }]);
    expect(errors).toMatchObject([{ kind: 'payload', channel: 'changes' }]);
  });

  it('knows what was sent: to a channel as its definition has it, with the executor that it was given', async () => {
    const Texts = definePgChannel('texts', { codec: 'text' });
    const Dates = definePgChannel('dates', { schema: z.string().transform((text) => new Date(text)) });
    const bus = new PgNotifyTestBus();
    const service = (await initOn(bus)).get(PgNotifyService);
    const executor = jest.fn(() => Promise.reject(new Error('It must not be called.')));
    await service.notify(Texts, '12');
    await service.notify(Dates, '2026-01-01', { executor });
    await service.notify('nothing');
    await expect(service.notify(Dates, 7 as never)).rejects.toMatchObject({ kind: 'payload' });
    expect(bus.sent()).toEqual([
      { channel: 'texts', raw: '12', payload: 12 },
      { channel: 'dates', raw: '"2026-01-01"', payload: '2026-01-01', executor },
      { channel: 'nothing', raw: '', payload: undefined },
    ]);
    expect(bus.sent(Texts)).toEqual([{ channel: 'texts', raw: '12', payload: '12' }]);
    const input: string | undefined = bus.sent(Dates)[0]?.payload; // What is sent is the schema's input.
    expect(input).toBe('2026-01-01');
    expect(executor).not.toHaveBeenCalled();
  });

  it('has settled when handlers, gap methods, woken methods and live queries have, whatever they cause', async () => {
    const log: string[] = [];

    @Injectable()
    class Chain {
      constructor(private readonly pgNotify: PgNotifyService) {}

      @OnPgNotify('first')
      first(): void {
        log.push('first');
        void this.pgNotify.notify('second'); // Nobody waits for it.
      }

      @OnPgNotify('second', { batch: { maxSize: 10, maxWait: 1 } })
      async second(payloads: unknown[]): Promise<void> {
        await Promise.resolve();
        log.push(`second ${payloads.length}`);
        await this.pgNotify.notify('jobs');
      }

      @OnPgWakeUp('jobs')
      async work({ reason }: PgWakeUp): Promise<boolean> {
        await turn();
        if (reason !== 'notification' && reason !== 'again') return false;
        log.push(`work ${reason}`);
        if (reason === 'again') await this.pgNotify.notify('summary');
        return reason === 'notification';
      }
    }
    const bus = new PgNotifyTestBus();
    const app = await initOn(bus, { providers: [Chain] });
    const load = async (): Promise<number> => {
      await turn();
      return log.push('load');
    };
    app.get(PgNotifyService).liveQuery('summary', load).subscribe();
    await bus.settled();
    log.length = 0;
    bus.emit('first');
    await bus.settled();
    expect(log).toEqual(['first', 'second 1', 'work notification', 'work again', 'load']);
  });

  it('has settled only when what a load has sent, and nobody waits for, is handled', async () => {
    const log: string[] = [];

    @Injectable()
    class Late {
      @OnPgNotify('loaded')
      async handle(): Promise<void> {
        for (let left = 5; left > 0; left -= 1) await turn();
        log.push('handled');
      }
    }
    const bus = new PgNotifyTestBus();
    const service = (await initOn(bus, { providers: [Late] })).get(PgNotifyService);
    const load = async (): Promise<void> => {
      await turn();
      void service.notify('loaded');
    };
    service.liveQuery('orders', load).subscribe();
    await bus.settled();
    expect(log).toEqual(['handled']);
    void service.notify('loaded');
    await bus.settled();
    expect(log).toEqual(['handled', 'handled']);
  });

  it('delivers in turn what is emitted during a delivery, and what is sent after the call', async () => {
    const bus = new PgNotifyTestBus();
    const service = (await initOn(bus)).get(PgNotifyService);
    const log: unknown[] = [];
    service.listen('a').subscribe(({ payload }) => {
      if (payload === 1) bus.emit('a', 2);
    });
    service.listen('a').subscribe(({ payload }) => log.push(payload));
    bus.emit('a', 1);
    expect(log).toEqual([1, 2]);
    const sent = service.notify('a', 3);
    log.push('called');
    await sent;
    expect(log).toEqual([1, 2, 'called', 3]);
  });

  it('has settled although something has failed and will be tried again', async () => {
    @Injectable()
    class Failing {
      @OnPgWakeUp('jobs', { errorDelay: 3_600_000 })
      work(): never {
        throw new Error('on purpose');
      }
    }
    const bus = new PgNotifyTestBus();
    const app = await initOn(bus, { providers: [Failing] });
    const load = (): never => {
      throw new Error('on purpose');
    };
    app.get(PgNotifyService).liveQuery('jobs', load).subscribe();
    await bus.settled();
    expect(app.get(PgNotifyService).stats().handlers).toMatchObject([{ kind: 'wake-up', failed: 1 }]);
  });

  it('works under fake timers, which then bring polls and retries about', async () => {
    jest.useFakeTimers();
    const log: string[] = [];

    @Injectable()
    class Handlers {
      @OnPgNotify('burst')
      burst(payload: number): void {
        if (payload === 5_000) log.push('burst');
      }

      @OnPgWakeUp('jobs')
      work({ reason }: PgWakeUp): void {
        log.push(reason);
        if (reason === 'notification') throw new Error('on purpose');
      }

      @OnPgNotify('batches', { batch: { maxSize: 10, maxWait: 500 } })
      batch(payloads: unknown[]): void {
        log.push(`batch ${payloads.length}`);
      }
    }
    const bus = new PgNotifyTestBus();
    const app = await initOn(bus, { providers: [Handlers] });
    await bus.settled();
    log.length = 0;
    for (let id = 1; id <= 5_000; id += 1) bus.emit('burst', id);
    await bus.settled();
    await jest.advanceTimersByTimeAsync(29_999);
    expect(log).toEqual(['burst']);
    await jest.advanceTimersByTimeAsync(1);
    expect(log).toEqual(['burst', 'poll']);
    bus.emit('jobs');
    await bus.settled();
    await jest.advanceTimersByTimeAsync(5_000);
    expect(log).toEqual(['burst', 'poll', 'notification', 'retry']);
    bus.simulateDisconnect();
    await jest.advanceTimersByTimeAsync(3_000);
    // The last run is more than a second ago: the first of them comes at once.
    expect(log.slice(4)).toEqual(['poll', 'poll', 'poll', 'poll']);
    bus.reconnect();
    bus.emit('batches');
    await jest.advanceTimersByTimeAsync(500);
    await bus.settled();
    expect(log.at(-1)).toBe('batch 1');
    await app.close();
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('PgNotifyTestingModule', () => {
  it('stands for the root where one feature is tested, and hands out its bus', async () => {
    const app = await init(Test.createTestingModule({ imports: [PgNotifyTestingModule.forRoot(), FeatureModule] }));
    const bus = app.get(PgNotifyTestBus);
    bus.emit(Changes, { id: 1 });
    await bus.settled();
    expect(app.get(Cache).log).toEqual(['reload start', 'evict 1']);
    expect(app.get(PgNotifyHealthIndicator)).toBeInstanceOf(PgNotifyHealthIndicator);
  });

  it('stands for several, by name', async () => {
    const imports = [PgNotifyTestingModule.forRoot(), PgNotifyTestingModule.forRoot({ name: 'analytics' })];
    const app = await init(Test.createTestingModule({ imports }));
    const analytics = app.get<PgNotifyTestBus>(getPgNotifyTransportToken('analytics'));
    const bus = app.get(PgNotifyTestBus);
    expect(analytics).not.toBe(bus);
    await app.get<PgNotifyService>(getPgNotifyToken('analytics')).notify('a', 1);
    expect([bus.sent(), analytics.sent()]).toMatchObject([[], [{ channel: 'a' }]]);
  });

  it('gives each module that it is imported into a bus of its own, and takes the options of handlers', async () => {
    const imports = [PgNotifyTestingModule.forRoot({ handlers: false }), FeatureModule];
    const [first, second] = [
      await init(Test.createTestingModule({ imports })),
      await init(Test.createTestingModule({ imports })),
    ];
    expect(first.get(PgNotifyTestBus)).not.toBe(second.get(PgNotifyTestBus));
    first.get(PgNotifyTestBus).emit(Changes, { id: 1 });
    await first.get(PgNotifyTestBus).settled();
    expect(first.get(Cache).log).toEqual([]);
  });

  it('cannot be combined with the root that it stands for', async () => {
    const imports = [PgNotifyTestingModule.forRoot(), PgNotifyModule.forRoot({ connection: '' })];
    expect(
      (await failureOf(() => Test.createTestingModule({ imports }).setLogger(new CapturingLogger()).compile())).message,
    ).toMatch(/The option connection of PgNotifyModule is empty|Two registrations have the name 'default'/);
  });
});
