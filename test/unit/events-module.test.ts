import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Injectable, Module } from '@nestjs/common';
import type { ModuleMetadata, Type } from '@nestjs/common';
import { definePgChannel, OnPgNotify, PgNotifyError } from 'nest-pg-notify';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { getPgEventsToken, InjectPgEvents, OnPgEvent, PgEvents, PgEventsModule } from 'nest-pg-notify/events';
import type { OnPgEventOptions, PgEvent, PgEventContext, PgEventsOptions } from 'nest-pg-notify/events';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { failureOf } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';

interface Order {
  readonly id: number;
}

const OrderEvents = definePgChannel<Order>('orders');
const RefundEvents = definePgChannel<Order>('refunds');

const suite = appSuite({ bus: true });

afterEach(() => void jest.useRealTimers());

/** A class with one handler of orders with these options. */
function handlerWith(options: Partial<OnPgEventOptions>): Type {
  @Injectable()
  class Billing {
    @OnPgEvent('orders', options as OnPgEventOptions)
    charge(): void {}
  }
  return Billing;
}

function start(providers: readonly Type[], options: PgEventsOptions = {}): Promise<TestApp> {
  return suite.start({ imports: [PgEventsModule.forRoot(options)], providers: [...providers] });
}

describe('a method of @OnPgEvent()', () => {
  it('gets payload, event and context', async () => {
    const log = new Recorder<unknown[]>();

    @Injectable()
    class Billing {
      @OnPgEvent(OrderEvents, { consumer: 'billing' })
      charge(order: Order, event: PgEvent<Order>, context: PgEventContext): void {
        log.push([order, event, context]);
      }
    }
    const { app } = await start([Billing]);
    const id = await app
      .get(PgEvents)
      .publish(OrderEvents, { id: 7 }, { executor: false, key: '7', headers: { a: 'b' } });
    const [[order, event, context]] = (await log.until(1)) as [[Order, PgEvent, PgEventContext]];
    expect(order).toEqual({ id: 7 });
    expect(event).toMatchObject({ id, channel: 'orders', key: '7', payload: order, headers: { a: 'b' } });
    expect(event.publishedAt).toBeInstanceOf(Date);
    expect(context).toEqual({
      kind: 'event',
      channel: 'orders',
      registration: 'default',
      handler: 'Billing.charge',
      consumer: 'billing',
      attempt: 1,
      signal: expect.any(AbortSignal),
      tx: undefined,
      event,
    });
  });

  it('gets lists with the option batch, from several channels', async () => {
    const log = new Recorder<readonly unknown[]>();

    @Controller()
    class Relay {
      @OnPgEvent([OrderEvents, RefundEvents], { consumer: 'relay', batch: { maxSize: 10 } })
      forward(orders: Order[], events: PgEvent<Order>[], { kind, channel, events: same }: PgEventContext): void {
        log.push([orders.map(({ id }) => id), events.map((event) => event.channel), kind, channel, same!.length]);
      }
    }
    const { app, eventLog } = await suite.start({ imports: [PgEventsModule.forRoot()], controllers: [Relay] });
    eventLog!.store.publish({ channel: 'orders', payload: '{"id":1}' });
    await app.get(PgEvents).publish(RefundEvents, { id: 2 }, { executor: false });
    expect(await log.until(1)).toEqual([[[1, 2], ['orders', 'refunds'], 'events', 'orders, refunds', 2]]);
  });

  it('may have several consumers, each of which gets every event', async () => {
    const log = new Recorder<string>();

    @Injectable()
    class Both {
      @OnPgEvent(OrderEvents, { consumer: 'one' })
      @OnPgEvent(OrderEvents, { consumer: 'two' })
      handle(_: Order, __: PgEvent, { consumer }: PgEventContext): void {
        log.push(consumer);
      }
    }
    const { app, service } = await start([Both]);
    await app.get(PgEvents).publish(OrderEvents, { id: 1 }, { executor: false });
    expect([...(await log.until(2))].toSorted()).toEqual(['one', 'two']);
    expect(service.stats().handlers.map(({ kind, handler, channel }) => [kind, handler, channel])).toEqual([
      ['event', 'Both.handle', 'orders'],
      ['event', 'Both.handle', 'orders'],
    ]);
  });

  it('is woken by an event, and by a gap, because its wake-ups may be lost', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance', 'Date'] }); // So that it never polls.
    const log = new Recorder<unknown>();

    @Injectable()
    class Billing {
      @OnPgEvent('orders', { consumer: 'billing' })
      charge(id: number): void {
        log.push(id);
      }
    }
    const { app, eventLog } = await start([Billing]);
    await app.get(PgEvents).publish('orders', 1, { executor: false });
    await log.until(1);
    eventLog!.store.publish({ channel: 'orders', payload: '2' });
    suite.bus.simulateGap({ channel: 'nest_events' });
    expect(await log.until(2)).toEqual([1, 2]);
  });

  it('is logged when the application starts', async () => {
    const { logger } = await start([handlerWith({ consumer: 'billing' })]);
    expect(logger.texts('log')).toContainEqual(
      expect.stringContaining("Mapped @OnPgEvent('orders') to Billing.charge"),
    );
  });
});

describe('PgEventsModule', () => {
  it('publishes events, and refuses a call without a transaction', async () => {
    const { app, eventLog } = await start([]);
    const events = app.get(PgEvents);
    const ids = await events.publishMany(OrderEvents, [{ payload: { id: 1 }, key: '1' }, { payload: { id: 2 } }], {
      executor: false,
    });
    expect(eventLog!.store.events).toMatchObject([
      { id: ids[0], payload: '{"id":1}', key: '1' },
      { id: ids[1], payload: '{"id":2}', key: null },
    ]);
    expect((await failureOf(events.publish(OrderEvents, { id: 1 }))).message).toContain('publish() has no transaction');
  });

  it('takes the transaction of publisher.executor', async () => {
    const executor = async (): Promise<void> => undefined;
    const imports = [PgEventsModule.forRoot()];
    const { app, eventLog } = await suite.start({ imports, publisher: { executor: () => executor } });
    await app.get(PgEvents).publish(OrderEvents, { id: 1 });
    expect(eventLog!.executors).toEqual([executor]);
  });

  it('runs no method with consume: false', async () => {
    const { service, eventLog } = await start([handlerWith({ consumer: 'billing' })], { consume: false });
    expect(service.stats().handlers).toEqual([]);
    expect(await eventLog!.store.consumers()).toEqual([]);
  });

  it('runs no method if the registration has handlers: false', async () => {
    const imports = [PgEventsModule.forRoot()];
    const { eventLog } = await suite.start({
      imports,
      providers: [handlerWith({ consumer: 'billing' })],
      handlers: false,
    });
    expect(await eventLog!.store.consumers()).toEqual([]);
  });

  it('takes its options from a factory', async () => {
    @Injectable()
    class Config {
      readonly consume = false;
    }
    @Module({ providers: [Config], exports: [Config] })
    class ConfigModule {}
    const events = PgEventsModule.forRootAsync({
      imports: [ConfigModule],
      inject: [Config],
      useFactory: ({ consume }: Config) => ({ consume }),
    });
    const { service } = await suite.start({ imports: [events], providers: [handlerWith({ consumer: 'billing' })] });
    expect(service.stats().handlers).toEqual([]);
  });

  it('warns of a consumer without a method, unless an instance runs it', async () => {
    const { app, eventLog, logger } = await suite.create({ imports: [PgEventsModule.forRoot()] });
    const known = (consumer: string) => ({ consumer, shards: 1, channels: ['orders'], from: 'now' as const });
    await eventLog!.store.register([known('renamed'), known('elsewhere')]);
    await eventLog!.store.shard({ consumer: 'elsewhere', shard: 0, shards: 1, channels: ['orders'] }, 'other').claim();
    await app.init();
    const warned = logger.texts('warn').filter((text) => text.includes('event log'));
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain(
      "The event log nest_events knows the consumer 'renamed', which no instance runs and no method of this application has: was it renamed? " +
        'It begins where it stopped when its name comes back; until then its events are kept. If it is not needed: npx nest-pg-notify events drop "renamed".',
    );
  });

  it('releases its consumers, and then closes its sessions, when the application is closed', async () => {
    const { app, eventLog } = await start([handlerWith({ consumer: 'billing' })]);
    expect(await eventLog!.store.consumers()).toMatchObject([{ owner: expect.any(String) }]);
    await app.close();
    expect(await eventLog!.store.consumers()).toMatchObject([{ owner: undefined }]);
    expect(eventLog!.isClosed).toBe(true);
  });

  it.each([
    ['deletes old events soon after the start, and again each hour', {}, [604_800_000, 604_800_000]],
    ['deletes what is older than the option retention', { retention: 5 }, [5, 5]],
    ['keeps everything with retention: 0', { retention: 0 }, []],
    ['leaves that to others with consume: false', { consume: false }, []],
  ])('%s', async (_, options, expected) => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    const { eventLog } = await start([], options);
    const asked: number[] = [];
    eventLog!.store.prune = (olderThan) => {
      asked.push(olderThan);
      return Promise.resolve(0);
    };
    await jest.advanceTimersByTimeAsync(10_000);
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(asked).toEqual(expected);
  });

  it('refuses invalid arguments before it asks the log', async () => {
    const { app } = await start([]);
    const events = app.get(PgEvents);
    const message = async (work: Promise<unknown>): Promise<string> => (await failureOf(work)).message;
    expect(await message(events.replay('a', '2026' as never))).toBe("replay() takes a Date, not '2026'.");
    expect(await message(events.pause(''))).toBe("pause() takes the name of a consumer, not ''.");
    expect(await message(events.discard('a', 'b' as never))).toBe(
      "discard() takes a list of the ids of events, not 'b'.",
    );
    expect(await message(events.prune(0))).toContain('prune() takes how old events must be, in milliseconds, not 0.');
    expect(await message(events.deadLetters('a', { limit: 0 }))).toContain(
      'The option limit of deadLetters() must be an integer',
    );
  });

  it('is injected by its class, and by its registration', async () => {
    @Injectable()
    class Publisher {
      constructor(
        readonly byClass: PgEvents,
        @InjectPgEvents() readonly byName: PgEvents,
      ) {}
    }
    const { app } = await start([Publisher]);
    const { byClass, byName } = app.get(Publisher);
    expect(byClass).toBe(byName);
    expect(app.get<PgEvents>(getPgEventsToken(), { strict: false })).toBe(byClass);
  });
});

/** The error that the application does not start with. */
async function refusal(metadata: ModuleMetadata, options: Partial<PgNotifyModuleOptions> = {}): Promise<PgNotifyError> {
  return failureOf(suite.start({ ...metadata, ...options }));
}

describe('a bootstrap with a mistake', () => {
  it.each<readonly [string, Partial<OnPgEventOptions>, string]>([
    [
      'without a consumer',
      {},
      "The option consumer of @OnPgEvent('orders') on Billing.charge must be given, such as { consumer: 'billing' }: the log stores the consumer's progress under this name. Do not change it later.",
    ],
    ['with an empty consumer', { consumer: '' }, "must be a non-empty string, not ''"],
    ['with a consumer too long for the log', { consumer: 'x'.repeat(201) }, 'must be at most 200 bytes of text'],
    [
      'with the name of another library for the consumer',
      { group: 'billing' } as never,
      'has no option group. Did you mean consumer?',
    ],
    [
      'with an unknown start',
      { consumer: 'a', from: 'yesterday' as never },
      "from of @OnPgEvent('orders') on Billing.charge must be 'now', 'beginning' or a Date, not 'yesterday'",
    ],
    [
      'with a start in the future',
      { consumer: 'a', from: new Date('9999-01-01') },
      "from of @OnPgEvent('orders') on Billing.charge is in the future (9999-01-01T00:00:00.000Z), but nothing is left out before a time that is to come. Write 'now', or a Date of the past.",
    ],
    [
      'with an unknown ordering',
      { consumer: 'a', ordering: 'fifo' as never },
      "must be one of 'key', 'none', 'strict', not 'fifo'",
    ],
    ['with null in place of its options', null as never, 'takes its options as an object, not null'],
    ['with no attempts', { consumer: 'a', retry: { attempts: 0 } }, 'retry.attempts'],
    [
      'with a delay beyond its limit',
      { consumer: 'a', retry: { delay: 400_000 } },
      '(400000 ms) is larger than retry.maxDelay (300000 ms): set both',
    ],
    [
      'with concurrency in transactions',
      { consumer: 'a', transactional: true, concurrency: 2 },
      'concurrency of @OnPgEvent',
    ],
    [
      'with concurrent batches',
      { consumer: 'a', batch: { maxSize: 2 }, concurrency: 2 },
      'cannot be combined with batch',
    ],
    [
      'with concurrency in strict order',
      { consumer: 'a', ordering: 'strict', concurrency: 2 },
      "cannot be combined with ordering: 'strict'",
    ],
    ['with an order of batches', { consumer: 'a', ordering: 'none', batch: { maxSize: 2 } }, 'ordering of @OnPgEvent'],
    ['with shards in strict order', { consumer: 'a', ordering: 'strict', shards: 2 }, 'shards of @OnPgEvent'],
  ])('is refused %s', async (_, options, message) => {
    const error = await refusal({ imports: [PgEventsModule.forRoot()], providers: [handlerWith(options)] });
    expect(error).toMatchObject({ kind: 'configuration', message: expect.stringContaining(message) });
  });

  it('is refused for two methods with the same consumer', async () => {
    @Injectable()
    class Billing {
      @OnPgEvent('orders', { consumer: 'billing' })
      charge(): void {}

      @OnPgEvent('refunds', { consumer: 'billing' })
      refund(): void {}
    }
    const { message } = await refusal({ imports: [PgEventsModule.forRoot()], providers: [Billing] });
    expect(message).toBe(
      "@OnPgEvent('orders') on Billing.charge and @OnPgEvent('refunds') on Billing.refund have the same consumer 'billing', but a consumer gets each event once. Give each a name of its own, or call both from one method.",
    );
  });

  it('is refused for a class with two instances', async () => {
    const Billing = handlerWith({ consumer: 'billing' });
    @Module({ providers: [Billing] })
    class OneModule {}
    @Module({ providers: [Billing] })
    class OtherModule {}
    const { message } = await refusal({ imports: [PgEventsModule.forRoot(), OneModule, OtherModule] });
    expect(message).toContain("exists on two instances (in OneModule, OtherModule), but the consumer 'billing'");
  });

  it('is refused for no channel, and for one that is named twice', async () => {
    @Injectable()
    class None {
      @OnPgEvent([], { consumer: 'none' })
      handle(): void {}
    }
    @Injectable()
    class Twice {
      @OnPgEvent([OrderEvents, 'orders'], { consumer: 'twice' })
      handle(): void {}
    }
    const imports = [PgEventsModule.forRoot()];
    expect((await refusal({ imports, providers: [None] })).message).toBe(
      '@OnPgEvent([]) on None.handle names no channel, so nothing would ever be delivered to it.',
    );
    expect((await refusal({ imports: [PgEventsModule.forRoot()], providers: [Twice] })).message).toBe(
      `@OnPgEvent(['orders', 'orders']) on Twice.handle names the channel "orders" twice. Write it once, in one definition.`,
    );
  });

  it('is refused without a PgEventsModule, and names the module to import', async () => {
    const { message } = await refusal({ providers: [handlerWith({ consumer: 'billing' })] });
    expect(message).toBe(
      "@OnPgEvent('orders') on Billing.charge would never be called: the registration 'default' has no event log. Import PgEventsModule.forRoot() of nest-pg-notify/events in the root module.",
    );
  });

  it('is refused for a registration that does not exist', async () => {
    const { message } = await refusal({
      imports: [PgEventsModule.forRoot()],
      providers: [handlerWith({ consumer: 'billing', registration: 'analytics' })],
    });
    expect(message).toContain("names the registration 'analytics', which does not exist. There is 'default'.");
    const error: unknown = await suite
      .create({ imports: [PgEventsModule.forRoot({ registration: 'analytics' })] })
      .catch((thrown: unknown) => thrown);
    expect(String(error)).toContain("it takes PgNotifyModule.forRoot({ name: 'analytics', … }) in the root module");
  });

  it('is refused for two logs of one registration', async () => {
    const imports = [PgEventsModule.forRoot(), PgEventsModule.forRoot({ schema: 'other' })];
    const error = await failureOf(suite.create({ imports }));
    expect(error.message).toContain("Two event logs belong to the registration 'default'");
  });

  it.each<readonly [string, PgEventsOptions, string]>([
    ['a schema of PostgreSQL', { schema: 'pg_events' }, 'schema'],
    ['an empty schema', { schema: '' }, 'schema'],
    ['a single connection', { maxConnections: 1 }, 'maxConnections of PgEventsModule must be at least 2'],
    [
      'a lease that is no number',
      { lease: '15s' as never },
      'lease of PgEventsModule must be a number of milliseconds',
    ],
    ['a negative retention', { retention: -1 }, 'retention of PgEventsModule must be a number of milliseconds, or 0'],
    [
      'a delay beyond its limit',
      { retry: { delay: 2, maxDelay: 1 } },
      'retry.delay of PgEventsModule (2 ms) is larger',
    ],
    [
      'the option of PgNotifyModule for its name',
      { name: 'a' } as never,
      'has no option name. Did you mean registration?',
    ],
    ['an unknown option', { retentoin: 1 } as never, 'PgEventsModule has no option retentoin. Did you mean retention?'],
  ])('is refused for %s', async (_, options, message) => {
    const error = await failureOf(suite.create({ imports: [PgEventsModule.forRoot(options)] }));
    expect(error).toMatchObject({ kind: 'configuration', message: expect.stringContaining(message) });
  });

  it('leaves no consumer and no lease when a handler of notifications is refused', async () => {
    @Injectable()
    class Wrong {
      @OnPgNotify('other', { concurrency: 0 })
      handle(): void {}
    }
    const { app, eventLog } = await suite.create({
      imports: [PgEventsModule.forRoot()],
      providers: [handlerWith({ consumer: 'billing' }), Wrong],
    });
    await expect(app.init()).rejects.toThrow('concurrency');
    expect(eventLog!.isClosed).toBe(true);
    const states = await eventLog!.store.consumers();
    expect(states.filter(({ owner }) => owner !== undefined)).toEqual([]);
  });

  it('leaves nothing open when the tables are missing', async () => {
    const { app, eventLog } = await suite.create({
      imports: [PgEventsModule.forRoot()],
      providers: [handlerWith({ consumer: 'billing' })],
    });
    const missing = new PgNotifyError('configuration', 'There are no tables. Run "npx nest-pg-notify events sql".');
    eventLog!.store.check = () => Promise.reject(missing);
    await expect(app.init()).rejects.toBe(missing);
    expect(eventLog!.isClosed).toBe(true);
  });
});
