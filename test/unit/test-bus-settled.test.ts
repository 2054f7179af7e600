import { describe, expect, it, jest } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { OnPgNotify, OnPgWakeUp, PgNotifyService } from 'nest-pg-notify';
import type { PgWakeUp } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { turn } from '../support/turn.js';

describe('PgNotifyTestBus', () => {
  const suite = appSuite({ bus: true });

  it('has settled when handlers, gap methods, woken methods and live queries have, with all that they cause', async () => {
    const log: string[] = [];

    @Injectable()
    class Chain {
      constructor(private readonly pgNotify: PgNotifyService) {}

      @OnPgNotify('first')
      first(): void {
        log.push('first');
        void this.pgNotify.notify('second'); // Nobody waits for it.
      }

      @OnPgNotify('second', { batch: { maxSize: 10, maxWait: 1 } })
      async second(payloads: unknown[]): Promise<void> {
        await Promise.resolve();
        log.push(`second ${payloads.length}`);
        await this.pgNotify.notify('jobs');
      }

      @OnPgWakeUp('jobs')
      async work({ reason }: PgWakeUp): Promise<boolean> {
        await turn();
        if (reason !== 'notification' && reason !== 'again') return false;
        log.push(`work ${reason}`);
        if (reason === 'again') await this.pgNotify.notify('summary');
        return reason === 'notification';
      }
    }
    const { service } = await suite.start({ providers: [Chain] });
    const { bus } = suite;
    const load = async (): Promise<number> => {
      await turn();
      return log.push('load');
    };
    service.liveQuery('summary', load).subscribe();
    await bus.settled();
    log.length = 0;
    bus.emit('first');
    await bus.settled();
    expect(log).toEqual(['first', 'second 1', 'work notification', 'work again', 'load']);
  });

  it('has settled only when a notification is handled whose sending nobody awaited', async () => {
    const log: string[] = [];

    @Injectable()
    class Late {
      @OnPgNotify('loaded')
      async handle(): Promise<void> {
        for (let left = 5; left > 0; left -= 1) await turn();
        log.push('handled');
      }
    }
    const { service } = await suite.start({ providers: [Late] });
    const { bus } = suite;
    const load = async (): Promise<void> => {
      await turn();
      void service.notify('loaded');
    };
    service.liveQuery('orders', load).subscribe();
    await bus.settled();
    expect(log).toEqual(['handled']);
    void service.notify('loaded');
    await bus.settled();
    expect(log).toEqual(['handled', 'handled']);
  });

  it('has settled even if something has failed and will be tried again', async () => {
    @Injectable()
    class Failing {
      @OnPgWakeUp('jobs', { errorDelay: 3_600_000 })
      work(): never {
        throw new Error('on purpose');
      }
    }
    const { service } = await suite.start({ providers: [Failing] });
    const { bus } = suite;
    const load = (): never => {
      throw new Error('on purpose');
    };
    service.liveQuery('jobs', load).subscribe();
    await bus.settled();
    expect(service.stats().handlers).toMatchObject([{ kind: 'wake-up', failed: 1 }]);
  });

  it('works under fake timers, which then cause polls and retries', async () => {
    jest.useFakeTimers();
    const log: string[] = [];

    @Injectable()
    class Handlers {
      @OnPgNotify('burst')
      burst(payload: number): void {
        if (payload === 5_000) log.push('burst');
      }

      @OnPgWakeUp('jobs')
      work({ reason }: PgWakeUp): void {
        log.push(reason);
        if (reason === 'notification') throw new Error('on purpose');
      }

      @OnPgNotify('batches', { batch: { maxSize: 10, maxWait: 500 } })
      batch(payloads: unknown[]): void {
        log.push(`batch ${payloads.length}`);
      }
    }
    const { app } = await suite.start({ providers: [Handlers] });
    suite.cleanup(() => void jest.useRealTimers());
    const { bus } = suite;
    await bus.settled();
    log.length = 0;
    for (let id = 1; id <= 5_000; id += 1) bus.emit('burst', id);
    await bus.settled();
    await jest.advanceTimersByTimeAsync(29_999);
    expect(log).toEqual(['burst']);
    await jest.advanceTimersByTimeAsync(1);
    expect(log).toEqual(['burst', 'poll']);
    bus.emit('jobs');
    await bus.settled();
    await jest.advanceTimersByTimeAsync(5_000);
    expect(log).toEqual(['burst', 'poll', 'notification', 'retry']);
    bus.simulateDisconnect();
    await jest.advanceTimersByTimeAsync(3_000);
    // The last run is more than a second ago: the first of them comes at once.
    expect(log.slice(4)).toEqual(['poll', 'poll', 'poll', 'poll']);
    bus.reconnect();
    bus.emit('batches');
    await jest.advanceTimersByTimeAsync(500);
    await bus.settled();
    expect(log.at(-1)).toBe('batch 1');
    await app.close();
    expect(jest.getTimerCount()).toBe(0);
  });
});
