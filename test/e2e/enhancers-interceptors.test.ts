import { beforeEach, describe, expect, it } from '@jest/globals';
import { Catch, Controller, Get, Injectable, UseFilters, UseGuards, UseInterceptors } from '@nestjs/common';
import type {
  ArgumentsHost,
  CallHandler,
  CanActivate,
  ExceptionFilter,
  ExecutionContext,
  NestInterceptor,
} from '@nestjs/common';
import { getPgNotifyContext, isPgNotifyContext, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import type { PgWakeUp } from 'nest-pg-notify';
import { EMPTY, map, of, tap } from 'rxjs';
import type { Observable } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import { handled, runsOf } from '../support/handled.js';
import { eventually, Recorder } from '../support/recorder.js';

const suite = appSuite();
let log: Recorder<unknown>;

beforeEach(() => {
  log = new Recorder();
});

/** Leaves a trace before and after. */
function wrapper(name: string): NestInterceptor {
  return {
    intercept: (_context: ExecutionContext, next: CallHandler): Observable<unknown> => {
      log.push(`${name} begins`);
      return next.handle().pipe(tap(() => log.push(`${name} ends`)));
    },
  };
}

describe('an interceptor', () => {
  it('wraps the handler, that of the class around that of the method', async () => {
    @Injectable()
    @UseInterceptors(wrapper('class'))
    class Handlers {
      @OnPgNotify('wrapped')
      @UseInterceptors(wrapper('method'))
      async handle(): Promise<void> {
        log.push('handler begins');
        await Promise.resolve();
        log.push('handler ends');
      }
    }

    const { service } = await suite.start({ providers: [Handlers] });
    await service.notify('wrapped');
    expect(await handled(service, 1)).toEqual({ delivered: 1, failed: 0 });
    expect(log.items).toEqual([
      'class begins',
      'method begins',
      'handler begins',
      'handler ends',
      'method ends',
      'class ends',
    ]);
  });

  it('can change what a woken method returns, and with it whether it is called again', async () => {
    const never: NestInterceptor = { intercept: (_context, next) => next.handle().pipe(map(() => false)) };
    const once: NestInterceptor = {
      intercept: (context, next) =>
        next.handle().pipe(map(() => context.getArgs<[PgWakeUp]>()[0].reason === 'notification')),
    };

    @Injectable()
    class Workers {
      @OnPgWakeUp('jobs', { pollInterval: 600_000, fallbackPollInterval: 600_000 })
      @UseInterceptors(never)
      insatiable({ reason }: PgWakeUp): boolean {
        log.push(`insatiable: ${reason}`);
        return true;
      }

      @OnPgWakeUp('jobs', { pollInterval: 600_000, fallbackPollInterval: 600_000 })
      @UseInterceptors(once)
      modest({ reason }: PgWakeUp): boolean {
        log.push(`modest: ${reason}`);
        return false;
      }
    }

    const { service } = await suite.start({ providers: [Workers] });
    const reasons = (name: string): unknown[] => log.items.filter((line) => String(line).startsWith(name));
    const first = await eventually(
      () => service.stats(),
      ({ handlers }) => handlers.every(({ running, delivered }) => running === 0 && delivered >= 1),
    );
    await service.notify('jobs');
    await log.until((lines) => lines.includes('modest: again') && lines.includes('insatiable: notification'));
    await handled(service, runsOf(first).delivered + 3);
    expect(reasons('insatiable').filter((line) => line === 'insatiable: again')).toEqual([]);
    expect(reasons('modest').slice(-2)).toEqual(['modest: notification', 'modest: again']);
  });

  it('can withhold a notification from its handler with an empty stream, without a failure', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('empty')
      @UseInterceptors({ intercept: () => EMPTY })
      handle(): void {
        log.push('handled');
      }
    }

    const { service, logger } = await suite.start({ providers: [Handlers] });
    await service.notify('empty');
    expect(await handled(service, 1)).toEqual({ delivered: 1, failed: 0 });
    expect([log.items, logger.texts('error')]).toEqual([[], []]);
  });
});

describe('a handler that returns a stream', () => {
  it('is subscribed to until the stream ends, with enhancers and without', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('streams')
      plain(): Observable<unknown> {
        return of('plain 1', 'plain 2').pipe(tap(log.push));
      }

      @OnPgNotify('streams')
      @UseInterceptors(wrapper('interceptor'))
      intercepted(): Observable<unknown> {
        return of('intercepted').pipe(tap(log.push));
      }

      @OnPgNotify('streams')
      empty(): Observable<unknown> {
        return EMPTY;
      }
    }

    const { service } = await suite.start({ providers: [Handlers] });
    await service.notify('streams');
    expect(await handled(service, 3)).toEqual({ delivered: 3, failed: 0 });
    expect(log.items.map(String).toSorted()).toEqual([
      'intercepted',
      'interceptor begins',
      'interceptor ends',
      'plain 1',
      'plain 2',
    ]);
  });
});

describe('isPgNotifyContext() and getPgNotifyContext()', () => {
  /** All three in one, for handlers and for routes. */
  @Catch()
  class Observer implements CanActivate, NestInterceptor, ExceptionFilter {
    canActivate(context: ExecutionContext): boolean {
      return this.see('guard', context);
    }

    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      this.see('interceptor', context);
      return next.handle();
    }

    catch(_error: unknown, host: ArgumentsHost): void {
      this.see('filter', host);
      if (host.getType() === 'http') host.switchToHttp().getResponse<{ end: () => void }>().end();
    }

    private see(who: string, host: ArgumentsHost): true {
      const own = isPgNotifyContext(host);
      log.push([who, own && getPgNotifyContext(host).handler, host.getType(), own && host.getArgs().length]);
      return true;
    }
  }

  @Controller()
  @UseGuards(Observer)
  @UseInterceptors(Observer)
  @UseFilters(Observer)
  class Both {
    @OnPgNotify('both')
    @Get('both')
    handle(): void {
      throw new Error('for the filter');
    }

    @OnPgWakeUp('jobs', { pollInterval: 600_000, fallbackPollInterval: 600_000 })
    drain(): void {
      throw new Error('for the filter');
    }
  }

  it('tell a handler from a route', async () => {
    const { app, service } = await suite.start({ controllers: [Both] });
    const ofWorker = ['guard', 'interceptor', 'filter'].map((who) => [who, 'Both.drain', 'pg-notify', 2]);
    expect(await log.until(3)).toEqual(expect.arrayContaining(ofWorker));
    await eventually(
      () => service.stats().handlers,
      (handlers) => handlers.every(({ running }) => running === 0),
    );

    log = new Recorder();
    await service.notify('both');
    expect(await log.until(3)).toEqual(
      ['guard', 'interceptor', 'filter'].map((who) => [who, 'Both.handle', 'pg-notify', 3]),
    );

    log = new Recorder();
    await app.listen(0, '127.0.0.1');
    await fetch(`${await app.getUrl()}/both`);
    expect(log.items).toEqual(['guard', 'interceptor', 'filter'].map((who) => [who, false, 'http', false]));
  });
});
