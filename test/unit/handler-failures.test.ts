import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  BadRequestException,
  ForbiddenException,
  Injectable,
  StandardSchemaValidationPipe,
  UnauthorizedException,
  UseFilters,
  UseGuards,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import type { CanActivate, ModuleMetadata } from '@nestjs/common';
import { type } from 'arktype';
import { IsEmail, IsInt, MinLength } from 'class-validator';
import fc from 'fast-check';
import { definePgChannel, OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import type { PgChannel, PgNotifyDiagnosticsEvents, PgNotifyError } from 'nest-pg-notify';
import * as v from 'valibot';
import { z } from 'zod';
import { appSuite } from '../support/app/app-suite.js';

const suite = appSuite({ bus: true });
let log: string[];

beforeEach(() => {
  log = [];
});

async function start(metadata: ModuleMetadata) {
  const subject = await suite.start(metadata);
  const errors: PgNotifyError[] = [];
  subject.service.errors$.subscribe((error) => errors.push(error));
  return { ...subject, bus: suite.bus, errors };
}

/** What a guard does with a payload of this name. */
const VERDICTS: Readonly<Record<string, () => boolean>> = {
  'says yes': () => true,
  'says no': () => false,
  'does not know who it is': () => {
    throw new UnauthorizedException();
  },
  'has an error of microservices': () => {
    throw Object.assign(new Error('not allowed'), { getError: () => 'not allowed' });
  },
  'is broken': () => {
    throw new TypeError('cannot read the role');
  },
  'has no database': () => {
    throw Object.assign(new Error('Service Unavailable'), { getStatus: () => 503 });
  },
};

const guard: CanActivate = { canActivate: (context) => VERDICTS[context.getArgs<[string]>()[0]]!() };

describe('a guard that refuses', () => {
  @Injectable()
  class Guarded {
    @OnPgNotify('guarded')
    @UseGuards(guard)
    handle(payload: string): void {
      log.push(payload);
    }
  }

  it.each(['says no', 'does not know who it is', 'has an error of microservices'])(
    'is counted apart, logged at debug level, and not reported as a failure: one that %s',
    async (verdict) => {
      const events: PgNotifyDiagnosticsEvents['nest-pg-notify.rejected'][] = [];
      const onRejected = (event: unknown): void => void events.push(event as (typeof events)[number]);
      subscribe('nest-pg-notify.rejected', onRejected);
      const { bus, service, logger, errors } = await start({ providers: [Guarded] });
      bus.emit('guarded', verdict);
      bus.emit('guarded', 'says yes');
      await bus.settled();
      unsubscribe('nest-pg-notify.rejected', onRejected);
      expect(log).toEqual(['says yes']);
      expect(service.stats()).toMatchObject({
        received: 2,
        delivered: 1,
        failed: 0,
        rejected: 1,
        handlers: [{ delivered: 1, failed: 0, rejected: 1 }],
      });
      expect(errors).toEqual([]);
      expect([...logger.texts('error'), ...logger.texts('warn')]).toEqual([]);
      expect(logger.texts('debug')).toEqual([
        expect.stringContaining('A guard kept the handler Guarded.handle from running for the channel "guarded": '),
      ]);
      expect(events).toEqual([
        {
          registration: 'default',
          channel: 'guarded',
          handler: 'Guarded.handle',
          kind: 'notification',
          count: 1,
          duration: expect.any(Number),
        },
      ]);
    },
  );

  it.each(['is broken', 'has no database'])('is distinguished from one that fails: one that %s', async (verdict) => {
    const { bus, service, logger, errors } = await start({ providers: [Guarded] });
    bus.emit('guarded', verdict);
    await bus.settled();
    expect(service.stats()).toMatchObject({ failed: 1, rejected: 0 });
    expect(logger.texts('error')).toHaveLength(1);
    expect(errors).toEqual([expect.objectContaining({ kind: 'handler' })]);
  });

  it('is distinguished from a method that throws the same', async () => {
    @Injectable()
    class Throws {
      @OnPgNotify('throws')
      @UseGuards({ canActivate: () => true })
      handle(): void {
        throw new ForbiddenException();
      }
    }

    const { bus, service } = await start({ providers: [Throws] });
    bus.emit('throws');
    await bus.settled();
    expect(service.stats()).toMatchObject({ failed: 1, rejected: 0 });
  });

  it('counts all notifications of a batch', async () => {
    @Injectable()
    class Batches {
      @OnPgNotify('batches', { batch: { maxSize: 10 } })
      @UseGuards({ canActivate: () => false })
      handle(): void {}
    }

    const { bus, service } = await start({ providers: [Batches] });
    for (const payload of [1, 2, 3]) bus.emit('batches', payload);
    await bus.settled();
    expect(service.stats()).toMatchObject({ received: 3, delivered: 0, failed: 0, rejected: 3 });
  });

  it('leaves a woken method alone until it is woken or polls the next time', async () => {
    let asked = 0;

    @Injectable()
    class Worker {
      @OnPgWakeUp('jobs', { pollInterval: 600_000, fallbackPollInterval: 600_000, errorDelay: 1 })
      @UseGuards({ canActivate: () => (asked += 1) > 2 })
      work(): void {
        log.push('woken');
      }
    }

    const { bus, service } = await start({ providers: [Worker] });
    await bus.settled();
    const before = asked;
    bus.emit('jobs');
    await bus.settled();
    bus.emit('jobs');
    await bus.settled();
    expect([before, asked]).toEqual([expect.any(Number), before + 2]);
    expect(log).toContain('woken');
    const [row] = service.stats().handlers;
    expect(row!.rejected).toBe(2);
    expect(service.stats().rejected).toBe(0); // Of notifications.
  });

  it('is counted for one that a filter has caught as well, which a gap method is not called again for', async () => {
    @Injectable()
    @UseFilters({ catch: (error: Error) => log.push(`caught ${error.message}`) })
    class Handlers {
      @OnPgGap('filtered')
      @UseGuards({ canActivate: () => false })
      reload(): void {}

      @OnPgNotify('filtered')
      @UseGuards({ canActivate: () => false })
      handle(): void {}
    }

    const { bus, service, logger } = await start({ providers: [Handlers] });
    bus.emit('filtered');
    await bus.settled();
    expect(log).toEqual(['caught Forbidden resource', 'caught Forbidden resource']);
    expect(service.stats().handlers.map(({ kind, rejected, failed }) => [kind, rejected, failed])).toEqual([
      ['gap', 1, 0],
      ['notification', 1, 0],
    ]);
    expect(logger.texts('error')).toEqual([]);
  });
});

describe('a payload that does not match its schema', () => {
  const CANARY = 'canary@example.org';
  const channels: [vendor: string, channel: PgChannel, text: string][] = [
    [
      'zod',
      definePgChannel('orders', {
        schema: z.object({
          id: z.number(),
          email: z.enum(['a', 'b']),
          items: z.array(z.object({ price: z.number().min(5) })),
          name: z.string().min(30),
        }),
      }),
      'id: expected number; email: expected "a" or "b"; items[0].price: expected at least 5; and 1 more.',
    ],
    [
      'valibot',
      definePgChannel('orders', {
        schema: v.object({
          id: v.number(),
          email: v.picklist(['a', 'b']),
          items: v.array(v.object({ price: v.pipe(v.number(), v.minValue(5)) })),
          name: v.pipe(v.string(), v.minLength(30)),
        }),
      }),
      'id: expected number; email: expected ("a" | "b"); items[0].price: expected >=5; and 1 more.',
    ],
    [
      'arktype',
      definePgChannel('orders', {
        schema: type({
          id: 'number',
          email: "'a' | 'b'",
          items: type({ price: 'number >= 5' }).array(),
          name: 'string >= 30',
        }),
      }),
      'email: expected "a" or "b"; id: expected a number; items[0].price: expected at least 5; and 1 more.',
    ],
  ];

  it.each(channels)(
    'names the paths and what was expected there, without a value: %s',
    async (_vendor, Orders, text) => {
      @Injectable()
      class Handlers {
        @OnPgNotify(Orders)
        handle(): void {}
      }

      const { bus, service, logger, errors } = await start({ providers: [Handlers] });
      const payload = { id: CANARY, email: CANARY, items: [{ price: 1 }], name: CANARY };
      bus.emit(Orders, payload);
      await bus.settled();
      const message =
        `A payload for channel "orders" does not match the schema of the channel: ${text} ` +
        `All findings are in the property issues of this error. It is not printed, because it may quote the payload.`;
      expect(errors.map((error) => error.message)).toEqual([message]);
      expect(errors[0]!.issues).toHaveLength(4);
      expect(logger.texts('error').join()).toContain(message);
      expect(logger.texts().join()).not.toContain('canary');
      await expect(service.notify(Orders, payload)).rejects.toMatchObject({ message });
    },
  );

  it.each(channels)('never prints a value, whatever it is: %s', async (_vendor, Orders) => {
    const { bus, errors, service } = await start({});
    service.listen(Orders).subscribe();
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          id: fc.string(),
          email: fc.anything(),
          items: fc.anything(),
          name: fc.string(),
          more: fc.object(),
        }),
        async (given) => {
          const secret = `secret-${Math.random().toString(36).slice(2)}`;
          errors.length = 0;
          const payload = { ...given, email: [secret], items: [{ price: secret }, secret], name: secret };
          bus.emit(definePgChannel('orders', { codec: 'text' }), JSON.stringify(payload));
          await bus.settled();
          expect(errors).toHaveLength(1);
          expect(errors[0]!.message).not.toContain(secret);
        },
      ),
    );
  });

  it('does not print the keys of a payload that are no names', async () => {
    const Emails = definePgChannel('emails', { schema: z.record(z.string(), z.number()) });
    const { bus, errors, service } = await start({});
    service.listen(Emails).subscribe();
    bus.emit(Emails, { [CANARY]: 'x', visits: 'y' });
    await bus.settled();
    expect(errors[0]!.message).toContain('schema of the channel: […]: expected number; visits: expected number. All');
  });

  it('says what it can of a schema that tells nothing', async () => {
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'own',
        validate: () => ({ issues: [{ message: CANARY }, { message: CANARY, path: [{ key: 'id' }] }] }),
      },
    };
    const Own = definePgChannel('own', { schema });
    const { bus, errors, service } = await start({});
    service.listen(Own).subscribe();
    bus.emit(Own, 1);
    await bus.settled();
    expect(errors[0]!.message).toContain(
      'does not match the schema of the channel: the payload; id. All findings are in the property issues',
    );
  });
});

describe('a payload that a pipe refuses', () => {
  class Registration {
    @IsInt()
    id!: number;

    @IsEmail({}, { message: '$value is not an address' })
    email!: string;

    @MinLength(30)
    name!: string;
  }

  const secrets = { id: 'canary-id', email: 'canary-address', name: 'canary-name' };

  it.each([
    [
      'ValidationPipe',
      ValidationPipe,
      'Bad Request Exception: id must be an integer number; *** is not an address; name must be longer than or equal to 30 characters',
    ],
  ])('is logged with what the pipe says, without the values: %s', async (_name, Pipe, text) => {
    @Injectable()
    class Handlers {
      @OnPgNotify('registrations')
      @UsePipes(new Pipe())
      handle(_payload: Registration): void {}
    }
    Reflect.defineMetadata('design:paramtypes', [Registration], Handlers.prototype, 'handle');

    const { bus, logger, errors } = await start({ providers: [Handlers] });
    bus.emit('registrations', secrets);
    await bus.settled();
    expect(errors[0]!.message).toBe(`Handler Handlers.handle failed for the channel "registrations": ${text}`);
    expect(logger.texts().join()).not.toContain('canary');
  });

  it('is logged with what the schema says, without the values: StandardSchemaValidationPipe', async () => {
    const schema = v.object({ id: v.number(), name: v.pipe(v.string(), v.minLength(30)), ok: v.string() });

    @Injectable()
    class Handlers {
      @OnPgNotify('registrations', { schema })
      @UsePipes(new StandardSchemaValidationPipe())
      handle(): void {}
    }

    const { bus, logger, errors } = await start({ providers: [Handlers] });
    bus.emit('registrations', { ...secrets, ok: 4711 });
    await bus.settled();
    expect(errors[0]!.message).toContain(
      'id: Invalid type: Expected number but received ***; name: Invalid length: Expected >=30 but received 11; ok: Invalid type: Expected string but received ***',
    );
    expect(logger.texts().join()).not.toMatch(/canary|4711/);
  });

  it('is logged without what the pipe says if the values of the payload cannot be read any more', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('orders')
      handle(order: object): void {
        Object.defineProperty(order, 'total', {
          enumerable: true,
          get: () => {
            throw new Error('not loaded');
          },
        });
        throw new BadRequestException(['total must not be negative']);
      }
    }

    const { bus, errors, logger } = await start({ providers: [Handlers] });
    bus.emit('orders', { id: 1 });
    await bus.settled();
    expect(errors.map(({ message }) => message)).toEqual([
      'Handler Handlers.handle failed for the channel "orders": Bad Request Exception',
    ]);
    expect(logger.texts('error')).toHaveLength(1);
  });

  it('is logged with the first of many messages, and how many follow', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('many')
      handle(): void {
        throw new BadRequestException(Array.from({ length: 12 }, (_, index) => `problem ${index}`));
      }
    }

    const { bus, errors } = await start({ providers: [Handlers] });
    bus.emit('many');
    await bus.settled();
    expect(errors[0]!.message).toContain(
      'Bad Request Exception: problem 0; problem 1; problem 2; problem 3; problem 4; and 7 more',
    );
  });
});
