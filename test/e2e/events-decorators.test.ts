import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Controller,
  Inject,
  Injectable,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import type {
  ArgumentMetadata,
  ArgumentsHost,
  CallHandler,
  CanActivate,
  ExceptionFilter,
  ExecutionContext,
  NestInterceptor,
  PipeTransform,
} from '@nestjs/common';
import { APP_GUARD, REQUEST } from '@nestjs/core';
import { definePgChannel, getPgNotifyContext, isPgNotifyContext } from 'nest-pg-notify';
import { OnPgEvent, PgEventRejection } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext, PgEvents } from 'nest-pg-notify/events';
import type { Observable } from 'rxjs';
import { z } from 'zod';
import { eventsSuite } from '../support/app/events-suite.js';
import type { CapturingLogger } from '../support/capturing-logger.js';
import { eventually, Recorder } from '../support/recorder.js';

const suite = eventsSuite();
let log: Recorder<string>;

beforeEach(() => {
  log = new Recorder();
});

/** The dead letters of a consumer, as soon as there are as many. */
function deadLetters(events: PgEvents, consumer: string, count: number) {
  return eventually(
    () => events.deadLetters(consumer),
    ({ length }) => length === count,
  );
}

/** What the log says of dead letters, which it learns a moment after the database. */
function reported(logger: CapturingLogger): Promise<readonly string[]> {
  const letters = (): readonly string[] => logger.texts('error').filter((text) => text.includes('is a dead letter'));
  return eventually(letters, ({ length }) => length > 0);
}

@Injectable()
class Rules {
  readonly allowed: unknown[] = ['allowed'];
}

@Injectable()
class RulesGuard implements CanActivate {
  constructor(private readonly rules: Rules) {}

  canActivate(context: ExecutionContext): boolean {
    const [payload] = context.getArgs<[unknown]>();
    return this.rules.allowed.includes(payload);
  }
}

describe('a guard', () => {
  it('turns a rejected event into a dead letter at once, on a controller too', async () => {
    @Controller()
    @UseGuards(RulesGuard)
    class Guarded {
      @OnPgEvent('guarded', { consumer: 'guarded' })
      handle(payload: string): void {
        log.push(payload);
      }
    }
    const { events } = await suite.start({ controllers: [Guarded], providers: [Rules] });
    await events.publish('guarded', 'forbidden', { executor: false });
    await events.publish('guarded', 'allowed', { executor: false });
    expect(await log.until(1)).toEqual(['allowed']);
    const [letter] = await deadLetters(events, 'guarded', 1);
    expect(letter).toMatchObject({ payload: '"forbidden"', attempts: 1 });
    expect(letter!.error).toContain('Forbidden');
  });

  it('sees the context of the run', async () => {
    @Injectable()
    class Seeing implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        const { kind, handler, consumer } = getPgNotifyContext(context) as PgEventContext;
        log.push(`${isPgNotifyContext(context)} ${kind} ${handler} ${consumer} ${context.getHandler().name}`);
        return true;
      }
    }
    @Injectable()
    class Handlers {
      @OnPgEvent('seen', { consumer: 'seen' })
      @UseGuards(Seeing)
      handle(): void {}
    }
    const { events } = await suite.start({ providers: [Handlers] });
    await events.publish('seen', 1, { executor: false });
    expect(await log.until(1)).toEqual(['true event Handlers.handle seen handle']);
  });

  it('runs as a global guard only with globalEnhancers', async () => {
    @Injectable()
    class Global implements CanActivate {
      canActivate(): boolean {
        log.push('global guard');
        return true;
      }
    }
    @Injectable()
    class Handlers {
      @OnPgEvent('global', { consumer: 'global' })
      handle(payload: string): void {
        log.push(payload);
      }
    }
    const providers = [Handlers, { provide: APP_GUARD, useClass: Global }];
    const without = await suite.start({ providers });
    await without.events.publish('global', 'one', { executor: false });
    await log.until(1);
    await without.app.close();
    const { events } = await suite.start({ providers, handlers: { globalEnhancers: true } });
    await events.publish('global', 'two', { executor: false });
    expect(await log.until(3)).toEqual(['one', 'global guard', 'two']);
  });
});

describe('an interceptor, a pipe and a filter', () => {
  it("run around a method: the pipe gets the payload as a body, the filter gets the method's error", async () => {
    @Injectable()
    class Around implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
        log.push('before');
        return next.handle();
      }
    }
    const pipe: PipeTransform = {
      transform: (payload: number, { type }: ArgumentMetadata) => `${type} ${payload}`,
    };
    @Catch(RangeError)
    class RangeFilter implements ExceptionFilter {
      catch(error: RangeError, host: ArgumentsHost): void {
        log.push(`caught ${error.message} in ${host.getType()}`);
      }
    }
    @Injectable()
    class Handlers {
      @OnPgEvent('around', { consumer: 'around' })
      @UseInterceptors(Around)
      @UsePipes(pipe)
      @UseFilters(RangeFilter)
      handle(payload: unknown, event: PgEvent<number>): void {
        log.push(`${String(payload)} of ${event.payload}`);
        throw new RangeError('too much');
      }
    }
    const { events } = await suite.start({ providers: [Handlers] });
    await events.publish('around', 7, { executor: false });
    expect(await log.until(3)).toEqual(['before', 'body 7 of 7', 'caught too much in pg-notify']);
    const settled = (): Promise<boolean> =>
      events.consumers().then((all) => all.some((state) => state.consumer === 'around' && state.waiting === 0));
    await eventually(settled, Boolean);
    expect(await events.deadLetters('around')).toEqual([]);
  });

  it('get lists for a batch', async () => {
    const pipe: PipeTransform = { transform: (payloads: readonly number[]) => payloads.map((each) => each * 2) };

    @Injectable()
    class Handlers {
      @OnPgEvent('doubled', { consumer: 'doubled', batch: { maxSize: 10 } })
      @UsePipes(pipe)
      handle(payloads: number[], events: PgEvent<number>[]): void {
        log.push(`${payloads.join()} of ${events.map(({ payload }) => payload).join()}`);
      }
    }
    const { events } = await suite.start({ providers: [Handlers] });
    await events.publishMany('doubled', [{ payload: 1 }, { payload: 2 }], { executor: false });
    expect(await log.until(1)).toEqual(['2,4 of 1,2']);
  });
});

describe('a request-scoped provider', () => {
  it('is created for each run, with the context of the run as REQUEST', async () => {
    let made = 0;

    @Injectable({ scope: Scope.REQUEST })
    class Handlers {
      readonly number = ++made;

      constructor(@Inject(REQUEST) private readonly request: PgEventContext) {}

      @OnPgEvent('scoped', { consumer: 'scoped' })
      handle(payload: unknown, event: PgEvent, context: PgEventContext): void {
        const { request } = this;
        const isSame = request === context && request.event === event;
        log.push(`${this.number}: ${String(payload)}, ${isSame}, ${request.kind} for ${request.consumer}`);
      }
    }
    const { events } = await suite.start({ providers: [Handlers] });
    await events.publish('scoped', 'a', { executor: false });
    await events.publish('scoped', 'b', { executor: false });
    expect(await log.until(2)).toEqual(['1: a, true, event for scoped', '2: b, true, event for scoped']);
  });

  it('gets the transaction of a transactional consumer in its context', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Repository {
      constructor(@Inject(REQUEST) private readonly context: PgEventContext) {}

      async transaction(): Promise<string> {
        const { rows } = await this.context.tx.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
        return rows[0]!.id;
      }
    }
    @Injectable()
    class Handlers {
      constructor(private readonly repository: Repository) {}

      @OnPgEvent('scoped_tx', { consumer: 'scoped tx', transactional: true })
      async handle(_payload: unknown, _event: PgEvent, { tx }: PgEventContext): Promise<void> {
        const { rows } = await tx.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
        log.push(`the same: ${rows[0]!.id === (await this.repository.transaction())}`);
      }
    }
    const { events } = await suite.start({ providers: [Handlers, Repository] });
    await events.publish('scoped_tx', 'a', { executor: false });
    expect(await log.until(1)).toEqual(['the same: true']);
  });
});

describe('a method of @OnPgEvent()', () => {
  it('is called again when it fails, with the number of the attempt', async () => {
    @Injectable()
    class Handlers {
      @OnPgEvent('again', { consumer: 'again', retry: { delay: 1 } })
      handle(_payload: unknown, { id }: PgEvent, { attempt }: PgEventContext): void {
        log.push(`${id} ${attempt}`);
        if (attempt < 3) throw new Error('not yet');
      }
    }
    const { events } = await suite.start({ providers: [Handlers] });
    const id = await events.publish('again', 1, { executor: false });
    expect(await log.until(3)).toEqual([`${id} 1`, `${id} 2`, `${id} 3`]);
  });

  it("uses the module's retry, unless the decorator has its own", async () => {
    @Injectable()
    class Handlers {
      @OnPgEvent('retries', { consumer: 'standard' })
      standard(): void {
        throw new Error('standard');
      }

      @OnPgEvent('retries', { consumer: 'own', retry: { attempts: 1 } })
      own(): void {
        throw new Error('own');
      }
    }
    const retry = { attempts: 2, delay: 1, maxDelay: 1 };
    const { events } = await suite.start({ providers: [Handlers], events: { retry } });
    await events.publish('retries', 1, { executor: false });
    expect(await deadLetters(events, 'standard', 1)).toMatchObject([{ attempts: 2, error: 'standard' }]);
    expect(await deadLetters(events, 'own', 1)).toMatchObject([{ attempts: 1, error: 'own' }]);
  });

  it('makes a dead letter at once by throwing a PgEventRejection', async () => {
    @Injectable()
    class Handlers {
      @OnPgEvent('rejected', { consumer: 'rejected' })
      handle(): void {
        throw new PgEventRejection('never');
      }
    }
    const { events, logger } = await suite.start({ providers: [Handlers] });
    await events.publish('rejected', 1, { executor: false });
    expect(await deadLetters(events, 'rejected', 1)).toMatchObject([{ attempts: 1, error: 'never' }]);
    expect(await reported(logger)).toHaveLength(1);
  });

  it('never gets an event that does not match the schema, which becomes a dead letter and is not logged', async () => {
    const Checked = definePgChannel('checked', { schema: z.object({ id: z.number() }) });

    @Injectable()
    class Handlers {
      @OnPgEvent(Checked, { consumer: 'checked' })
      handle({ id }: { id: number }): void {
        log.push(String(id));
      }
    }
    const { events, logger } = await suite.start({ providers: [Handlers] });
    await events.publish('checked', { id: 'a secret' }, { executor: false });
    await events.publish(Checked, { id: 7 }, { executor: false });
    expect(await log.until(1)).toEqual(['7']);
    const [letter] = await deadLetters(events, 'checked', 1);
    expect(letter!.error).toContain('does not match the schema');
    expect(await reported(logger)).toHaveLength(1);
    expect([letter!.error, ...logger.texts('error'), ...logger.texts('warn')].join()).not.toContain('a secret');
  });

  it('fails at its timeout, and its signal is aborted', async () => {
    @Injectable()
    class Handlers {
      @OnPgEvent('endless', { consumer: 'endless', timeout: 20, retry: { attempts: 1 } })
      async handle(_payload: unknown, _event: PgEvent, { signal }: PgEventContext): Promise<void> {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        log.push('aborted');
      }
    }
    const { events } = await suite.start({ providers: [Handlers] });
    await events.publish('endless', 1, { executor: false });
    await log.until(1);
    const [letter] = await deadLetters(events, 'endless', 1);
    expect(letter!.error).toContain('20 ms');
  });
});
