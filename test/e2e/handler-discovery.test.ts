import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Injectable, Module, UseFilters, UseGuards, UseInterceptors, UsePipes } from '@nestjs/common';
import type { CanActivate, ModuleMetadata, Type } from '@nestjs/common';
import { OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import type { PgGap, PgNotifyContext, PgWakeUp } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { untilListeners } from '../support/backends.js';
import { handled } from '../support/handled.js';
import { Recorder } from '../support/recorder.js';

const suite = appSuite();
let log: Recorder<string>;

beforeEach(() => {
  log = new Recorder();
});

/** What each module provides for itself. */
@Injectable()
class Place {
  readonly name: string = 'nowhere';
}

const placeNamed = (name: string) => ({ provide: Place, useValue: { name } });

@Injectable()
class PlaceGuard implements CanActivate {
  constructor(private readonly place: Place) {}

  canActivate(): boolean {
    log.push(`guarded in ${this.place.name}`);
    return true;
  }
}

@Injectable()
class Guarded {
  constructor(private readonly place: Place) {}

  @OnPgNotify('events')
  @UseGuards(PlaceGuard)
  handle(payload: unknown): void {
    log.push(`handled in ${this.place.name}: ${String(payload)}`);
  }
}

function moduleOf(metadata: ModuleMetadata): Type {
  @Module(metadata)
  class SomeModule {}
  return SomeModule;
}

describe('a class of handlers', () => {
  it('handles in both modules that provide it, each with the guards of its module', async () => {
    const modules = ['the first module', 'the second module'].map((name) =>
      moduleOf({ providers: [Guarded, placeNamed(name)] }),
    );
    const { service } = await suite.start({ imports: modules });
    await service.notify('events', 1);
    expect(await handled(service, 2)).toEqual({ delivered: 2, failed: 0 });
    expect(log.items.toSorted()).toEqual([
      'guarded in the first module',
      'guarded in the second module',
      'handled in the first module: 1',
      'handled in the second module: 1',
    ]);
  });

  it('keeps its own parameters beside another class of the same name with a method of the same name', async () => {
    function sameName(type: Type): Type {
      @Injectable()
      class Handlers {
        @OnPgNotify('events')
        @UsePipes({ transform: (_value, { metatype }) => metatype?.name })
        handle(payload: unknown): void {
          log.push(String(payload));
        }
      }
      Reflect.defineMetadata('design:paramtypes', [type], Handlers.prototype, 'handle');
      return Handlers;
    }

    const { service } = await suite.start({ providers: [sameName(Date), sameName(Map)] });
    await service.notify('events', 1);
    expect((await log.until(2)).toSorted()).toEqual(['Date', 'Map']);
  });

  it('handles once under another token, however many aliases it has', async () => {
    const { service } = await suite.start({
      providers: [
        { provide: 'an alias before it', useExisting: 'handlers' },
        { provide: 'handlers', useClass: Plain },
        { provide: 'an alias', useExisting: 'handlers' },
        { provide: 'handed on', useFactory: (handlers: Plain) => handlers, inject: ['handlers'] },
      ],
    });
    await service.notify('plain', 1);
    expect(await handled(service, 1)).toEqual({ delivered: 1, failed: 0 });
    expect(service.stats().handlers).toHaveLength(1);
    expect(log.items).toEqual(['plain 1']);
  });

  it('can be an instance that a factory has made, or a value', async () => {
    class Value extends Plain {}
    const { service } = await suite.start({
      providers: [
        { provide: 'made', useFactory: () => new Plain() },
        { provide: 'value', useValue: new Value() },
      ],
    });
    await service.notify('plain', 1);
    expect(await handled(service, 2)).toEqual({ delivered: 2, failed: 0 });
    expect(
      service
        .stats()
        .handlers.map(({ handler }) => handler)
        .toSorted(),
    ).toEqual(['Plain.handle', 'Value.handle']);
  });

  it('has the enhancers that are instances, those of its class too, when a factory has made it', async () => {
    @UseGuards({ canActivate: () => false })
    @UseFilters({ catch: (error: Error) => log.push(error.message) })
    class Made {
      @OnPgNotify('made')
      handle(): void {
        log.push('handled');
      }
    }

    const { service } = await suite.start({
      providers: [
        { provide: 'made', useFactory: () => new Made() },
        { provide: 'value', useValue: new Made() },
      ],
    });
    await service.notify('made');
    expect(await handled(service, 2)).toEqual({ delivered: 0, failed: 0, rejected: 2 });
    expect(log.items).toEqual(['Forbidden resource', 'Forbidden resource']);
  });

  const decorators: [name: string, decorator: (enhancer: never) => ClassDecorator & MethodDecorator][] = [
    ['@UseGuards', UseGuards],
    ['@UseInterceptors', UseInterceptors],
    ['@UsePipes', UsePipes],
    ['@UseFilters', UseFilters],
  ];
  it.each(decorators)('cannot have what Nest would have to make when a factory has made it: %s', async (name, use) => {
    class Enhancer {
      readonly canActivate = (): boolean => false;
    }

    class OfMethod {
      @OnPgNotify('made')
      @use(Enhancer as never)
      handle(): void {}
    }

    @use(Enhancer as never)
    class OfClass {
      @OnPgNotify('made')
      handle(): void {}
    }

    for (const Made of [OfMethod, OfClass]) {
      const { app } = await suite.create({ providers: [{ provide: 'made', useFactory: () => new Made() }] });
      await expect(app.init()).rejects.toMatchObject({
        kind: 'configuration',
        message:
          `@OnPgNotify('made') on ${Made.name}.handle cannot have ${name}(Enhancer): Nest makes the guards, ` +
          `interceptors, pipes and filters of classes that stand in the providers or controllers of a module, and this ` +
          `instance came there in another way. List its class there, or write ${name}(new Enhancer(…)).`,
      });
      await untilListeners(suite.database, 0);
    }
  });
});

@Injectable()
class Plain {
  @OnPgNotify('plain')
  handle(payload: unknown): void {
    log.push(`plain ${String(payload)}`);
  }
}

describe('a method', () => {
  it('can be a handler of several kinds and channels', async () => {
    @Injectable()
    class Everything {
      @OnPgGap('first')
      @OnPgGap('second', { reasons: ['start'] })
      @OnPgWakeUp('third', { pollInterval: 600_000, fallbackPollInterval: 600_000 })
      @UseGuards({ canActivate: () => true })
      refresh(why: PgGap | PgWakeUp, context: PgNotifyContext): boolean {
        log.push(`${context.kind} ${why.reason} of ${why.channel}`);
        return false;
      }

      @OnPgNotify('first')
      @OnPgNotify('second', { batch: { maxSize: 1 } })
      @UsePipes({ transform: (value) => [value].flat() as unknown })
      handle(payload: unknown, _from: unknown, context: PgNotifyContext): void {
        log.push(`${context.kind} ${String(payload)} of ${context.channel}`);
      }
    }

    const { service } = await suite.start({ providers: [Everything] });
    await service.notify('first', 1);
    await service.notify('second', 2);
    const expected = ['gap start of first', 'gap start of second', 'notification 1 of first', 'batch 2 of second'];
    const seen = await log.until((lines) =>
      [...expected, 'wake-up start of third'].every((line) => lines.includes(line)),
    );
    expect(seen.filter((line) => !line.startsWith('wake-up')).toSorted()).toEqual(expected.toSorted());
    expect(service.stats().handlers).toHaveLength(5);
  });

  it('overrides another together with its decorators', async () => {
    @Injectable()
    class Parent {
      @OnPgNotify('parent')
      @UsePipes({ transform: () => 'piped by the parent' })
      handle(payload: unknown): void {
        log.push(`Parent: ${String(payload)}`);
      }
    }

    @Injectable()
    class Child extends Parent {
      @OnPgNotify('child')
      override handle(payload: unknown): void {
        log.push(`Child: ${String(payload)}`);
      }
    }

    const { service } = await suite.start({ providers: [Parent, Child] });
    await service.notify('parent', 1);
    await service.notify('child', 2);
    expect(await handled(service, 2)).toEqual({ delivered: 2, failed: 0 });
    expect(log.items.toSorted()).toEqual(['Child: 2', 'Parent: piped by the parent']);
  });

  it('is replaced by a spy that takes its place after the start', async () => {
    const { app, service } = await suite.start({ providers: [Plain] });
    const spy = jest
      .spyOn(app.get(Plain), 'handle')
      .mockImplementation((payload) => log.push(`spied ${String(payload)}`));
    await service.notify('plain', 1);
    expect(await log.until(1)).toEqual(['spied 1']);
    spy.mockRestore();
    await service.notify('plain', 2);
    expect(await log.until(2)).toEqual(['spied 1', 'plain 2']);
  });
});
