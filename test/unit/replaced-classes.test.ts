import { describe, expect, it } from '@jest/globals';
import { Injectable, UseGuards, UsePipes } from '@nestjs/common';
import type { CanActivate, Type } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import type { PgNotification } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { failureOf } from '../support/failures.js';

const suite = appSuite({ bus: true });

describe('a mixin that copies methods from one prototype to another', () => {
  /** As in the handbook of TypeScript, which copies `constructor` as well. */
  function copyMethods(from: Type, to: Type, left: readonly string[] = []): void {
    for (const name of Object.getOwnPropertyNames(from.prototype).filter((own) => !left.includes(own))) {
      Object.defineProperty(to.prototype, name, Object.getOwnPropertyDescriptor(from.prototype, name)!);
    }
  }

  it.each([
    ['with the constructor', []],
    ['without it', ['constructor']],
  ])('takes handlers along, with their pipes and guards: %s', async (_name, left) => {
    const handled: unknown[] = [];

    class Mixin {
      @UsePipes({ transform: (value: number) => value * 2 })
      @OnPgNotify('orders')
      copied(payload: number, { channel }: PgNotification): void {
        handled.push(['copied', payload, channel]);
      }

      @OnPgNotify('orders')
      plain(payload: number): void {
        handled.push(['plain', payload]);
      }
    }

    @Injectable()
    class Handlers {
      @UsePipes({ transform: (value: number) => value * 3 })
      @OnPgNotify('orders')
      own(payload: number): void {
        handled.push(['own', payload]);
      }
    }
    copyMethods(Mixin, Handlers, left);
    // Under another name it is an alias, not one more handler.
    Object.assign(Handlers.prototype, { alias: Reflect.get(Handlers.prototype, 'plain') });

    @UseGuards({ canActivate: () => false })
    @Injectable()
    class Guarded {}
    copyMethods(Mixin, Guarded, left);

    const { service } = await suite.start({ providers: [Handlers, Guarded] });
    suite.bus.emit('orders', 7);
    await suite.bus.settled();
    expect(handled).toHaveLength(3);
    expect(handled).toEqual(
      expect.arrayContaining([
        ['copied', 14, 'orders'],
        ['plain', 7],
        ['own', 21],
      ]),
    );
    expect(service.stats()).toMatchObject({ delivered: 3, rejected: 2, failed: 0 });
  });
});

describe('a class decorator that returns a class which does not extend the decorated one', () => {
  const InProxy = <T extends object>(type: T): T => new Proxy(type, {});
  const AsFunction = (type: object): never => {
    const made = (...args: unknown[]): object => Reflect.construct(type as never, args) as object;
    const replacement = function (...args: unknown[]): object {
      return made(...args);
    };
    return Object.assign(replacement, { prototype: (type as { prototype: object }).prototype }) as never;
  };
  const no: CanActivate = { canActivate: () => false };

  class NoGuard implements CanActivate {
    canActivate(): boolean {
      return false;
    }
  }

  it.each([
    ['a Proxy', InProxy],
    ['a function', AsFunction as typeof InProxy],
  ])('leaves the guards in force that stand below it, and those of the method: %s', async (_name, replace) => {
    const handled: string[] = [];

    @replace
    @UseGuards(no)
    @Injectable()
    class OfClass {
      @OnPgNotify('orders')
      handle(): void {
        handled.push('class');
      }
    }

    @replace
    @Injectable()
    class OfMethod {
      @UseGuards(NoGuard)
      @OnPgNotify('orders')
      handle(): void {
        handled.push('method');
      }

      @OnPgNotify('orders')
      free(): void {
        handled.push('free');
      }
    }

    const { service } = await suite.start({ providers: [OfClass, OfMethod] });
    suite.bus.emit('orders');
    await suite.bus.settled();
    expect(handled).toEqual(['free']);
    expect(service.stats()).toMatchObject({ delivered: 1, rejected: 2 });
  });

  it.each([
    ['a Proxy', InProxy],
    ['a function', AsFunction as typeof InProxy],
  ])('is refused above a guard that Nest would have to make, and not below it: %s', async (_name, replace) => {
    @replace
    @UseGuards(NoGuard)
    @Injectable()
    class Below {
      @OnPgNotify('orders')
      handle(): void {}
    }

    @UseGuards(NoGuard)
    @replace
    @Injectable()
    class Above {
      @OnPgNotify('orders')
      handle(): void {}
    }

    const { app } = await suite.create({ providers: [Below] });
    const refusal = await failureOf(app.init());
    expect(refusal).toMatchObject({ kind: 'configuration', permanent: true });
    expect(refusal.message).toBe(
      `@OnPgNotify('orders') on Below.handle cannot have @UseGuards(NoGuard) on its class: a decorator above it returns another class that does not extend this one, ` +
        `so Nest does not see it, and it would not run. Move @UseGuards(NoGuard) above that decorator, or to the method.`,
    );
    const { service } = await suite.start({ providers: [Above] });
    suite.bus.emit('orders');
    await suite.bus.settled();
    expect(service.stats()).toMatchObject({ delivered: 0, rejected: 1 });
  });
});
