import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Catch, Controller, Injectable, UseGuards } from '@nestjs/common';
import type {
  ArgumentMetadata,
  CallHandler,
  CanActivate,
  ExceptionFilter,
  ExecutionContext,
  NestInterceptor,
  PipeTransform,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, Reflector } from '@nestjs/core';
import { OnPgNotify } from 'nest-pg-notify';
import type { Observable } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import { handled } from '../support/handled.js';
import { Recorder } from '../support/recorder.js';

const suite = appSuite();
let log: Recorder<unknown>;

beforeEach(() => {
  log = new Recorder();
});

/** What is injected into enhancers, which Nest must make for that. */
@Injectable()
class Rules {
  readonly allowed: unknown[] = ['allowed'];
}

@Injectable()
class RulesGuard implements CanActivate {
  constructor(private readonly rules: Rules) {}

  canActivate(context: ExecutionContext): boolean {
    const [payload] = context.getArgs<[unknown]>();
    log.push(`guard of ${context.getClass().name}.${context.getHandler().name} saw ${String(payload)}`);
    return this.rules.allowed.includes(payload);
  }
}

class NoGuard implements CanActivate {
  canActivate(): boolean {
    log.push('guard refused');
    return false;
  }
}

describe('a guard', () => {
  it('withholds a notification from a handler of its controller, which counts as rejected and is no error', async () => {
    @Controller()
    @UseGuards(RulesGuard)
    class Guarded {
      @OnPgNotify('guarded')
      handle(payload: unknown): void {
        log.push(`handled ${String(payload)}`);
      }
    }

    const { service, logger } = await suite.start({ controllers: [Guarded], providers: [Rules] });
    await service.notify('guarded', 'forbidden');
    await service.notify('guarded', 'allowed');
    expect(await handled(service, 2)).toEqual({ delivered: 1, failed: 0, rejected: 1 });
    expect(log.items).toEqual([
      'guard of Guarded.handle saw forbidden',
      'guard of Guarded.handle saw allowed',
      'handled allowed',
    ]);
    expect(logger.texts('error')).toEqual([]);
  });

  it('withholds notifications only from the method that it stands on, whose metadata it can read', async () => {
    const Role = Reflector.createDecorator<string>();
    const role: CanActivate = {
      canActivate: (context) => {
        log.push(`role ${new Reflector().get(Role, context.getHandler())}`);
        return false;
      },
    };

    @Injectable()
    class Handlers {
      @OnPgNotify('roles')
      @Role('admin')
      @UseGuards(role)
      guarded(): void {
        log.push('guarded');
      }

      @OnPgNotify('roles')
      open(): void {
        log.push('open');
      }
    }

    const { service } = await suite.start({ providers: [Handlers] });
    await service.notify('roles', 1);
    expect(await handled(service, 2)).toEqual({ delivered: 1, failed: 0, rejected: 1 });
    expect(log.items.map(String).toSorted()).toEqual(['open', 'role admin']);
  });

  it('stays in force when a spy replaces the method', async () => {
    @Injectable()
    class Handlers {
      readonly spy = jest.fn<(payload: unknown) => void>();

      constructor() {
        this.handle = this.spy.mockImplementation(this.handle.bind(this));
      }

      @OnPgNotify('spied')
      @UseGuards(RulesGuard)
      handle(payload: unknown): void {
        log.push(`handled ${String(payload)}`);
      }
    }

    const { app, service } = await suite.start({ providers: [Handlers, Rules] });
    await service.notify('spied', 'forbidden');
    await service.notify('spied', 'allowed');
    expect(await handled(service, 2)).toEqual({ delivered: 1, failed: 0, rejected: 1 });
    expect(app.get(Handlers).spy.mock.calls).toEqual([['allowed', expect.anything(), expect.anything()]]);
  });

  it('is inherited with the method and with the class', async () => {
    @UseGuards(NoGuard)
    class GuardedParent {}

    class Parent {
      @OnPgNotify('inherited')
      @UseGuards(NoGuard)
      handle(): void {
        log.push('handled');
      }
    }

    @Injectable()
    class Child extends Parent {}

    @Injectable()
    class GuardedChild extends GuardedParent {
      @OnPgNotify('inherited')
      handle(): void {
        log.push('handled');
      }
    }

    const { service } = await suite.start({ providers: [Child, GuardedChild] });
    await service.notify('inherited');
    expect(await handled(service, 2)).toEqual({ delivered: 0, failed: 0, rejected: 2 });
    expect(log.items).toEqual(['guard refused', 'guard refused']);
  });
});

describe('global enhancers', () => {
  @Injectable()
  class GlobalPipe implements PipeTransform {
    transform(value: unknown, { type }: ArgumentMetadata): unknown {
      log.push(`pipe saw the ${type}`);
      return value;
    }
  }

  @Catch()
  class GlobalFilter implements ExceptionFilter {
    catch(error: unknown): void {
      log.push(`filter caught ${(error as Error).message}`);
    }
  }

  @Injectable()
  class GlobalInterceptor implements NestInterceptor {
    intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
      log.push('interceptor');
      return next.handle();
    }
  }

  @Injectable()
  class Handlers {
    @OnPgNotify('global')
    handle(payload: unknown): void {
      log.push(`provider handled ${String(payload)}`);
    }
  }

  @Controller()
  class Handling {
    @OnPgNotify('global')
    handle(payload: unknown): void {
      log.push(`controller handled ${String(payload)}`);
      throw new Error('after all');
    }
  }

  const GLOBALS = [
    Rules,
    { provide: APP_GUARD, useClass: RulesGuard },
    { provide: APP_PIPE, useClass: GlobalPipe },
    { provide: APP_FILTER, useClass: GlobalFilter },
    { provide: APP_INTERCEPTOR, useClass: GlobalInterceptor },
  ];

  it('are not called for notifications by default', async () => {
    const { app, service, logger } = await suite.create({
      controllers: [Handling],
      providers: [Handlers, ...GLOBALS],
    });
    app.useGlobalGuards(new NoGuard());
    await app.init();
    await service.notify('global', 'forbidden');
    expect(await handled(service, 2)).toEqual({ delivered: 1, failed: 1 });
    expect(log.items.map(String).toSorted()).toEqual(['controller handled forbidden', 'provider handled forbidden']);
    expect(logger.texts('error')).toHaveLength(1);
  });

  it('are called for notifications with globalEnhancers', async () => {
    const { service, logger } = await suite.start({
      controllers: [Handling],
      providers: [Handlers, ...GLOBALS],
      handlers: { globalEnhancers: true },
    });
    await service.notify('global', 'allowed');
    expect(await handled(service, 2)).toEqual({ delivered: 2, failed: 0 });
    expect(log.items.map(String).toSorted()).toEqual([
      'controller handled allowed',
      'filter caught after all',
      'guard of Handlers.handle saw allowed',
      'guard of Handling.handle saw allowed',
      'interceptor',
      'interceptor',
      'pipe saw the body',
      'pipe saw the body',
      'provider handled allowed',
    ]);
    expect(logger.texts('error')).toEqual([]);
  });

  it('are called for notifications with globalEnhancers when given to the application as well', async () => {
    const { app, service, logger } = await suite.create({ providers: [Handlers], handlers: { globalEnhancers: true } });
    app.useGlobalGuards(new NoGuard());
    await app.init();
    await service.notify('global', 'allowed');
    expect(await handled(service, 1)).toEqual({ delivered: 0, failed: 0, rejected: 1 });
    expect(log.items).toEqual(['guard refused']);
    expect(logger.texts('error')).toEqual([]);
  });
});
