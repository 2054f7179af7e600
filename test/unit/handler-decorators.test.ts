import { describe, expect, it } from '@jest/globals';
import {
  applyDecorators,
  Body,
  Controller,
  createParamDecorator,
  Get,
  Injectable,
  SetMetadata,
  UseGuards,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import type { CanActivate, ExecutionContext, ModuleMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import type { PgGap } from 'nest-pg-notify';
import { defer } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import { failureOf } from '../support/failures.js';
import { Wrap, WrapInProxy, WrapWithMetadata } from '../support/wrapping-decorators.js';

const suite = appSuite({ bus: true });

/** What a bootstrap with this provider is refused for. */
async function refusal(metadata: ModuleMetadata): Promise<string> {
  const { app } = await suite.create(metadata);
  const error = await failureOf(app.init());
  expect(error).toMatchObject({ kind: 'configuration', permanent: true });
  return error.message;
}

describe('a decorator that replaces the method', () => {
  it.each([
    ['leaves its metadata behind', Wrap],
    ['copies its metadata', WrapWithMetadata],
    ['makes a Proxy of it', WrapInProxy],
  ])('stands above or below ours, and the handler runs once, through it: one that %s', async (_name, wrap) => {
    const log: string[] = [];

    @Injectable()
    class Handlers {
      readonly own = 'instance';

      @wrap(log)
      @OnPgNotify('above')
      above(payload: string): void {
        log.push(`${this.own} ${payload}`);
      }

      @OnPgNotify('below')
      @wrap(log)
      below(payload: string): void {
        log.push(`${this.own} ${payload}`);
      }

      @wrap(log)
      @OnPgGap('gaps')
      @wrap()
      reload({ reason }: PgGap): void {
        log.push(`${this.own} ${reason}`);
      }

      @wrap(log)
      @OnPgWakeUp('wakes', { pollInterval: 600_000, fallbackPollInterval: 600_000 })
      wake(): void {
        log.push('woken');
      }
    }

    const { service } = await suite.start({ providers: [Handlers] });
    await suite.bus.settled();
    expect(log.filter((line) => line !== 'wrapped')).toEqual(expect.arrayContaining(['instance start', 'woken']));
    log.length = 0;
    suite.bus.emit('above', 'above');
    await suite.bus.settled();
    suite.bus.emit('below', 'below');
    await suite.bus.settled();
    expect(log).toEqual(['wrapped', 'instance above', 'wrapped', 'instance below']);
    expect(service.stats().handlers).toHaveLength(4);
  });

  it('keeps the guards, pipes and metadata that stand below it', async () => {
    const seen: unknown[] = [];
    const role: CanActivate = {
      canActivate: (context: ExecutionContext) => {
        seen.push(`${context.getHandler().name} ${new Reflector().get<string>('role', context.getHandler())}`);
        return context.getArgs<[number]>()[0] < 20;
      },
    };
    const second: CanActivate = { canActivate: () => seen.push('second') > 0 };

    @Injectable()
    class Handlers {
      @UseGuards(second)
      @Wrap()
      @UseGuards(role)
      @OnPgNotify('guarded')
      @UsePipes({ transform: (value: number) => value * 2 })
      @SetMetadata('role', 'admin')
      handle(payload: number): void {
        seen.push(payload);
      }
    }

    const { service } = await suite.start({ providers: [Handlers] });
    suite.bus.emit('guarded', 10);
    await suite.bus.settled();
    suite.bus.emit('guarded', 30);
    await suite.bus.settled();
    expect(seen).toEqual(['handle admin', 'second', 20, 'handle admin']);
    expect(service.stats()).toMatchObject({ delivered: 1, rejected: 1 });
    // What another application of the process finds on the class is as before.
    expect(Reflect.getMetadataKeys(Reflect.get(Handlers.prototype, 'handle'))).toEqual(['__guards__']);
  });

  it('is refused above a guard that Nest would have to make, and so never sees', async () => {
    class RoleGuard implements CanActivate {
      canActivate(): boolean {
        return false;
      }
    }

    @Injectable()
    class Handlers {
      @Wrap()
      @UseGuards(RoleGuard)
      @OnPgNotify('guarded')
      handle(): void {}
    }

    expect(await refusal({ providers: [Handlers] })).toBe(
      `@OnPgNotify('guarded') on Handlers.handle cannot have @UseGuards(RoleGuard) below a decorator that replaces the method: ` +
        `Nest does not see it there, and it would not run. Move @UseGuards(RoleGuard) above that decorator.`,
    );
  });

  it('may be one of a class, or of a constructor', async () => {
    const log: string[] = [];
    const wrapAll = (type: { readonly prototype: object }): void => {
      for (const name of ['handle']) {
        const descriptor = Object.getOwnPropertyDescriptor(type.prototype, name)!;
        const replaced = Wrap(log)(type.prototype, name, descriptor) as PropertyDescriptor;
        Object.defineProperty(type.prototype, name, replaced);
      }
    };

    @wrapAll
    @Injectable()
    class OfClass {
      @OnPgNotify('class')
      handle(): void {
        log.push('class');
      }
    }

    @Injectable()
    class OfInstance {
      constructor() {
        const handle = this.handle.bind(this);
        this.handle = () => {
          log.push('wrapped');
          handle();
        };
      }

      @OnPgNotify('instance')
      handle(): void {
        log.push('instance');
      }
    }

    await suite.start({ providers: [OfClass, OfInstance] });
    suite.bus.emit('class');
    await suite.bus.settled();
    suite.bus.emit('instance');
    await suite.bus.settled();
    expect(log).toEqual(['wrapped', 'class', 'wrapped', 'instance']);
  });

  it('is inherited with the handler, and an override without a decorator is no handler', async () => {
    const log: string[] = [];

    class Parent {
      @Wrap()
      @OnPgNotify('inherited')
      handle(): void {
        log.push(this.constructor.name);
      }

      @Wrap()
      @OnPgNotify('inherited')
      overridden(): void {
        log.push('overridden');
      }
    }

    @Injectable()
    class Child extends Parent {
      override overridden(): void {
        log.push('override');
      }
    }

    @Injectable()
    class Grandchild extends Child {
      @Wrap()
      @OnPgNotify('inherited', { bufferSize: 5 })
      override overridden(): void {
        log.push('override of the override');
      }
    }

    const { service } = await suite.start({ providers: [Child, Grandchild] });
    suite.bus.emit('inherited');
    await suite.bus.settled();
    expect(log.toSorted()).toEqual(['Child', 'Grandchild', 'override of the override']);
    expect(
      service
        .stats()
        .handlers.map(({ handler }) => handler)
        .toSorted(),
    ).toEqual(['Child.handle', 'Grandchild.handle', 'Grandchild.overridden']);
  });

  it('may be composed with ours by applyDecorators()', async () => {
    const log: string[] = [];
    const OnOrders = () => applyDecorators(Wrap(log), OnPgNotify('composed'));

    @Injectable()
    class Handlers {
      @OnOrders()
      handle(): void {
        log.push('handled');
      }
    }

    await suite.start({ providers: [Handlers] });
    suite.bus.emit('composed');
    await suite.bus.settled();
    expect(log).toEqual(['wrapped', 'handled']);
  });
});

describe('a decorator that makes something else of the method', () => {
  it('is refused at bootstrap: one that makes an accessor of it', async () => {
    /** As `@autobind`: each instance gets a function of its own when it is asked for. */
    const Bound: MethodDecorator = (_target, _name, { value }) => ({
      configurable: true,
      get(this: object) {
        return (value as unknown as () => void).bind(this) as never;
      },
    });

    @Injectable()
    class Handlers {
      @Bound
      @OnPgNotify('orders')
      handle(): void {}
    }

    expect(await refusal({ providers: [Handlers] })).toBe(
      `@OnPgNotify('orders') on Handlers.handle is not a method any more: another decorator, such as @autobind, has made an accessor of it. ` +
        `Remove that decorator: a handler is always called on its instance.`,
    );
  });

  it('leaves handlers alone that a class decorator has put into a subclass, or that come from a mixin', async () => {
    const log: string[] = [];

    // eslint-disable-next-line typescript/no-explicit-any -- What TypeScript asks of a mixin.
    const Extended = <T extends new (...args: any[]) => object>(type: T): T => class extends type {};

    function withHandler(channel: string) {
      class Mixin {
        @OnPgNotify(channel)
        handle(): void {
          log.push(channel);
        }
      }
      return Mixin;
    }

    @Extended
    @Injectable()
    class FirstMixed extends withHandler('first') {}

    @Injectable()
    class SecondMixed extends withHandler('second') {}

    const { service } = await suite.start({ providers: [FirstMixed, SecondMixed] });
    suite.bus.emit('first');
    suite.bus.emit('second');
    await suite.bus.settled();
    expect(log).toEqual(['first', 'second']);
    expect(service.stats().handlers.map(({ handler }) => handler)).toEqual(['FirstMixed.handle', 'SecondMixed.handle']);
  });
});

describe('a decorator on a parameter', () => {
  const Tenant = createParamDecorator(() => 'tenant');
  /** As `@Payload()` of `@nestjs/microservices`, and `@MessageBody()` of `@nestjs/websockets`. */
  const Payload =
    (): ParameterDecorator =>
    (target, name, index): void => {
      const of = target.constructor;
      const others = (Reflect.getMetadata('__routeArguments__', of, name!) as object | undefined) ?? {};
      Reflect.defineMetadata('__routeArguments__', { ...others, [`3:${index}`]: { index, pipes: [] } }, of, name!);
    };

  it.each([
    ['@Body()', Body(new ValidationPipe())],
    ['@Payload()', Payload()],
    ['a decorator of createParamDecorator()', Tenant()],
  ])('is refused at bootstrap, because Nest runs it for routes only: %s', async (_name, decorator) => {
    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      handle(@decorator _payload: unknown, _notification: unknown): void {}
    }

    expect(await refusal({ providers: [Handlers] })).toBe(
      `@OnPgNotify('orders') on Handlers.handle has a decorator on its parameter 0, which only Nest's routes and message handlers know: ` +
        `a handler gets (payload, notification, context). Remove it; pipes stand on the method: @UsePipes(new ValidationPipe()).`,
    );
  });

  it('is refused below a decorator that replaces the method, on gap methods and on woken ones', async () => {
    @Injectable()
    class Gaps {
      @Wrap()
      @OnPgGap('orders')
      reload(@Tenant() _tenant: unknown): void {}
    }

    @Injectable()
    class Wakes {
      @OnPgWakeUp('orders')
      drain(_wakeUp: unknown, @Tenant() _tenant: unknown): void {}
    }

    expect(await refusal({ providers: [Gaps] })).toContain(
      `@OnPgGap('orders') on Gaps.reload has a decorator on its parameter 0, which only Nest's routes and message handlers know: a handler gets (gap, context).`,
    );
    expect(await refusal({ providers: [Wakes] })).toContain(
      `@OnPgWakeUp('orders') on Wakes.drain has a decorator on its parameter 1, which only Nest's routes and message handlers know: a handler gets (wakeUp, context).`,
    );
  });

  it('is refused where it stands on an inherited method, and not where an override has none', async () => {
    class Parent {
      @OnPgNotify('orders')
      handle(@Tenant() _payload: unknown): void {}
    }

    @Injectable()
    class Inherits extends Parent {}

    @Injectable()
    class Overrides extends Parent {
      @OnPgNotify('orders')
      override handle(_payload: unknown): void {}
    }

    expect(await refusal({ providers: [Inherits] })).toContain('on Inherits.handle has a decorator on its parameter 0');
    await suite.start({ providers: [Overrides] });
  });

  it('belongs to the route, the message pattern or the resolver that the method also is', async () => {
    const log: unknown[] = [];

    @Controller()
    class Both {
      @Get('orders')
      @OnPgNotify('orders')
      handle(@Tenant() payload: unknown): void {
        log.push(payload);
      }

      @Wrap()
      @SetMetadata('microservices:pattern', ['orders']) // As @EventPattern('orders').
      @OnPgNotify('orders')
      event(@Payload() payload: unknown): void {
        log.push(payload);
      }

      @SetMetadata('websockets:message_mapping', true) // As @SubscribeMessage('orders').
      @OnPgNotify('orders')
      message(@Payload() payload: unknown): void {
        log.push(payload);
      }

      @SetMetadata('graphql:resolver_type', 'Query') // As @Query().
      @OnPgNotify('orders')
      query(@Tenant() payload: unknown): void {
        log.push(payload);
      }
    }

    await suite.start({ controllers: [Both] });
    suite.bus.emit('orders', 7);
    await suite.bus.settled();
    expect(log).toEqual([7, 7, 7, 7]);
  });
});

describe('a method whose body would never run', () => {
  it.each(['generator', 'asynchronous generator'])('is refused at bootstrap: a %s', async (kind) => {
    @Injectable()
    class Sync {
      @OnPgNotify('orders')
      *handle(): Iterator<number> {
        yield 1;
      }
    }

    @Injectable()
    class Async {
      @OnPgNotify('orders')
      async *handle(): AsyncIterator<number> {
        yield await Promise.resolve(1);
      }
    }

    const type = kind === 'generator' ? Sync : Async;
    expect(await refusal({ providers: [type] })).toBe(
      `@OnPgNotify('orders') on ${type.name}.handle is a generator, whose body runs only when somebody iterates: ` +
        `remove the asterisk, and await what it yields, or return an Observable.`,
    );
  });

  it('has failed when it returns a generator that the decorator could not see', async () => {
    @Injectable()
    class Handlers {
      @Wrap()
      @OnPgNotify('sync')
      *sync(): Generator<number> {
        yield 1;
      }

      @Wrap()
      @OnPgNotify('async')
      async *asynchronous(): AsyncGenerator<number> {
        yield await Promise.resolve(1);
      }

      @OnPgNotify('sync', { timeout: 1_000 })
      async promised(): Promise<Generator<number>> {
        return Promise.resolve(this.sync());
      }

      @OnPgNotify('sync')
      @UseGuards({ canActivate: () => true })
      enhanced(): Generator<number> {
        return this.sync();
      }

      /** Others may be iterated: these are values. */
      @OnPgNotify('sync')
      list(): number[] {
        return [1];
      }
    }

    const { service, logger } = await suite.start({ providers: [Handlers] });
    suite.bus.emit('sync');
    suite.bus.emit('async');
    await suite.bus.settled();
    expect(service.stats()).toMatchObject({ failed: 4, delivered: 1 });
    expect(logger.texts('error').join('\n')).toContain(
      'Handler Handlers.sync failed for the channel "sync": It returned a generator, whose body runs only when somebody iterates',
    );
  });

  it('runs where it is an Observable that an asynchronous method returns', async () => {
    const log: number[] = [];

    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      async handle() {
        await Promise.resolve();
        return defer(() => [log.push(1), log.push(2)]);
      }
    }

    const { service } = await suite.start({ providers: [Handlers] });
    suite.bus.emit('orders');
    await suite.bus.settled();
    expect(log).toEqual([1, 2]);
    expect(service.stats()).toMatchObject({ delivered: 1 });
  });
});
