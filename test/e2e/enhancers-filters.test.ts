import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Controller,
  ForbiddenException,
  Injectable,
  ParseIntPipe,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import type { ArgumentsHost, CanActivate, ExceptionFilter } from '@nestjs/common';
import { getPgNotifyContext, OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import type { PgGap, PgNotifyContext } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { handled } from '../support/handled.js';
import { Recorder } from '../support/recorder.js';

const suite = appSuite();
let log: Recorder<unknown>;

beforeEach(() => {
  log = new Recorder();
});

describe('a filter', () => {
  class Refusal extends Error {}

  @Injectable()
  class Reports {
    readonly seen: string[] = [];
  }

  /** Returns nothing, like most: the failure is handled. */
  @Catch(Refusal)
  class RefusalFilter implements ExceptionFilter {
    constructor(private readonly reports: Reports) {}

    catch(error: Error, host: ArgumentsHost): void {
      const [payload] = host.getArgs<[unknown]>();
      this.reports.seen.push(`${error.message} for ${String(payload)} on ${getPgNotifyContext(host).channel}`);
    }
  }

  function recording(name: string): ExceptionFilter {
    return { catch: (error: unknown) => log.push(`${name} caught ${(error as Error).message}`) };
  }

  function refuse(payload: unknown): never {
    throw payload === 'refuse' ? new Refusal('refused') : new TypeError('broken');
  }

  it('is made by Nest when given as a class, catches by type, and leaves other errors to be logged once', async () => {
    @Controller()
    @UseFilters(RefusalFilter)
    class OfClass {
      @OnPgNotify('filtered')
      handle(payload: unknown): void {
        refuse(payload);
      }
    }

    @Injectable()
    class OfMethod {
      @OnPgNotify('filtered')
      @UseFilters(RefusalFilter)
      async handle(payload: unknown): Promise<void> {
        await Promise.resolve();
        refuse(payload);
      }
    }

    const { app, service, logger } = await suite.start({ controllers: [OfClass], providers: [OfMethod, Reports] });
    await service.notify('filtered', 'refuse');
    expect(await handled(service, 2)).toEqual({ delivered: 2, failed: 0 });
    expect(app.get(Reports).seen).toEqual(Array(2).fill('refused for refuse on filtered'));
    expect(logger.texts('error')).toEqual([]);

    await service.notify('filtered', 'break');
    expect(await handled(service, 4)).toEqual({ delivered: 2, failed: 2 });
    expect(logger.texts('error').toSorted()).toEqual([
      expect.stringContaining('Handler OfClass.handle failed for the channel "filtered": broken'),
      expect.stringContaining('Handler OfMethod.handle failed for the channel "filtered": broken'),
    ]);
  });

  it('catches when given as an instance, that of the method before that of the class, the last one first', async () => {
    @Injectable()
    @UseFilters(recording('class'))
    class Handlers {
      @OnPgNotify('instances')
      @UseFilters(recording('method'), new RefusalFilter(new Reports()))
      handle(payload: unknown): void {
        refuse(payload);
      }

      @OnPgNotify('instances')
      other(payload: unknown): void {
        refuse(payload);
      }
    }

    const { service, logger } = await suite.start({ providers: [Handlers] });
    await service.notify('instances', 'refuse');
    await service.notify('instances', 'break');
    expect(await handled(service, 4)).toEqual({ delivered: 4, failed: 0 });
    expect(log.items.map(String).toSorted()).toEqual([
      'class caught broken',
      'class caught refused',
      'method caught broken',
    ]);
    expect(logger.texts('error')).toEqual([]);
  });

  it('catches what guards, interceptors and pipes throw', async () => {
    @Injectable()
    @UseFilters(recording('filter'))
    class Handlers {
      @OnPgNotify('thrown')
      @UseGuards({ canActivate: () => false })
      guarded(): void {}

      @OnPgNotify('thrown')
      @UsePipes(ParseIntPipe)
      piped(): void {}

      @OnPgNotify('thrown')
      @UseInterceptors({ intercept: () => refuse('refuse') })
      intercepted(): void {}
    }

    const { service, logger } = await suite.start({ providers: [Handlers] });
    await service.notify('thrown', 'no number');
    expect(await handled(service, 3)).toEqual({ delivered: 2, failed: 0, rejected: 1 });
    expect(log.items.map(String).toSorted()).toEqual([
      'filter caught Forbidden resource',
      'filter caught Validation failed (numeric string is expected)',
      'filter caught refused',
    ]);
    expect(logger.texts('error')).toEqual([]);
  });

  it('leaves the error to be logged once when it fails itself, or throws what it has caught', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('again')
      @UseFilters({
        catch: (error) => {
          throw error;
        },
      })
      throws(payload: unknown): void {
        refuse(payload);
      }

      @OnPgNotify('again')
      @UseFilters({ catch: () => Promise.reject(new Error('the filter is broken')) })
      rejects(payload: unknown): void {
        refuse(payload);
      }
    }

    const { service, logger } = await suite.start({ providers: [Handlers] });
    await service.notify('again', 'refuse');
    expect(await handled(service, 2)).toEqual({ delivered: 0, failed: 2 });
    expect(logger.texts('error').toSorted()).toEqual([
      expect.stringContaining(
        'Handler Handlers.rejects failed for the channel "again": refused; the filter that caught it failed as well: the filter is broken',
      ),
      expect.stringContaining('Handler Handlers.throws failed for the channel "again": refused'),
    ]);
  });
});

describe('gap methods and woken methods', () => {
  it('do not run while a guard refuses, and a gap is tried again until the guard lets it pass', async () => {
    const verdicts = [false, true];
    const strict: CanActivate = { canActivate: () => verdicts.shift() ?? true };

    @Injectable()
    class Cache {
      @OnPgNotify('cache')
      evict(payload: unknown): void {
        log.push(`evicted ${String(payload)}`);
      }

      @OnPgGap('cache')
      @UseGuards(strict)
      reload({ reason }: PgGap, context: PgNotifyContext): void {
        log.push(`reloaded for ${reason}, ${context.gap?.reason}`);
      }
    }

    const { service, logger } = await suite.start({ providers: [Cache] });
    await service.notify('cache', 1);
    expect(await log.until(2)).toEqual(['reloaded for start, start', 'evicted 1']);
    expect(logger.texts('error')).toEqual([]);
    expect(logger.texts('warn')).toEqual([
      expect.stringContaining(
        'A guard kept the handler Cache.reload from running for the channel "cache": Forbidden resource. ' +
          'It is asked again, and the handlers of the same provider and channel wait until it lets the method run.',
      ),
    ]);
  });

  it('succeed if a filter caught what they threw', async () => {
    const filter: ExceptionFilter = {
      catch: (error: Error, host) => log.push(`${error.message}: ${getPgNotifyContext(host).kind}`),
    };

    @Injectable()
    @UseFilters(filter)
    class Worker {
      @OnPgNotify('work')
      handle(payload: unknown): void {
        log.push(`handled ${String(payload)}`);
      }

      @OnPgGap('work')
      reload(): never {
        throw new Error('cannot reload');
      }

      @OnPgWakeUp('other work', { pollInterval: 600_000, fallbackPollInterval: 600_000 })
      drain(): never {
        throw new ForbiddenException('cannot drain');
      }
    }

    const { service, logger } = await suite.start({ providers: [Worker] });
    await service.notify('work', 1);
    await log.until((lines) => lines.includes('handled 1') && lines.includes('cannot drain: wake-up'));
    expect(log.items.filter((line) => line === 'cannot reload: gap')).toHaveLength(1);
    expect(service.stats().failed).toBe(0);
    expect(logger.texts('error')).toEqual([]);
  });
});
