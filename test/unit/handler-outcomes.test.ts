import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import { defer, Observable, of } from 'rxjs';
import { appSuite } from '../support/app/app-suite.js';
import { Recorder } from '../support/recorder.js';

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
