import { describe, expect, it } from '@jest/globals';
import {
  Catch,
  Controller,
  Get,
  Injectable,
  Module,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import type { CallHandler, MiddlewareConsumer, ModuleMetadata, NestModule, Type } from '@nestjs/common';
import { APP_GUARD, LazyModuleLoader } from '@nestjs/core';
import { OnPgGap, OnPgNotify, OnPgWakeUp, PgNotifyModule } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';

const suite = appSuite({ bus: true });

function moduleNamed(name: string, metadata: ModuleMetadata): Type {
  const type = {
    [name]: class {
      readonly name = name;
    },
  }[name]!;
  Module(metadata)(type);
  return type;
}

/** May stand for a guard, an interceptor, a pipe, a filter or a middleware. */
@Injectable()
@Catch()
class Enhancer {
  readonly seen: unknown[] = [];

  @OnPgNotify('roles')
  reload(payload: unknown): void {
    this.seen.push(payload);
  }

  canActivate(): boolean {
    return true;
  }

  intercept(_context: unknown, next: CallHandler): unknown {
    return next.handle();
  }

  transform(value: unknown): unknown {
    return value;
  }

  catch(): void {}

  use(_request: unknown, _response: unknown, next: () => void): void {
    next();
  }
}

describe('a handler on a class that Nest makes for itself', () => {
  it.each([
    ['guard', UseGuards(Enhancer as never)],
    ['interceptor', UseInterceptors(Enhancer as never)],
    ['pipe', UsePipes(Enhancer as never)],
    ['filter', UseFilters(Enhancer as never)],
  ])('is refused at bootstrap: a %s of a controller, also where its class is a provider as well', async (role, use) => {
    @Controller()
    @use
    class Orders {
      @Get('orders')
      list(): void {}
    }

    for (const providers of [[], [Enhancer]]) {
      const { app } = await suite.create({ controllers: [Orders], providers });
      await expect(app.init()).rejects.toMatchObject({
        kind: 'configuration',
        permanent: true,
        message:
          `@OnPgNotify('roles') on Enhancer.reload stands on a class that is used as ${role}, by an instance of its own: ` +
          `no notification would reach that one. Move the handler to a provider, and inject the provider into Enhancer.`,
      });
    }
  });

  it('is refused at bootstrap: a middleware', async () => {
    @Module({})
    class Web implements NestModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(Enhancer).forRoutes('*path');
      }
    }

    const { app } = await suite.create({ imports: [Web] });
    await expect(app.init()).rejects.toThrow(
      `@OnPgNotify('roles') on Enhancer.reload stands on a class that is used as middleware, by an instance of its own`,
    );
  });

  it('is refused at bootstrap: a global guard that is made anew for each request', async () => {
    const { app } = await suite.create({
      providers: [{ provide: APP_GUARD, useClass: Enhancer, scope: Scope.REQUEST }],
    });
    await expect(app.init()).rejects.toThrow('stands on a class that is used as guard');
  });

  it('is refused at bootstrap: an instance that useGlobalGuards() is given, unless Nest has made it', async () => {
    const { app } = await suite.create();
    app.useGlobalGuards(new Enhancer());
    await expect(app.init()).rejects.toThrow(
      'stands on a class that is used as global guard, by an instance of its own',
    );

    const { app: other, service } = await suite.create({ providers: [Enhancer] });
    other.useGlobalGuards(other.get(Enhancer));
    await other.init();
    expect(service.stats().handlers).toHaveLength(1);
  });

  it.each([
    ['useClass', [{ provide: APP_GUARD, useClass: Enhancer }]],
    ['useExisting', [Enhancer, { provide: APP_GUARD, useExisting: Enhancer }]],
  ])('is called where the class is a global guard: %s', async (_name, providers) => {
    const { service } = await suite.start({ providers });
    suite.bus.emit('roles', 7);
    await suite.bus.settled();
    expect(service.stats()).toMatchObject({ delivered: 1, handlers: [{ handler: 'Enhancer.reload' }] });
  });

  it('is called on a module class, and on what a module provides that was loaded before the bootstrap ended', async () => {
    const log: string[] = [];

    @Injectable()
    class Lazy {
      @OnPgNotify('orders')
      handle(): void {
        log.push('lazy');
      }
    }
    const LazyModule = moduleNamed('LazyModule', { providers: [Lazy] });

    @Module({})
    class Eager {
      constructor(private readonly loader: LazyModuleLoader) {}

      async onModuleInit(): Promise<void> {
        await this.loader.load(() => LazyModule);
      }

      @OnPgNotify('orders')
      handle(): void {
        log.push('module');
      }
    }

    await suite.start({ imports: [Eager] });
    suite.bus.emit('orders');
    await suite.bus.settled();
    expect(log.toSorted()).toEqual(['lazy', 'module']);
  });
});

describe('the bootstrap', () => {
  @Injectable()
  class Cache {
    @OnPgNotify('products')
    evict(): void {}

    @OnPgGap('products')
    reload(): void {}

    @OnPgWakeUp('jobs', { pollInterval: 600_000, fallbackPollInterval: 600_000 })
    work(): void {}
  }

  it('logs a line for each handler, as Nest does for each route', async () => {
    const { logger } = await suite.start({ providers: [Cache] });
    expect(logger.texts('log').filter((text) => text.endsWith('PgNotifyExplorer'))).toEqual([
      "Mapped @OnPgNotify('products') to Cache.evict PgNotifyExplorer",
      "Mapped @OnPgGap('products') to Cache.reload PgNotifyExplorer",
      "Mapped @OnPgWakeUp('jobs') to Cache.work PgNotifyExplorer",
    ]);
    expect(logger.texts('warn')).toEqual([]);
  });

  it('logs nothing of handlers where none are connected', async () => {
    const { app, logger } = await suite.createOf({
      imports: [PgNotifyModule.forRoot({ connection: 'postgres://nowhere', enabled: false })],
      providers: [Cache],
    });
    await app.init();
    expect(logger.texts('log').join()).not.toContain('Mapped @OnPg');
  });

  it('logs no more than a hundred lines, however many handlers there are', async () => {
    class Many {
      readonly own = true;
    }
    for (let index = 0; index < 1_000; index += 1) {
      const name = `handle${index}`;
      Object.defineProperty(Many.prototype, name, { value: () => undefined, configurable: true });
      OnPgNotify(`orders${index}`)(Many.prototype, name, Object.getOwnPropertyDescriptor(Many.prototype, name)!);
    }
    const { logger } = await suite.start({ providers: [Many] });
    const lines = logger.texts('log').filter((text) => text.endsWith('PgNotifyExplorer'));
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toBe('Mapped 900 more handlers; stats().handlers has all of them PgNotifyExplorer');
  });

  it('warns once of a class that handles a channel on several instances', async () => {
    const modules = ['CatalogModule', 'OrderModule'].map((name) => moduleNamed(name, { providers: [Cache] }));
    const { logger } = await suite.start({ imports: modules });
    expect(logger.texts('warn')).toEqual([
      'Cache has 2 instances that are handlers of the same channels (Cache.evict, Cache.reload, Cache.work; in CatalogModule, OrderModule): ' +
        'each notification is handled 2 times. Provide it in one module that exports it, and import that module, unless this is what you want. PgNotifyExplorer',
    ]);
  });

  it('does not warn of a class and its subclass, or of an alias', async () => {
    class Parent {
      @OnPgNotify('products')
      handle(): void {}
    }

    @Injectable()
    class First extends Parent {}

    @Injectable()
    class Second extends Parent {
      @OnPgNotify('products')
      @OnPgNotify('orders')
      other(): void {}
    }

    const { logger } = await suite.start({ providers: [First, Second, { provide: 'alias', useExisting: First }] });
    expect(logger.texts('warn')).toEqual([]);
  });
});
