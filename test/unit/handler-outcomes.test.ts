import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import { defer, firstValueFrom, Observable, of } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import { Recorder } from '../support/recorder.js';

describe('the key that the function latest returns', () => {
  const suite = appSuite({ bus: true });

  it.each([
    ['an object', ({ id }: { id: number }) => ({ id }), 'an object'],
    ['an array', ({ id }: { id: number }) => [id], 'an array'],
    ['a promise', async ({ id }: { id: number }) => id, 'a promise'],
    ['a function', () => () => 1, 'a function'],
  ])('is refused if none would ever equal it, and every notification would wait: %s', async (_name, latest, found) => {
    @Injectable()
    class Handler {
      @OnPgNotify('c', { latest })
      handle(): void {}
    }
    const { service } = await suite.start({ providers: [Handler] });
    const failed = firstValueFrom(service.errors$);
    suite.bus.emit('c', { id: 1 });
    expect((await failed).message).toBe(
      `The function latest of the handler Handler.handle failed for the channel "c": it returned ${found} as the key, which equals no other. ` +
        'Return a string or a number, such as `${shop}:${id}`.',
    );
    await suite.bus.settled();
    expect(service.stats()).toMatchObject({ delivered: 0, failed: 1 });
  });

  it('may be nothing at all, which is one key', async () => {
    const handled: unknown[] = [];

    @Injectable()
    class Handler {
      @OnPgNotify('c', { latest: () => undefined })
      handle(payload: unknown): void {
        handled.push(payload);
      }
    }
    await suite.start({ providers: [Handler] });
    suite.bus.emit('c', 1);
    suite.bus.emit('c', 2);
    await suite.bus.settled();
    expect(handled).toEqual([2]);
  });
});

describe('a handler that returns an Observable', () => {
  const suite = appSuite({ bus: true });

  it('has it unsubscribed at its timeout, and is called for the next notification', async () => {
    const events = new Recorder<string>();

    @Injectable()
    class Handler {
      @OnPgNotify('c', { timeout: 20 })
      handle(id: number): Observable<never> {
        return new Observable(() => {
          events.push(`${id} begins`);
          return () => events.push(`${id} ends`);
        });
      }
    }
    const { service } = await suite.start({ providers: [Handler] });
    suite.bus.emit('c', 1);
    suite.bus.emit('c', 2);
    expect(await events.until(4)).toEqual(['1 begins', '1 ends', '2 begins', '2 ends']);
    await suite.bus.settled();
    expect(service.stats()).toMatchObject({ failed: 2, delivered: 0 });
    expect(service.status.blocked).toBeUndefined();
  });

  it('has it unsubscribed when a shutdown waits no longer', async () => {
    const events = new Recorder<string>();

    @Injectable()
    class Handler {
      @OnPgNotify('c')
      handle(): Observable<never> {
        events.push('begins');
        return new Observable(() => () => events.push('ends'));
      }
    }
    const { app } = await suite.start({ providers: [Handler], shutdownTimeout: 20 });
    suite.bus.emit('c', 1);
    await events.until(1);
    await app.close();
    expect(events.items).toEqual(['begins', 'ends']);
  });

  it.each(['at once', 'in a promise'])('runs it in the context of the registration when returned %s', async (how) => {
    const tenant = new AsyncLocalStorage<string>();
    const seen = new Recorder<string | undefined>();

    @Injectable()
    class Handler {
      @OnPgNotify('c')
      handle(): unknown {
        const stream = defer(() => {
          seen.push(tenant.getStore());
          return of(1);
        });
        return how === 'at once' ? stream : Promise.resolve(stream);
      }
    }
    await suite.start({ providers: [Handler] });
    tenant.run('of the sender', () => suite.bus.emit('c', 1));
    expect(await seen.until(1)).toEqual([undefined]);
  });
});

describe('a handler that returns a Proxy', () => {
  const suite = appSuite({ bus: true });

  it.each([1, 2, 3])('goes on if it throws when it is looked at %i times', async (most) => {
    @Injectable()
    class Handler {
      @OnPgNotify('c')
      handle(): unknown {
        let looks = 0;
        const has = (): boolean => {
          looks += 1;
          if (looks < most) return false;
          throw new Error('no more');
        };
        return new Proxy({}, { has });
      }
    }
    const { service } = await suite.start({ providers: [Handler] });
    suite.bus.emit('c', 1);
    suite.bus.emit('c', 2);
    await suite.bus.settled();
    const { delivered, failed } = service.stats();
    expect(delivered + failed).toBe(2);
  });
});
