import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  definePgChannel,
  getPgNotifyTransportToken,
  InjectPgChannel,
  OnPgNotify,
  PgNotifyError,
  PgNotifyModule,
  PgNotifyService,
} from 'nest-pg-notify';
import type { PgNotification } from 'nest-pg-notify';
import { PgNotifyTestBus, PgNotifyTestingModule } from 'nest-pg-notify/testing';
import type { Observable } from 'rxjs';
import { z } from 'zod';
import { CapturingLogger } from '../support/capturing-logger.js';

type Package = typeof import('nest-pg-notify');

/** Another copy of the package in the same process, as a dependency brings it along that has it in its own node_modules. */
let copy: Package;

beforeAll(async () => {
  // Its peers are the application's: there is one Nest.
  for (const peer of ['@nestjs/common', '@nestjs/core', 'rxjs']) {
    const shared = (await import(peer)) as object;
    jest.unstable_mockModule(peer, () => shared);
  }
  jest.resetModules();
  copy = await import('nest-pg-notify');
});

let app: INestApplication | undefined;

afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function start({ imports = [], ...rest }: ModuleMetadata) {
  const module = await Test.createTestingModule({ imports: [PgNotifyTestingModule.forRoot(), ...imports], ...rest })
    .setLogger(new CapturingLogger())
    .compile();
  app = module.createNestApplication();
  await app.init();
  return { app, bus: app.get(PgNotifyTestBus), service: app.get(PgNotifyService) };
}

describe('another copy of the package', () => {
  it('has classes and decorators of its own', () => {
    expect(copy.PgNotifyError).not.toBe(PgNotifyError);
    expect(copy.OnPgNotify).not.toBe(OnPgNotify);
  });

  it('may decorate handlers, of every kind, also beside this copy on one method', async () => {
    const log: string[] = [];

    @Injectable()
    class Handlers {
      @copy.OnPgNotify('orders')
      @OnPgNotify('products')
      handle(payload: string, _notification: unknown, { channel }: { readonly channel: string }): void {
        log.push(`${channel} ${payload}`);
      }

      @copy.OnPgGap('orders')
      reload(): void {
        log.push('gap');
      }

      @copy.OnPgWakeUp('jobs', { pollInterval: 600_000, fallbackPollInterval: 600_000 })
      work(): void {
        log.push('woken');
      }
    }

    const { bus, service } = await start({ providers: [Handlers] });
    bus.emit('orders', '1');
    bus.emit('products', '2');
    await bus.settled();
    expect(log.toSorted()).toEqual(expect.arrayContaining(['gap', 'orders 1', 'products 2', 'woken']));
    expect(service.stats().handlers).toHaveLength(4);
  });

  it('may define channels, for handlers, streams and sending', async () => {
    const Orders = copy.definePgChannel('orders', { schema: z.object({ id: z.number() }) });
    const log: number[] = [];

    @Injectable()
    class Handlers {
      constructor(@InjectPgChannel(Orders) orders$: Observable<PgNotification<{ id: number }>>) {
        orders$.subscribe(({ payload: { id } }) => log.push(id));
      }

      @OnPgNotify(Orders)
      handle({ id }: { id: number }): void {
        log.push(id * 10);
      }
    }

    const { bus, service } = await start({ imports: [PgNotifyModule.forFeature([Orders])], providers: [Handlers] });
    await service.notify(Orders, { id: 7 });
    await bus.settled();
    expect(log).toEqual([7, 70]);
    await expect(service.notify(Orders, { id: 'x' } as never)).rejects.toMatchObject({ kind: 'payload' });
  });

  it('injects what this copy has registered, by its tokens that are texts', async () => {
    @Injectable()
    class Sender {
      constructor(
        @copy.InjectPgNotify() readonly pgNotify: PgNotifyService,
        @copy.InjectPgChannel('orders') readonly orders$: Observable<unknown>,
      ) {}
    }

    const subject = await start({ imports: [PgNotifyModule.forFeature(['orders'])], providers: [Sender] });
    expect(subject.app.get(Sender).pgNotify).toBe(subject.service);
  });

  it('throws errors that are instances of the PgNotifyError of this one, and the other way round', () => {
    const theirs = new copy.PgNotifyError('closed', 'theirs');
    const ours = new PgNotifyError('closed', 'ours');
    expect([theirs instanceof PgNotifyError, ours instanceof copy.PgNotifyError]).toEqual([true, true]);
    expect([new Error('other'), undefined, {}, 'text'].map((value) => value instanceof PgNotifyError)).toEqual([
      false,
      false,
      false,
      false,
    ]);

    class Own extends PgNotifyError {}
    expect([ours instanceof Own, new Own('closed', 'own') instanceof Own]).toEqual([false, true]);
  });

  it('is refused as a second registration of the same name, and may have one of another name', async () => {
    const twice = Test.createTestingModule({
      imports: [PgNotifyTestingModule.forRoot(), copy.PgNotifyModule.forRoot({ connection: 'postgres://nowhere' })],
    });
    await expect(twice.setLogger(new CapturingLogger()).compile()).rejects.toThrow(
      `Two registrations have the name 'default'.`,
    );

    const log: string[] = [];

    @Injectable()
    class Handlers {
      @copy.OnPgNotify('orders')
      ours(): void {
        log.push('default');
      }

      @OnPgNotify('orders', { registration: 'analytics' })
      theirs(): void {
        log.push('analytics');
      }
    }

    const buses = [new PgNotifyTestBus(), new PgNotifyTestBus()] as const;
    const module = await Test.createTestingModule({
      imports: [
        PgNotifyModule.forRoot({ connection: 'postgres://nowhere' }),
        copy.PgNotifyModule.forRoot({ name: 'analytics', connection: 'postgres://nowhere' }),
      ],
      providers: [Handlers],
    })
      .overrideProvider(getPgNotifyTransportToken())
      .useValue(buses[0])
      .overrideProvider(getPgNotifyTransportToken('analytics'))
      .useValue(buses[1])
      .setLogger(new CapturingLogger())
      .compile();
    app = module.createNestApplication();
    await app.init();
    for (const bus of buses) {
      bus.emit('orders');
      await bus.settled();
    }
    expect(log).toEqual(['default', 'analytics']);
  });
});

describe('another version of the package', () => {
  /** Gives what one copy has written the form of a version to come. */
  function withVersion(given: object, version: number): object {
    return Object.create(given, { version: { value: version } }) as object;
  }

  it('is refused by name when it has decorated a handler', async () => {
    @Injectable()
    class Handlers {
      @copy.OnPgNotify('orders')
      handle(): void {}
    }
    const key = Symbol.for('nest-pg-notify:handlers');
    const own = Reflect.getMetadata(key, Handlers.prototype, 'handle') as object[];
    Reflect.defineMetadata(
      key,
      own.map((handler) => withVersion(handler, 2)),
      Handlers.prototype,
      'handle',
    );
    await expect(start({ providers: [Handlers] })).rejects.toMatchObject({
      kind: 'configuration',
      message:
        'Handlers.handle was decorated by another version of nest-pg-notify, whose handlers this one cannot read (form 2, not 1). ' +
        'Install a single version: "npm ls nest-pg-notify" shows which package brings the other.',
    });
  });

  it('is refused by name when it has defined a channel', () => {
    const key = Symbol.for('nest-pg-notify:channel');
    const ours = definePgChannel('orders');
    const mark = (ours as unknown as Record<symbol, object>)[key]!;
    const theirs = Object.create(ours, { [key]: { value: withVersion(mark, 2) } }) as typeof ours;
    expect(() => OnPgNotify(theirs)).toThrow(
      'The channel "orders" was defined by another version of nest-pg-notify, whose definitions this one cannot read (form 2, not 1).',
    );
  });
});
