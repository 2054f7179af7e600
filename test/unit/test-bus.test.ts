import { describe, expect, it } from '@jest/globals';
import { Injectable, Logger, Module } from '@nestjs/common';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import {
  getPgNotifyHealthToken,
  getPgNotifyTransportToken,
  InjectPgNotify,
  OnPgNotify,
  PgNotifyHealthIndicator,
  PgNotifyModule,
  PgNotifyService,
} from 'nest-pg-notify';
import { PgNotifyTestBus } from 'nest-pg-notify/testing';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Cache, Changes, Dashboard, FeatureModule } from '../support/cache-feature.js';
import { CapturingLogger } from '../support/capturing-logger.js';
import { cleanups } from '../support/cleanups.js';
import { failureOf } from '../support/failures.js';
import { leavingNothingOpen } from '../support/open-resources.js';

const ROOT = PgNotifyModule.forRoot({ connection: '' });

const { cleanup, use } = cleanups();

/** An application of exactly these modules, with these objects in the place of the transports of its registrations. */
async function create(
  metadata: ModuleMetadata,
  transports: Readonly<Record<string, object>>,
): Promise<INestApplication> {
  const logger = new CapturingLogger();
  const builder = Test.createTestingModule(metadata).setLogger(logger);
  for (const [name, transport] of Object.entries(transports)) {
    builder.overrideProvider(getPgNotifyTransportToken(name)).useValue(transport);
  }
  const app = use((await builder.compile()).createNestApplication());
  Logger.overrideLogger(logger);
  return app;
}

/** The same, initialised. */
async function start(
  metadata: ModuleMetadata,
  buses: Readonly<Record<string, PgNotifyTestBus>>,
): Promise<INestApplication> {
  return (await create(metadata, buses)).init();
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
    const app = await start({ imports: [AppModule] }, { default: bus });
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
      const app = await start({ imports: [ROOT, FeatureModule] }, { default: bus });
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

  it('serves one of several registrations if each has its own', async () => {
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
    cleanup(() => unsubscribe('nest-pg-notify.gap', onGap));
    const app = await start({ imports: [AppModule] }, { default: bus, analytics });
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

  it('refuses to serve two registrations at a time', async () => {
    const bus = new PgNotifyTestBus();
    const shared = /serves another registration: make one for each, and close an application/;
    const both = await create(
      { imports: [ROOT, PgNotifyModule.forRoot({ name: 'analytics', connection: '' })] },
      { default: bus, analytics: bus },
    );
    expect((await failureOf(both.init())).message).toMatch(shared);
    await both.close();

    const first = await start({ imports: [ROOT] }, { default: bus });
    expect((await failureOf(start({ imports: [ROOT] }, { default: bus }))).message).toMatch(shared);
    expect(first.get(PgNotifyService).status.state).toBe('listening');
  });

  it('begins anew with the next application, and keeps until then what the last one has sent', async () => {
    const bus = new PgNotifyTestBus();
    // One that is never started, and closed late, does not get in the way.
    const unused = await create({ imports: [ROOT] }, { default: bus });
    const first = await start({ imports: [ROOT, FeatureModule] }, { default: bus });
    await first.get(PgNotifyService).notify('evicted', 1);
    bus.simulateDisconnect();
    await first.close();
    bus.emit(Changes, { id: 0 });
    await bus.settled();
    expect(bus.sent('evicted')).toHaveLength(1);
    const second = await start({ imports: [ROOT, FeatureModule] }, { default: bus });
    await unused.close();
    await first.close();
    expect(bus.sent()).toEqual([]);
    bus.emit(Changes, { id: 2 });
    await bus.settled();
    expect(second.get(Cache).log).toEqual(['reload start', 'evict 2']);
  });

  it('refuses calls while no registration uses it, and anything else in its place', async () => {
    const bus = new PgNotifyTestBus();
    const unused = /serves no registration: override getPgNotifyTransportToken\(name\)/;
    for (const call of [
      () => bus.emit('a'),
      () => bus.simulateGap(),
      () => bus.simulateDisconnect(),
      () => bus.reconnect(),
      () => bus.settled(),
    ]) {
      expect((await failureOf(call)).message).toMatch(unused);
    }
    expect(bus.sent()).toEqual([]);
    const notABus = { default: {} };
    expect((await failureOf(create({ imports: [ROOT] }, notABus))).message).toMatch(
      /can be overridden by a PgNotifyTestBus only/,
    );
  });
});
