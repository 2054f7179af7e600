import { describe, expect, it } from '@jest/globals';
import { Catch, Injectable, UseFilters, UseGuards } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter, ModuleMetadata } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import type { PgNotifyError } from 'nest-pg-notify';
import { firstValueFrom, NEVER, Subject, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';

const suite = appSuite({ bus: true });

async function start(metadata: ModuleMetadata) {
  const subject = await suite.start(metadata);
  const errors: PgNotifyError[] = [];
  subject.service.errors$.subscribe((error) => errors.push(error));
  return { ...subject, bus: suite.bus, errors };
}

describe('what a handler throws', () => {
  @Catch()
  class HttpFilter implements ExceptionFilter {
    catch(_error: unknown, host: ArgumentsHost): void {
      const response = host.switchToHttp().getResponse<{ status(code: number): void }>();
      response.status(500);
    }
  }

  it('is reported together with what the filter throws that caught it', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      @UseFilters(HttpFilter)
      handle(): void {
        throw new RangeError('out of stock');
      }
    }

    const { bus, service, logger, errors } = await start({ providers: [Handlers] });
    bus.emit('orders');
    await bus.settled();
    expect(errors).toHaveLength(1);
    expect(errors[0]!.message).toBe(
      'Handler Handlers.handle failed for the channel "orders": out of stock; the filter that caught it (HttpFilter) failed as well: response.status is not a function',
    );
    const { cause } = errors[0]!;
    expect(cause).toBeInstanceOf(AggregateError);
    expect((cause as AggregateError).errors).toEqual([new RangeError('out of stock'), expect.any(TypeError)]);
    const [line] = logger.texts('error');
    expect(line).toContain('RangeError: out of stock\n    at ');
    expect(line).toContain('TypeError: response.status is not a function\n    at ');
    expect(service.stats()).toMatchObject({ failed: 1 });
  });

  it('is a failure, not a rejection, if the filter of what a guard threw fails', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      @UseGuards({ canActivate: () => false })
      @UseFilters(HttpFilter)
      handle(): void {}
    }

    const { bus, service, errors } = await start({ providers: [Handlers] });
    bus.emit('orders');
    await bus.settled();
    expect(service.stats()).toMatchObject({ failed: 1, rejected: 0 });
    expect(errors[0]!.message).toContain('Forbidden resource; the filter that caught it (HttpFilter) failed as well: ');
  });

  it('is reported when its filter returns a stream that fails, as filters of microservices do', async () => {
    @Catch()
    class RpcFilter {
      catch(error: unknown): Observable<never> {
        return throwError(() => error);
      }
    }

    @Catch()
    class AnsweringFilter {
      catch(): Observable<never> {
        return throwError(() => ({ status: 'error' }));
      }
    }

    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      @UseFilters(RpcFilter)
      handle(): void {
        throw new RangeError('out of stock');
      }

      @OnPgNotify('answers')
      @UseFilters(AnsweringFilter)
      answer(): void {
        throw new RangeError('out of stock');
      }

      @OnPgNotify('guarded')
      @UseGuards({ canActivate: () => false })
      @UseFilters(RpcFilter)
      guarded(): void {}
    }

    const { bus, service, errors } = await start({ providers: [Handlers] });
    bus.emit('orders');
    bus.emit('guarded');
    await bus.settled();
    bus.emit('answers');
    await bus.settled();
    expect(service.stats()).toMatchObject({ delivered: 0, failed: 2, rejected: 1 });
    expect(errors.map(({ message }) => message)).toEqual([
      'Handler Handlers.handle failed for the channel "orders": out of stock',
      'Handler Handlers.answer failed for the channel "answers": out of stock; the filter that caught it (AnsweringFilter) failed as well: something that is no Error was thrown',
    ]);
  });

  it('is handled when its filter returns a stream that ends, which is awaited, at most until the timeout', async () => {
    const ends = new Subject<never>();

    @Injectable()
    class Handlers {
      @OnPgNotify('orders', { timeout: 20 })
      @UseFilters({ catch: () => NEVER })
      late(): void {
        throw new RangeError('out of stock');
      }

      @OnPgNotify('orders')
      @UseFilters({ catch: () => ends })
      handle(): void {
        throw new RangeError('out of stock');
      }
    }

    const { bus, service, errors } = await start({ providers: [Handlers] });
    const failed = firstValueFrom(service.errors$);
    bus.emit('orders');
    expect((await failed).message).toContain('Handlers.late failed for the channel "orders": It took longer than');
    expect(service.stats()).toMatchObject({ delivered: 0, failed: 1 });
    ends.complete();
    await bus.settled();
    expect(service.stats()).toMatchObject({ delivered: 1, failed: 1 });
    expect(errors).toHaveLength(1);
  });

  it('is reported in full if it is several errors without a message of their own', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      handle(): void {
        // As Node has it for a host name with several addresses.
        throw new AggregateError([
          new Error('connect ECONNREFUSED ::1:5432'),
          new Error('connect ECONNREFUSED 127.0.0.1:5432'),
        ]);
      }
    }

    const { bus, errors, logger } = await start({ providers: [Handlers] });
    bus.emit('orders');
    await bus.settled();
    expect(errors[0]!.message).toContain(': connect ECONNREFUSED ::1:5432; connect ECONNREFUSED 127.0.0.1:5432');
    expect(logger.texts('error')[0]).toContain('Error: connect ECONNREFUSED ::1:5432\n    at ');
  });

  it('is named by its class if it has no message, and printed to an end if it is circular', async () => {
    class OutOfStock extends Error {}
    const [one, other] = [new AggregateError([], ''), new AggregateError([], '')];
    one.errors.push(other, other, other, other);
    other.errors.push(one, one, one, one);
    const thrown: Readonly<Record<string, unknown>> = { class: new OutOfStock(), circular: one, text: '' };

    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      handle(which: string): void {
        throw thrown[which];
      }
    }

    const { bus, errors } = await start({ providers: [Handlers] });
    for (const which of Object.keys(thrown)) {
      bus.emit('orders', which);
      await bus.settled();
    }
    const messages = errors.map(({ message }) =>
      message.replace('Handler Handlers.handle failed for the channel "orders": ', ''),
    );
    expect(messages).toEqual([
      'OutOfStock without a message',
      expect.stringMatching(/^(AggregateError without a message(; )?){64}$/),
      'String without a message',
    ]);
  });

  it('reaches the log without control characters, in its message and its stack', async () => {
    const ESC = '\u001b';

    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      handle(): void {
        throw new Error(`first\r\n[Nest] 1 - LOG [Forged] all is well ${ESC}[2J\u202e`);
      }
    }

    const { bus, logger, errors } = await start({ providers: [Handlers] });
    bus.emit('orders');
    await bus.settled();
    const [line] = logger.texts('error');
    expect(line).toContain(
      'failed for the channel "orders": first\\r\\n[Nest] 1 - LOG [Forged] all is well \\e[2J\\u202e',
    );
    expect(line).not.toContain(ESC);
    expect(line).not.toContain('\r');
    expect(
      line!
        .split('\n')
        .slice(1)
        .every((frame) => /^ {4}at /.test(frame)),
    ).toBe(true);
    // Programs get it as it was thrown.
    expect((errors[0]!.cause as Error).message).toContain('\r\n[Nest]');
  });
});
