import { describe, expect, it } from '@jest/globals';
import type { DynamicModule } from '@nestjs/common';
import {
  definePgChannel,
  OnPgGap,
  OnPgNotify,
  OnPgWakeUp,
  PgNotifyError,
  PgNotifyHealthIndicator,
  PgNotifyModule,
  PgNotifyService,
} from 'nest-pg-notify';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import { appSuite } from '../support/app/app-suite.js';

/** What JavaScript, a cast or the result of a factory may hold: the compiler sees none of it. */
const unchecked = (value: unknown): never => value as never;

const suite = appSuite({ bus: true });

const CONNECTION = { connection: 'postgres://nobody@localhost:1/nothing', enabled: false };

async function failureOf(...modules: readonly DynamicModule[]): Promise<unknown> {
  const start = async (): Promise<unknown> => {
    const { app } = await suite.createOf({ imports: [...modules] });
    await app.init();
    return 'it started';
  };
  return start().catch((error: unknown) => error);
}

/** The error of an unknown option. */
const refusal = (message: string): object =>
  expect.objectContaining({ kind: 'configuration', permanent: true, message });

describe('the options of PgNotifyModule', () => {
  const WRONG: [options: object, message: string][] = [
    [{ startUp: {} }, 'PgNotifyModule has no option startUp. Did you mean startup?'],
    [{ shutdownTimout: 5 }, 'PgNotifyModule has no option shutdownTimout. Did you mean shutdownTimeout?'],
    [{ startup: { tiemout: 5 } }, 'PgNotifyModule has no option startup.tiemout. Did you mean startup.timeout?'],
    [
      { reconnect: { delay: 5 } },
      'PgNotifyModule has no option reconnect.delay. The options of reconnect are minDelay, maxDelay and stableAfter.',
    ],
    [
      { heartbeat: { intervall: 5 } },
      'PgNotifyModule has no option heartbeat.intervall. Did you mean heartbeat.interval?',
    ],
    [
      { deliveryCheck: { onStartfailure: 'warn' } },
      'PgNotifyModule has no option deliveryCheck.onStartfailure. Did you mean deliveryCheck.onStartFailure?',
    ],
    [
      { publisher: { conection: {} } },
      'PgNotifyModule has no option publisher.conection. Did you mean publisher.connection?',
    ],
    [
      { handlers: { buffersize: 1 } },
      'PgNotifyModule has no option handlers.buffersize. Did you mean handlers.bufferSize?',
    ],
    [{ bufferSize: 1 }, 'PgNotifyModule has no option bufferSize. Did you mean handlers.bufferSize?'],
    [
      { heartbeat: { maxDelay: 1 } },
      'PgNotifyModule has no option heartbeat.maxDelay. Did you mean reconnect.maxDelay?',
    ],
    [
      { retries: 3 },
      'PgNotifyModule has no option retries. Its options are connection, startup, reconnect, connectTimeout, heartbeat, deliveryCheck, publisher, handlers, enabled and shutdownTimeout.',
    ],
  ];

  it.each(WRONG)(
    'reject the bootstrap for a name that does not exist, at any level, with the nearest one: %j',
    async (options, message) => {
      const given = unchecked({ ...CONNECTION, ...options }) as PgNotifyModuleOptions;
      expect(await failureOf(PgNotifyModule.forRoot(given))).toEqual(refusal(message));
      expect(await failureOf(PgNotifyModule.forRootAsync({ useFactory: () => given }))).toEqual(refusal(message));
    },
  );

  it('are refused beside useFactory as well, and so is a name among what a factory returns', async () => {
    const useFactory = (): PgNotifyModuleOptions => CONNECTION;
    expect(() => PgNotifyModule.forRootAsync(unchecked({ nme: 'analytics', useFactory }))).toThrow(
      'PgNotifyModule.forRootAsync() has no option nme. Did you mean name?',
    );
    const named = (): PgNotifyModuleOptions => unchecked({ ...CONNECTION, name: 'analytics' });
    expect(await failureOf(PgNotifyModule.forRootAsync({ useFactory: named }))).toEqual(
      refusal(
        'The option name of PgNotifyModule.forRootAsync() must stand beside useFactory, not among the options that it returns: a name is fixed before they are known.',
      ),
    );
  });
});

/** A module whose only provider has a method with this decorator. */
function handling(decorator: unknown): DynamicModule {
  class Handlers {
    handle(): void {}
  }
  const descriptor = Object.getOwnPropertyDescriptor(Handlers.prototype, 'handle')!;
  (decorator as MethodDecorator)(Handlers.prototype, 'handle', descriptor);
  return { module: Handlers, providers: [Handlers] };
}

describe('the options of a decorator', () => {
  const WRONG: [message: string, decorator: unknown][] = [
    [
      "@OnPgNotify('orders') on Handlers.handle has no option concurency. Did you mean concurrency?",
      OnPgNotify('orders', unchecked({ concurency: 2 })),
    ],
    [
      "@OnPgNotify('orders') on Handlers.handle has no option batch.size. The options of batch are maxSize and maxWait.",
      OnPgNotify('orders', unchecked({ batch: { maxSize: 2, size: 2 } })),
    ],
    [
      "@OnPgNotify('orders') on Handlers.handle has no option maxSize. Did you mean batch.maxSize?",
      OnPgNotify('orders', unchecked({ maxSize: 2 })),
    ],
    [
      "@OnPgGap('orders') on Handlers.handle has no option reason. Did you mean reasons?",
      OnPgGap('orders', unchecked({ reason: ['start'] })),
    ],
    [
      "@OnPgGap('orders') on Handlers.handle has no option retries. Its options are registration, timeout and reasons.",
      OnPgGap('orders', unchecked({ retries: 1 })),
    ],
    [
      "@OnPgWakeUp('orders') on Handlers.handle has no option pollIntervall. Did you mean pollInterval?",
      OnPgWakeUp('orders', unchecked({ pollIntervall: 1 })),
    ],
    [
      "@OnPgWakeUp('orders') on Handlers.handle has no option registraton. Did you mean registration?",
      OnPgWakeUp('orders', unchecked({ registraton: 'analytics' })),
    ],
  ];

  it.each<[message: string, decorator: unknown]>([
    [
      "The option registration of @OnPgNotify('orders') on Handlers.handle must be a non-empty string, not Symbol(analytics).",
      OnPgNotify('orders', unchecked({ registration: Symbol('analytics') })),
    ],
    [
      "The option registration of @OnPgWakeUp('orders') on Handlers.handle must be a non-empty string, not an object.",
      OnPgWakeUp('orders', unchecked({ registration: Object.create(null) })),
    ],
    [
      "@OnPgNotify('orders') on Handlers.handle takes its options as an object, not null.",
      OnPgNotify('orders', unchecked(null)),
    ],
    [
      "@OnPgGap('orders') on Handlers.handle takes its options as an object, not ['start'].",
      OnPgGap('orders', unchecked(['start'])),
    ],
    [
      "The option batch of @OnPgNotify('orders') on Handlers.handle must be an object, not [].",
      OnPgNotify('orders', unchecked({ batch: [] })),
    ],
  ])('reject the bootstrap for what cannot be read: %s', async (message, decorator) => {
    expect(await failureOf(PgNotifyModule.forRoot(CONNECTION), handling(decorator))).toEqual(refusal(message));
  });

  it.each(WRONG)('reject the bootstrap for a name that does not exist: %s', async (message, decorator) => {
    expect(await failureOf(PgNotifyModule.forRoot(CONNECTION), handling(decorator))).toEqual(refusal(message));
  });
});

describe('the options of a call', () => {
  it('throw from liveQuery(), which names the query and not the module', async () => {
    const { app } = await suite.createOf({ imports: [PgNotifyTestingModule.forRoot()] });
    const service = app.get(PgNotifyService);
    const query = (options: object) => () => service.liveQuery('orders', () => 1, unchecked(options));
    expect(query({ mininterval: 5 })).toThrow(
      refusal('The live query of "orders" has no option mininterval. Did you mean minInterval?'),
    );
    expect(query({ minInterval: -1 })).toThrow(
      refusal(
        'The option minInterval of the live query of "orders" must be a number of milliseconds from 0 to 2147483647, not -1.',
      ),
    );
    expect(query({ onError: 'ignore' })).toThrow(
      refusal(`The option onError of the live query of "orders" must be one of 'keep', 'error', not 'ignore'.`),
    );
  });

  it('reject notify() and notifyMany() for a name that does not exist, before anything is sent', async () => {
    const { app } = await suite.createOf({ imports: [PgNotifyTestingModule.forRoot()] });
    const service = app.get(PgNotifyService);
    await expect(service.notify('orders', 1, unchecked({ executer: () => undefined }))).rejects.toEqual(
      refusal('notify() has no option executer. Did you mean executor?'),
    );
    await expect(service.notifyMany('orders', [1], unchecked({ client: {} }))).rejects.toEqual(
      refusal('notifyMany() has no option client. Its only option is executor.'),
    );
    expect(app.get(PgNotifyTestBus).sent()).toEqual([]);
  });

  it('throw from definePgChannel() for a name that does not exist', () => {
    expect(() => definePgChannel('orders', unchecked({ foldd: true }))).toThrow(
      refusal('The channel "orders" has no option foldd. Did you mean fold?'),
    );
    expect(() => definePgChannel('orders', unchecked({ codecs: 'text' }))).toThrow(/Did you mean codec\?/);
  });

  it('throw from notifyTrigger() and checkTrigger() for a name that does not exist, inside the table too', async () => {
    const options = { table: 'orders', channel: 'order_changes', key: 'id' };
    const misspelt = unchecked({ ...options, colums: ['price'] });
    const message = 'A trigger has no option colums. Did you mean columns?';
    expect(() => notifyTrigger(misspelt)).toThrow(refusal(message));
    await expect(checkTrigger(() => Promise.resolve([]), misspelt)).rejects.toEqual(refusal(message));
    expect(() => notifyTrigger(unchecked({ ...options, table: { shema: 'shop', name: 'orders' } }))).toThrow(
      refusal('A trigger has no option table.shema. Did you mean table.schema?'),
    );
  });

  it('are refused by the health indicator and by the test bus, if they do not exist', async () => {
    const { app } = await suite.createOf({ imports: [PgNotifyTestingModule.forRoot()] });
    await expect(app.get(PgNotifyHealthIndicator).isHealthy('pg', unchecked({ maxUsage: 1 }))).rejects.toEqual(
      refusal('isHealthy() has no option maxUsage. Its options are maxQueueUsage and blockedAfter.'),
    );
    const bus = app.get(PgNotifyTestBus);
    expect(() => bus.simulateGap(unchecked({ chanel: 'orders' }))).toThrow(
      refusal('simulateGap() has no option chanel. Did you mean channel?'),
    );
  });
});

describe('an error of kind configuration', () => {
  it('is permanent, whoever made it', () => {
    expect(new PgNotifyError('configuration', 'It is wrong.')).toMatchObject({ permanent: true });
    expect(new PgNotifyError('connection', 'It is lost.').permanent).toBeUndefined();
  });
});
