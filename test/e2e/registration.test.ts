import { beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import {
  definePgChannel,
  getPgNotifyToken,
  InjectPgChannel,
  InjectPgNotify,
  OnPgNotify,
  PgNotifyModule,
  PgNotifyService,
} from 'nest-pg-notify';
import type { PgNotification, PgNotifyModuleOptions, PgNotifyOptionsFactory } from 'nest-pg-notify';
import { Observable } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import { untilListeners } from '../support/backends.js';
import type { TestDatabase } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';

const suite = appSuite();
let analytics: TestDatabase;

beforeAll(async () => {
  analytics = await suite.createDatabase();
});

@Injectable()
class Settings {
  readonly url = suite.database.url;
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

@Injectable()
class OptionsFactory implements PgNotifyOptionsFactory {
  createPgNotifyOptions(): PgNotifyModuleOptions {
    return { connection: suite.database.config };
  }
}

@Module({ providers: [OptionsFactory], exports: [OptionsFactory] })
class OptionsModule {}

describe('PgNotifyModule', () => {
  const forms: [form: string, module: () => DynamicModule][] = [
    ['forRoot with a connection string', () => PgNotifyModule.forRoot({ connection: suite.database.url })],
    ['forRoot with settings', () => PgNotifyModule.forRoot({ connection: suite.database.config })],
    ['forRoot with a function', () => PgNotifyModule.forRoot({ connection: () => suite.database.config })],
    [
      'forRoot with an asynchronous function',
      () =>
        PgNotifyModule.forRoot({ connection: async () => Promise.resolve({ connectionString: suite.database.url }) }),
    ],
    [
      'forRootAsync with a factory',
      () =>
        PgNotifyModule.forRootAsync({
          imports: [SettingsModule],
          inject: [Settings],
          useFactory: async (settings: Settings) => Promise.resolve({ connection: settings.url }),
        }),
    ],
    ['forRootAsync with a class', () => PgNotifyModule.forRootAsync({ useClass: OptionsFactory })],
    [
      'forRootAsync with an existing provider',
      () => PgNotifyModule.forRootAsync({ imports: [OptionsModule], useExisting: OptionsFactory }),
    ],
  ];

  it.each(forms)('delivers to handlers when registered by %s', async (_form, module) => {
    const received = new Recorder<unknown>();

    @Injectable()
    class Handlers {
      @OnPgNotify('forms')
      handle(payload: unknown): void {
        received.push(payload);
      }
    }

    @Module({ providers: [Handlers] })
    class FeatureModule {}

    const { app, service } = await suite.createOf({ imports: [module(), FeatureModule] });
    await app.init();
    await service.notify('forms', 'delivered');
    expect(await received.until(1)).toEqual(['delivered']);
  });

  it('keeps two registrations apart, each with its database and its handlers', async () => {
    const received = new Recorder<string>();

    @Injectable()
    class Handlers {
      constructor(
        readonly own: PgNotifyService,
        @InjectPgNotify('analytics') readonly other: PgNotifyService,
      ) {}

      @OnPgNotify('events')
      byDefault(payload: string): void {
        received.push(`default got ${payload}`);
      }

      @OnPgNotify('events', { registration: 'analytics' })
      byName(payload: string): void {
        received.push(`analytics got ${payload}`);
      }
    }

    const { app } = await suite.createOf({
      imports: [
        PgNotifyModule.forRoot({ connection: suite.database.url }),
        PgNotifyModule.forRootAsync({ name: 'analytics', useFactory: () => ({ connection: analytics.url }) }),
      ],
      providers: [Handlers],
    });
    await app.init();
    const { own, other } = app.get(Handlers);
    expect(own).not.toBe(other);
    expect(app.get(getPgNotifyToken())).toBe(own);
    expect(app.get(getPgNotifyToken('analytics'))).toBe(other);
    await own.notify('events', 'from default');
    await other.notify('events', 'from analytics');
    expect((await received.until(2)).toSorted()).toEqual(['analytics got from analytics', 'default got from default']);
    expect(own.status.channels.wanted).toBe(1);
    expect(other.status.channels.wanted).toBe(1);
  });

  it('injects the streams of channels, by definition and by name, of each registration', async () => {
    const Orders = definePgChannel<{ id: number }>('orders');

    @Injectable()
    class Consumer {
      constructor(
        @InjectPgChannel(Orders) readonly orders$: Observable<PgNotification<{ id: number }>>,
        @InjectPgChannel('orders', 'analytics') readonly others$: Observable<PgNotification>,
      ) {}
    }

    @Module({
      imports: [PgNotifyModule.forFeature([Orders]), PgNotifyModule.forFeature(['orders'], 'analytics')],
      providers: [Consumer],
    })
    class FeatureModule {}

    const { app, service } = await suite.createOf({
      imports: [
        PgNotifyModule.forRoot({ connection: suite.database.url }),
        PgNotifyModule.forRoot({ name: 'analytics', connection: analytics.url }),
        FeatureModule,
      ],
    });
    const received = new Recorder<unknown>();
    const { orders$, others$ } = app.get(Consumer);
    orders$.subscribe(({ payload }) => received.push(payload.id));
    others$.subscribe(({ payload }) => received.push(payload));
    await app.init(); // What was subscribed to before the connection is listened to when init() resolves.
    await service.notify(Orders, { id: 1 });
    await received.until(1);
    await app.get<PgNotifyService>(getPgNotifyToken('analytics')).notify('orders', 'other');
    expect(await received.until(2)).toEqual([1, 'other']);
  });

  it('injects the service by its class for the default registration only', async () => {
    const named = (name: string): DynamicModule => PgNotifyModule.forRoot({ name, connection: analytics.url });
    const own = PgNotifyModule.forRoot({ connection: suite.database.url });
    const { app } = await suite.createOf({ imports: [named('first'), own, named('last')] });
    expect(app.get(PgNotifyService)).toBe(app.get(getPgNotifyToken()));

    @Injectable()
    class Consumer {
      constructor(readonly service: PgNotifyService) {}
    }
    const alone = suite.createOf({ imports: [named('only')], providers: [Consumer] });
    await expect(alone).rejects.toThrow("can't resolve dependencies of the Consumer");
  });

  it('stops the other registrations when one cannot start', async () => {
    const { app } = await suite.createOf({
      imports: [
        PgNotifyModule.forRoot({ connection: suite.database.url }),
        PgNotifyModule.forRoot({ name: 'broken', connection: { ...suite.database.config, password: 'wrong' } }),
      ],
    });
    await expect(app.init()).rejects.toMatchObject({ sqlState: '28P01' });
    await untilListeners(suite.database, 0);
  });

  it('sends to the database that publisher.connection names', async () => {
    const options = {
      connection: suite.database.url,
      publisher: { connection: analytics.url },
      deliveryCheck: false as const,
    };
    const [{ app, service }, elsewhere] = await Promise.all([
      suite.create(options),
      suite.create({ connection: analytics.url }),
    ]);
    const received = new Recorder<unknown>();
    elsewhere.service.listen('elsewhere').subscribe(({ payload }) => received.push(payload));
    await Promise.all([app.init(), elsewhere.app.init()]);
    await service.notify('elsewhere', 1);
    expect(await received.until(1)).toEqual([1]);
  });

  it('keeps two applications in one process apart', async () => {
    const apps = await Promise.all([suite.create(), suite.create()]);
    const received = apps.map(({ service }) => {
      const recorder = new Recorder<unknown>();
      service.listen('both').subscribe(({ payload }) => recorder.push(payload));
      return recorder;
    });
    await Promise.all(apps.map(({ app }) => app.init()));
    await apps[0].service.notify('both', 1);
    await Promise.all(received.map((recorder) => recorder.until(1)));
    await apps[0].app.close();
    await apps[1].service.notify('both', 2);
    expect(await received[1]!.until(2)).toEqual([1, 2]);
    expect(received[0]!.items).toEqual([1]);
  });
});

describe('a mistake in the wiring', () => {
  it('refuses two registrations of one name', async () => {
    const root = (): DynamicModule => PgNotifyModule.forRoot({ connection: suite.database.url });
    await expect(suite.createOf({ imports: [root(), root()] })).rejects.toThrow(
      /Two registrations have the name 'default'\..*PgNotifyModule\.forRoot\(\{ name: 'analytics', … \}\)/,
    );
  });

  it('refuses a decorator that names a registration which does not exist', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('events', { registration: 'analytic' })
      handle(): void {}
    }
    const { app, service } = await suite.create({ providers: [Handlers] });
    await expect(app.init()).rejects.toThrow(
      `@OnPgNotify('events') on Handlers.handle names the registration 'analytic', which does not exist. There is 'default'.`,
    );
    expect(service.status.state).toBe('closed');
  });

  it('refuses to inject the service of a registration that does not exist', async () => {
    @Injectable()
    class Consumer {
      constructor(@InjectPgNotify('nowhere') readonly service: PgNotifyService) {}
    }
    await expect(suite.create({ providers: [Consumer] })).rejects.toThrow(
      `PgNotifyModule.forRoot({ name: 'nowhere', … }) in the root module`,
    );
  });

  it('refuses to inject a channel that no forFeature registered', async () => {
    @Injectable()
    class Consumer {
      constructor(@InjectPgChannel('orders') readonly orders$: Observable<PgNotification>) {}
    }
    await expect(suite.create({ providers: [Consumer] })).rejects.toThrow(
      `PgNotifyModule.forFeature(['orders']) in the imports of this module`,
    );
  });

  it('refuses forFeature without forRoot', async () => {
    await expect(suite.createOf({ imports: [PgNotifyModule.forFeature(['orders'])] })).rejects.toThrow(
      'PgNotifyModule.forRoot({ … }) in the root module',
    );
  });

  it.each([
    [undefined, 'PgNotifyModule got no options'],
    [{}, 'The option connection of PgNotifyModule is empty or undefined. Is the environment variable'],
    [{ connection: 5 }, 'The option connection of PgNotifyModule must be a connection string'],
    [{ connection: '' }, 'The option connection of PgNotifyModule is empty or undefined.'],
    [
      { connection: { connectionString: undefined } },
      'The option connection.connectionString of PgNotifyModule is empty or undefined. Is the environment variable that it comes from set?',
    ],
    [{ connection: () => undefined }, 'The option connection of PgNotifyModule is empty or undefined.'],
    [{ connection: {}, publisher: { connection: '' } }, 'The option publisher.connection of PgNotifyModule is empty'],
    [{ connection: () => ({ connectionString: '' }) }, 'connection.connectionString of PgNotifyModule is empty'],
    [
      { connection: 'host=db.example password=secret' },
      'The option connection of PgNotifyModule must be the folder of a Unix socket or begin with postgres:// or postgresql://, as postgres://user:password@host:5432/database.',
    ],
    [
      { connection: () => ({ connectionString: 'db.example:5432' }) },
      'The option connection.connectionString of PgNotifyModule must be the folder of a Unix socket or begin with',
    ],
    [
      { connection: {}, connectTimeout: 0 },
      'connectTimeout of PgNotifyModule must be a number of milliseconds from 1 to',
    ],
    [
      { connection: {}, publisher: { timeout: 0 } },
      'publisher.timeout of PgNotifyModule must be a number of milliseconds from 1 to',
    ],
    [
      { connection: {}, connectTimeout: -1 },
      'The option connectTimeout of PgNotifyModule must be a number of milliseconds',
    ],
    [
      { connection: {}, startup: { mode: 'lazy' } },
      `startup.mode of PgNotifyModule must be one of 'wait', 'fail', 'background'`,
    ],
    [
      { connection: {}, reconnect: { minDelay: 5, maxDelay: 1 } },
      'reconnect.minDelay of PgNotifyModule (5 ms) is larger than',
    ],
  ])('refuses the options %j', async (options, message) => {
    const useFactory = (): PgNotifyModuleOptions => options as unknown as PgNotifyModuleOptions;
    const boot = async (): Promise<void> => {
      const { app } = await suite.createOf({ imports: [PgNotifyModule.forRootAsync({ useFactory })] });
      await app.init();
    };
    await expect(boot()).rejects.toThrow(message);
  });
});
