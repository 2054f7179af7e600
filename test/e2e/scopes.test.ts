import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Inject, Injectable, Scope, UseFilters, UseGuards, UsePipes } from '@nestjs/common';
import type { ArgumentsHost, CanActivate, ExceptionFilter, ExecutionContext, PipeTransform } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, ContextIdFactory, REQUEST } from '@nestjs/core';
import type { ContextId, ContextIdStrategy, HostComponentInfo } from '@nestjs/core';
import { getPgNotifyContext, OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import type { PgNotification, PgNotifyContext } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { handled } from '../support/handled.js';
import { Recorder } from '../support/recorder.js';

const suite = appSuite();
let log: Recorder<string>;
let made: number;

beforeEach(() => {
  log = new Recorder();
  made = 0;
});

/** Numbers its instances, and says whether its constructor has run: Nest hands out mere prototypes as placeholders. */
@Injectable({ scope: Scope.REQUEST })
class PerRun {
  readonly number = ++made;

  constructor(@Inject(REQUEST) readonly context: PgNotifyContext) {}
}

describe('a request-scoped provider', () => {
  it('is made for each run, with the context of the run as REQUEST', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Handlers {
      readonly number = ++made;

      constructor(@Inject(REQUEST) private readonly request: PgNotifyContext) {}

      @OnPgNotify('scoped')
      handle(payload: unknown, notification: PgNotification, context: PgNotifyContext): void {
        const { request } = this;
        log.push(
          `${this.number}: ${String(payload)}, ${request === context && request.notification === notification}, ` +
            `${request.kind} of ${request.handler} on ${request.channel} of ${request.registration}`,
        );
      }
    }

    const { service } = await suite.start({ providers: [Handlers] });
    await service.notify('scoped', 'a');
    await service.notify('scoped', 'b');
    expect(await log.until(2)).toEqual([
      '1: a, true, notification of Handlers.handle on scoped of default',
      '2: b, true, notification of Handlers.handle on scoped of default',
    ]);
  });

  it('is recognised by what is injected into it, and serves gaps, batches and wake-ups as well', async () => {
    @Injectable()
    class Handlers {
      constructor(private readonly run: PerRun) {}

      @OnPgNotify('scoped', { batch: { maxSize: 1 } })
      handle(): void {
        this.tell();
      }

      @OnPgGap('scoped')
      reload(): void {
        this.tell();
      }

      @OnPgWakeUp('jobs', { pollInterval: 600_000, fallbackPollInterval: 600_000 })
      drain(): boolean {
        this.tell();
        return false;
      }

      private tell(): void {
        log.push(`${this.run.context.kind} of ${this.run.context.handler}`);
      }
    }

    const { service } = await suite.start({ providers: [Handlers, PerRun] });
    await service.notify('scoped', 1);
    const runs = await log.until((lines) => new Set(lines).size === 3);
    expect(new Set(runs)).toEqual(
      new Set(['gap of Handlers.reload', 'batch of Handlers.handle', 'wake-up of Handlers.drain']),
    );
    expect(made).toBeGreaterThanOrEqual(3);
  });

  it('can be a controller', async () => {
    @Controller({ scope: Scope.REQUEST })
    class Handling {
      constructor(private readonly run: PerRun) {}

      @OnPgNotify('scoped')
      handle(payload: unknown): void {
        log.push(`${this.run.number}: ${String(payload)} for ${this.run.context.handler}`);
      }
    }

    const { service } = await suite.start({ controllers: [Handling], providers: [PerRun] });
    await service.notify('scoped', 'a');
    await service.notify('scoped', 'b');
    expect(await log.until(2)).toEqual(['1: a for Handling.handle', '2: b for Handling.handle']);
  });

  it('fails the run for which it cannot be made, and is made for the next one', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Handlers {
      constructor() {
        if (++made === 1) throw new Error('no such luck');
      }

      @OnPgNotify('scoped')
      handle(payload: unknown): void {
        log.push(String(payload));
      }
    }

    const { service, logger } = await suite.start({ providers: [Handlers] });
    await service.notify('scoped', 'a');
    await service.notify('scoped', 'b');
    expect(await handled(service, 2)).toEqual({ delivered: 1, failed: 1 });
    expect(log.items).toEqual(['b']);
    expect(logger.texts('error')).toEqual([
      expect.stringContaining('Handler Handlers.handle failed for the channel "scoped": no such luck'),
    ]);
  });
});

describe('request-scoped enhancers', () => {
  @Injectable({ scope: Scope.REQUEST })
  class ScopedGuard implements CanActivate {
    constructor(private readonly run: PerRun) {}

    canActivate(context: ExecutionContext): boolean {
      log.push(`guard ${this.run.number}: ${this.run.context === getPgNotifyContext(context)}`);
      return true;
    }
  }

  @Injectable({ scope: Scope.REQUEST })
  class ScopedPipe implements PipeTransform {
    constructor(private readonly run: PerRun) {}

    transform(value: unknown): string {
      return `${String(value)} piped by ${this.run.number}`;
    }
  }

  @Injectable({ scope: Scope.REQUEST })
  class ScopedFilter implements ExceptionFilter {
    constructor(private readonly run: PerRun) {}

    catch(error: Error, host: ArgumentsHost): void {
      log.push(`filter ${this.run.number}: ${error.message}, ${this.run.context === getPgNotifyContext(host)}`);
    }
  }

  const expected = ['a', 'b'].flatMap((payload, index) => [
    `guard ${index + 1}: true`,
    `filter ${index + 1}: ${payload} piped by ${index + 1}, true`,
  ]);

  it('are made for each run, also on a provider and a controller that are not request-scoped', async () => {
    @Injectable()
    @UseGuards(ScopedGuard)
    @UseFilters(ScopedFilter)
    class Handlers {
      @OnPgNotify('of a provider')
      @UsePipes(ScopedPipe)
      handle(payload: unknown): never {
        throw new Error(String(payload));
      }
    }

    @Controller()
    @UsePipes(ScopedPipe)
    class Handling {
      @OnPgNotify('of a controller')
      @UseGuards(ScopedGuard)
      @UseFilters(ScopedFilter)
      handle(payload: unknown): never {
        throw new Error(String(payload));
      }
    }

    const { service, logger } = await suite.start({ controllers: [Handling], providers: [Handlers, PerRun] });
    for (const channel of ['of a provider', 'of a controller']) {
      made = 0;
      log = new Recorder();
      await service.notify(channel, 'a');
      await service.notify(channel, 'b');
      expect(await log.until(4)).toEqual(expected);
    }
    expect(await handled(service, 4)).toEqual({ delivered: 4, failed: 0 });
    expect(logger.texts('error')).toEqual([]);
  });

  it('work as global ones too, with globalEnhancers', async () => {
    @Injectable()
    class Handlers {
      readonly number = ++made;

      @OnPgNotify('of a provider')
      handle(payload: unknown): never {
        throw new Error(`${String(payload)} of ${this.number}`);
      }
    }

    @Controller()
    class Handling {
      @OnPgNotify('of a controller')
      handle(payload: unknown): never {
        throw new Error(String(payload));
      }
    }

    const { service } = await suite.start({
      controllers: [Handling],
      providers: [
        Handlers,
        PerRun,
        { provide: APP_GUARD, useClass: ScopedGuard },
        { provide: APP_FILTER, useClass: ScopedFilter },
      ],
      handlers: { globalEnhancers: true },
    });
    await service.notify('of a provider', 'a');
    await service.notify('of a provider', 'b');
    expect(await log.until(4)).toEqual([
      'guard 2: true',
      'filter 2: a of 1, true',
      'guard 3: true',
      'filter 3: b of 1, true',
    ]);
    await service.notify('of a controller', 'c');
    expect((await log.until(6)).slice(4)).toEqual(['guard 4: true', 'filter 4: c, true']);
  });
});

describe('a transient provider', () => {
  @Injectable({ scope: Scope.TRANSIENT })
  class Counter {
    readonly number = ++made;
  }

  @Injectable({ scope: Scope.TRANSIENT })
  class TransientGuard implements CanActivate {
    constructor(private readonly counter: Counter) {}

    canActivate(): boolean {
      log.push(`guard with ${typeof this.counter.number}`);
      return true;
    }
  }

  @Injectable({ scope: Scope.TRANSIENT })
  class Handlers {
    constructor(private readonly counter: Counter) {}

    @OnPgNotify('transient')
    first(payload: unknown): void {
      log.push(`first ${String(payload)} by ${this.counter.number}`);
    }

    @OnPgNotify('transient')
    @UseGuards(TransientGuard)
    second(payload: unknown): void {
      log.push(`second ${String(payload)} by ${this.counter.number}`);
    }
  }

  @Injectable()
  class Consumer {
    constructor(readonly handlers: Handlers) {}
  }

  it('is made once for each class that injects it', async () => {
    const { service } = await suite.start({
      providers: [Counter, Handlers, Consumer, { provide: 'alias', useExisting: Handlers }],
    });
    const before = made;
    await service.notify('transient', 'a');
    await service.notify('transient', 'b');
    expect(await handled(service, 4)).toEqual({ delivered: 4, failed: 0 });
    expect(made).toBe(before);
    const by = (line: string): string | undefined => log.items.find((item) => item.startsWith(line))?.split(' by ')[1];
    expect(by('first a')).toBe(by('first b'));
    expect(by('second a')).toBe(by('second b'));
    expect(by('first a')).not.toBe(by('second a'));
    expect(log.items.filter((line) => line.startsWith('guard'))).toEqual(Array(2).fill('guard with number'));
  });

  @Injectable({ scope: Scope.TRANSIENT })
  class TransientFilter implements ExceptionFilter {
    constructor(private readonly counter: Counter) {}

    catch(error: Error): void {
      log.push(`filter with ${typeof this.counter.number}: ${error.message}`);
    }
  }

  it('can be a guard or a filter, of a provider, a controller and a transient provider', async () => {
    @Injectable()
    @UseGuards(TransientGuard)
    @UseFilters(TransientFilter)
    class OfProvider {
      @OnPgNotify('guarded')
      handle(): void {
        throw new Error('provider');
      }
    }

    @Controller()
    class OfController {
      @OnPgNotify('guarded')
      @UseGuards(TransientGuard)
      @UseFilters(TransientFilter)
      handle(): void {
        throw new Error('controller');
      }
    }

    @Injectable({ scope: Scope.TRANSIENT })
    @UseGuards(TransientGuard)
    class OfTransient {
      @OnPgNotify('guarded')
      @UseFilters(TransientFilter)
      handle(): void {
        throw new Error('transient');
      }
    }

    const { service } = await suite.start({
      controllers: [OfController],
      providers: [OfProvider, OfTransient, Counter],
    });
    await service.notify('guarded');
    expect(await handled(service, 3)).toEqual({ delivered: 3, failed: 0 });
    expect(log.items.toSorted()).toEqual([
      'filter with number: controller',
      'filter with number: provider',
      'filter with number: transient',
      ...Array<string>(3).fill('guard with number'),
    ]);
  });

  it('can be a global guard, with globalEnhancers', async () => {
    @Injectable()
    class Plain {
      @OnPgNotify('guarded')
      handle(): void {}
    }

    const { service } = await suite.start({
      providers: [Plain, Counter, { provide: APP_GUARD, useClass: TransientGuard }],
      handlers: { globalEnhancers: true },
    });
    await service.notify('guarded');
    expect(await handled(service, 1)).toEqual({ delivered: 1, failed: 0 });
    expect(log.items).toEqual(['guard with number']);
  });
});

describe('a durable provider', () => {
  type Tenant = string;

  /** As Nest's documentation has it, by what a notification says. */
  class ByTenant implements ContextIdStrategy<PgNotifyContext> {
    private readonly tenants = new Map<Tenant, ContextId>();

    attach(contextId: ContextId, context: PgNotifyContext) {
      const { tenant } = context.notification!.payload as { tenant?: Tenant };
      if (!tenant) throw new Error('no tenant');
      const shared = this.tenants.get(tenant) ?? ContextIdFactory.create();
      this.tenants.set(tenant, shared);
      return {
        resolve: (info: HostComponentInfo) => (info.isTreeDurable ? shared : contextId),
        payload: { tenant },
      };
    }
  }

  @Injectable({ scope: Scope.REQUEST, durable: true })
  class Connection {
    readonly number = ++made;

    constructor(@Inject(REQUEST) readonly request: { tenant: Tenant }) {}
  }

  @Injectable()
  @UseFilters({
    catch: (error: unknown) => {
      throw error;
    },
  })
  class Handlers {
    constructor(private readonly connection: Connection) {}

    @OnPgNotify('tenants')
    handle({ value }: { value: string }): void {
      const { number, request } = this.connection;
      log.push(`${value} for ${request.tenant} by ${number}`);
    }
  }

  afterEach(() => ContextIdFactory.apply(undefined as never));

  it('is made once for each key of the strategy, and a strategy that throws fails only its run', async () => {
    ContextIdFactory.apply(new ByTenant());
    const { service, logger } = await suite.start({ providers: [Handlers, Connection] });
    for (const [value, tenant] of [['a', 'x'], ['b', 'y'], ['c'], ['d', 'x']]) {
      await service.notify('tenants', { value, tenant });
    }
    expect(await handled(service, 4)).toEqual({ delivered: 3, failed: 1 });
    expect(log.items).toEqual(['a for x by 1', 'b for y by 2', 'd for x by 1']);
    expect(logger.texts('error')).toEqual([
      expect.stringContaining('Handler Handlers.handle failed for the channel "tenants": no tenant'),
    ]);
  });

  it('is made for each run without a strategy', async () => {
    const { service } = await suite.start({ providers: [Handlers, Connection] });
    await service.notify('tenants', { value: 'a' });
    await service.notify('tenants', { value: 'b' });
    expect(await log.until(2)).toEqual(['a for undefined by 1', 'b for undefined by 2']);
  });
});
