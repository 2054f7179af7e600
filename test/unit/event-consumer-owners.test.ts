import { describe, expect, it } from '@jest/globals';
import type { EventConsumerDefinition } from '../../lib/event-log/event-consumer-definition.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import { MemoryLog } from '../support/event-consumers.js';
import { deferred } from '../support/deferred.js';
import type { Deferred } from '../support/deferred.js';
import { turns } from '../support/turn.js';

function recording(log: string[], owner = '') {
  return ([event]: readonly PgEvent[]): void => void log.push(`${owner}${String(event!.payload)}`);
}

describe('the owner of a consumer', () => {
  it('leaves a shard of another instance alone, and claims it when that instance releases it', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const first = await memory.consume({ call: recording(log, 'first ') }, { store: memory.instance('first') });
    await memory.consume({ call: recording(log, 'second ') }, { store: memory.instance('second') });
    memory.publish('a1');
    await turns();
    first.end();
    await first.settled();
    memory.publish('a2');
    await memory.pass(3_100);
    expect(log).toEqual(['first a1', 'second a2']);
  });

  it('takes over when the lease of a silent instance expires', async () => {
    const memory = new MemoryLog({ lease: 3_000 });
    await memory.registered('billing');
    await memory.store.shard(memory.shardOf('billing'), 'dead').claim();
    const log: string[] = [];
    await memory.consume({ call: recording(log) }, { store: memory.instance('alive') });
    memory.publish('a1');
    await memory.pass(2_000);
    expect(log).toEqual([]);
    await memory.pass(2_500);
    expect(log).toEqual(['a1']);
  });

  it.each([
    [1, 'the consumer billing'],
    [2, 'a shard of the consumer billing'],
  ])('logs from whom it takes over after a crash, and when the lease ended: of %i shard(s)', async (shards, what) => {
    const memory = new MemoryLog({ lease: 3_000 });
    let isAlive = true;
    await memory.consume({ shards, call: () => undefined }, { store: memory.instance('app-1:1:a', () => isAlive) });
    await memory.pass(1_000); // It claims all shards.
    isAlive = false;
    const lines: string[] = [];
    const context = { onLine: (line: string): void => void lines.push(line) };
    await memory.consume({ shards, call: () => undefined }, { store: memory.instance('app-2:2:b'), context });
    await memory.pass(8_000);
    expect(lines).toHaveLength(shards);
    for (const line of lines) {
      expect(line).toContain(`has taken over ${what} (Billing.charge) from the instance app-1:1:a, which crashed,`);
      expect(Number(/which ended (\d+\.\d) s ago\.$/.exec(line)?.[1])).toBeLessThan(3);
    }
  });

  it('logs nothing when the instance before has released the shard, nor when it claims its own again', async () => {
    const memory = new MemoryLog({ lease: 3_000 });
    const lines: string[] = [];
    const context = { onLine: (line: string): void => void lines.push(line) };
    const log: string[] = [];
    let isDown = false;
    const first = await memory.consume({ call: recording(log) }, { store: memory.instance('first') });
    first.end();
    await first.settled();
    await memory.consume({ call: recording(log) }, { store: memory.failing(() => isDown), context });
    isDown = true;
    await memory.pass(10_000);
    isDown = false;
    memory.publish('a1');
    await memory.pass(6_000);
    expect(log).toEqual(['a1']);
    expect(lines).toEqual([]);
  });

  it('keeps the lease while a run takes longer', async () => {
    const memory = new MemoryLog({ lease: 3_000 });
    const log: string[] = [];
    const run = deferred();
    const call = ([event]: readonly PgEvent[]): Promise<void> => {
      log.push(event!.payload as string);
      return run.promise;
    };
    await memory.consume({ call }, { store: memory.instance('first') });
    await memory.consume({ call }, { store: memory.instance('second') });
    memory.publish('a1');
    await memory.pass(20_000);
    expect(log).toEqual(['a1']);
    run.resolve();
    await turns();
    expect(await memory.store.consumers()).toMatchObject([{ waiting: 0, owner: 'first' }]);
  });

  it('keeps the lease while reading many events takes longer', async () => {
    const memory = new MemoryLog({ lease: 3_000 });
    const log: string[] = [];
    const sorted = deferred();
    const looked = deferred();
    const first = memory.instance('first');
    const slow: typeof first = {
      shard: (id) => {
        const shard = first.shard(id);
        const look: typeof shard.first = async (...args) => {
          looked.resolve();
          await sorted.promise;
          return shard.first(...args);
        };
        return new Proxy(shard, {
          get: (target, name) => {
            const value = (name === 'first' ? look : Reflect.get(target, name)) as unknown;
            return typeof value === 'function' ? (value.bind(target) as unknown) : value;
          },
        });
      },
    };
    await memory.consume({ call: recording(log, 'first ') }, { store: slow });
    await looked.promise;
    await memory.consume({ call: recording(log, 'second ') }, { store: memory.instance('second') });
    memory.publish('a1');
    await memory.pass(20_000);
    expect(log).toEqual([]);
    sorted.resolve();
    await turns();
    expect(log).toEqual(['first a1']);
  });

  it.each<[string, Partial<EventConsumerDefinition>]>([
    ['a failed event of strict order', { ordering: 'strict' }],
    ['a failed batch', { batch: { maxSize: 10 } }],
    ['too many failed events', { maxUnsettled: 1 }],
  ])('keeps the lease while it waits to try again: %s', async (_what, kind) => {
    const memory = new MemoryLog({ lease: 3_000 });
    const log: string[] = [];
    const call = (owner: string) => (): void => {
      log.push(owner);
      throw new Error('no');
    };
    const retry = { attempts: 10, delay: 60_000, maxDelay: 60_000 };
    await memory.consume({ ...kind, retry, call: call('first') }, { store: memory.instance('first') });
    await memory.consume({ ...kind, retry, call: call('second') }, { store: memory.instance('second') });
    memory.publish('a1', 'b1');
    await memory.pass(20_000);
    expect(await memory.store.consumers()).toMatchObject([{ owner: 'first' }]);
    expect(new Set(log)).toEqual(new Set(['first']));
  });

  it('starts no more runs, and records nothing, after another instance has taken over', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const run = deferred();
    const call = ([event]: readonly PgEvent[]): Promise<void> | undefined => {
      log.push(`first ${String(event!.payload)}`);
      return event!.payload === 'a1' ? run.promise : undefined;
    };
    const warnings: string[] = [];
    const context = { onLine: (line: string): void => void warnings.push(line) };
    await memory.consume({ call }, { store: memory.instance('first'), context });
    memory.publish('a1', 'a2');
    await turns();
    memory.expire('billing'); // The lease is over before its time, as far as the first one knows.
    await memory.consume({ call: recording(log, 'second ') }, { store: memory.instance('second') });
    memory.clock.advance(15_000); // Nothing fell due: the event loop of the first was blocked.
    run.resolve();
    await memory.pass(1_000); // It claims again, and finds another owner.
    expect(log).toEqual(['first a1', 'second a1', 'second a2']);
    expect(warnings).toEqual([expect.stringContaining('was taken over by another instance')]);
    expect(await memory.store.consumers()).toMatchObject([{ waiting: 0, owner: 'second' }]);
  });

  it('reports that it was dropped while a run went on, and does not take that for another instance', async () => {
    const memory = new MemoryLog();
    const run = deferred();
    const warnings: string[] = [];
    const context = { onLine: (line: string): void => void warnings.push(line) };
    await memory.consume({ call: () => run.promise }, { context });
    memory.publish('a1');
    await turns();
    await memory.store.drop('billing');
    run.resolve();
    await memory.pass(1_000);
    expect(warnings).toEqual([]);
    expect(memory.reports[0]).toContain('cannot continue: the log does not know it any more, because it was dropped');
    expect(memory.reports.join()).not.toContain('another instance');
  });

  it('reports nothing that fails because a shutdown has stopped to wait for it', async () => {
    const memory = new MemoryLog();
    const closing = new AbortController();
    const run = deferred();
    let isClosed = false;
    const store = memory.failing(() => isClosed);
    const consumer = await memory.consume({ call: () => run.promise }, { store, closing: closing.signal });
    memory.publish('a1');
    await turns();
    consumer.end();
    closing.abort();
    isClosed = true; // The sessions of the log are closed while the method still runs.
    run.resolve();
    await consumer.settled();
    expect(memory.reports).toEqual([]);
  });

  it('aborts the signal of a run if its shard is lost', async () => {
    const memory = new MemoryLog({ lease: 3_000 });
    const aborted = deferred<string>();
    const call = (_: readonly PgEvent[], { signal }: { readonly signal: AbortSignal }): Promise<void> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.resolve((signal.reason as Error).message);
          reject(signal.reason as Error);
        });
      });
    await memory.consume({ call }, { store: memory.instance('first') });
    memory.publish('a1');
    await turns();
    memory.expire('billing');
    await memory.store.shard(memory.shardOf('billing'), 'second').claim();
    await memory.pass(1_100);
    expect(await aborted.promise).toContain('The consumer billing was taken over by another instance');
  });

  it('delays the next claim of a shard that it loses at once', async () => {
    const memory = new MemoryLog();
    let runs = 0;
    const call = async (): Promise<void> => {
      runs += 1;
      await memory.store.replay('billing', new Date(0));
    };
    await memory.consume({ call });
    memory.publish('a1');
    await memory.pass(1_000);
    expect(runs).toBeGreaterThan(1);
    expect(runs).toBeLessThan(6);
  });

  it('finds the event that keeps ending its process, and gives up only that event', async () => {
    const memory = new MemoryLog({ lease: 1_000 });
    await memory.registered('billing');
    const log: string[] = [];
    const isAlive = { value: true };
    // A process that ends neither settles nor gives up anything: its owner just is not heard of any more.
    const call = ([event]: readonly PgEvent[]): Promise<void> | undefined => {
      log.push(event!.payload as string);
      if (event!.payload !== 'c1') return undefined;
      isAlive.value = false;
      return new Promise(() => undefined);
    };
    memory.publish('a1', 'b1', 'c1', 'd1');
    let ends = 0;
    for (; ends < 10; ends += 1) {
      isAlive.value = true;
      await memory.consume({ call }, { store: memory.instance(`process ${ends}`, () => isAlive.value) });
      await memory.pass(2_000);
      if (isAlive.value) break;
    }
    expect(ends).toBe(4);
    expect(await memory.store.deadLetters('billing', { limit: 10 })).toMatchObject([
      { payload: '"c1"', error: 'The process ended 3 times while this event was handled.' },
    ]);
    // Before the first owner ended, nothing told which event it would be: that page was begun again.
    expect(log).toEqual(['a1', 'b1', 'c1', 'a1', 'b1', 'c1', 'c1', 'c1', 'd1']);
  });
});

describe('a consumer that is paused or shut down', () => {
  it('starts no run while it is paused, and continues when it is resumed', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const consumer = await memory.consume({ call: recording(log) });
    await memory.store.pause('billing');
    memory.publish('a1');
    await memory.pass(6_000);
    expect(log).toEqual([]);
    expect(await memory.store.consumers()).toMatchObject([{ owner: undefined, waiting: 1, paused: true }]);
    await memory.store.resume('billing');
    consumer.wake();
    await turns();
    expect(log).toEqual(['a1']);
  });

  it('finishes its run at a shutdown, starts no more, and releases the shard', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const run = deferred();
    const call = ([event]: readonly PgEvent[]): Promise<void> => {
      log.push(event!.payload as string);
      return run.promise;
    };
    const consumer = await memory.consume({ call });
    memory.publish('a1', 'a2', 'a3');
    await turns();
    consumer.end();
    await turns();
    expect(consumer.isIdle).toBe(false);
    run.resolve();
    await consumer.settled();
    expect(consumer.isIdle).toBe(true);
    expect(log).toEqual(['a1']);
    expect(await memory.store.consumers()).toMatchObject([{ owner: undefined, waiting: 2, retrying: 0 }]);
  });

  it('repeats and loses no event of a page that a shutdown interrupted', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const runs = new Map<string, Deferred<void>>();
    const call = ([event]: readonly PgEvent[]): Promise<void> => {
      const payload = event!.payload as string;
      log.push(payload);
      const run = deferred();
      runs.set(payload, run);
      return run.promise;
    };
    const consumer = await memory.consume({ concurrency: 2, call });
    memory.publish('a1', 'a2', 'b1', 'c1', 'a3');
    await turns();
    runs.get('b1')!.resolve();
    await turns();
    consumer.end();
    for (const run of runs.values()) run.resolve();
    await consumer.settled();
    expect(log).toEqual(['a1', 'b1', 'c1']);
    await memory.consume({ call: recording(log) });
    await turns();
    expect(log).toEqual(['a1', 'b1', 'c1', 'a2', 'a3']);
  });

  it('retries a dead letter that was requeued', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    let isBroken = true;
    const call = ([event]: readonly PgEvent[]): void => {
      log.push(event!.payload as string);
      if (isBroken) throw new Error('no');
    };
    const consumer = await memory.consume({ retry: { attempts: 1, delay: 1, maxDelay: 1 }, call });
    memory.publish('a1');
    await turns();
    isBroken = false;
    expect(await memory.store.requeue('billing')).toBe(1);
    consumer.wake();
    await turns();
    expect(log).toEqual(['a1', 'a1']);
    expect(await memory.store.consumers()).toMatchObject([{ dead: 0, retrying: 0 }]);
  });

  it('finds a requeued dead letter without a wake-up, even while events flow', async () => {
    const memory = new MemoryLog({ lease: 3_000 });
    const log: string[] = [];
    let isBroken = true;
    const call = ([event]: readonly PgEvent[]): void => {
      if (isBroken && event!.payload === 'a1') throw new Error('no');
      log.push(event!.payload as string);
    };
    await memory.consume({ retry: { attempts: 1, delay: 1, maxDelay: 1 }, call });
    memory.publish('a1');
    await turns();
    isBroken = false;
    await memory.store.requeue('billing');
    for (let passed = 0; passed < 1_500; passed += 500) {
      memory.publish('b1');
      await memory.pass(500);
    }
    expect(log).toContain('a1');
  });

  it('delivers the events of a replay again', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const consumer = await memory.consume({ call: recording(log) });
    memory.publish('a1', 'a2');
    await turns();
    await memory.store.replay('billing', new Date(0));
    consumer.wake();
    await memory.pass(1_100);
    expect(log).toEqual(['a1', 'a2', 'a1', 'a2']);
  });
});

describe('a consumer whose database fails', () => {
  it('reports it once, continues when the database is back, and reports that too', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const recovered: string[] = [];
    const state = { isDown: false };
    const context = { onRecovery: (handler: string): void => void recovered.push(handler) };
    const store = memory.failing(() => state.isDown);
    const consumer = await memory.consume({ call: recording(log) }, { store, context });
    state.isDown = true;
    memory.publish('a1');
    await memory.pass(6_000);
    expect(log).toEqual([]);
    expect(new Set(memory.reports)).toEqual(
      new Set(['error: The consumer billing (Billing.charge) cannot continue: The database is away.']),
    );
    state.isDown = false;
    consumer.wake(); // The listener is back: that is a gap.
    await turns();
    expect(log).toEqual(['a1']);
    expect(recovered).toEqual(['Billing.charge']);
  });
});

describe('the shards of a consumer', () => {
  it('are shared by the instances that start together', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    for (const owner of ['first', 'second', 'third']) {
      await memory.consume({ shards: 3, call: recording(log, `${owner} `) }, { store: memory.instance(owner) });
    }
    await memory.pass(150);
    const shards = await memory.store.consumers();
    expect(new Set(shards.map(({ owner }) => owner))).toEqual(new Set(['first', 'second', 'third']));
  });

  it('are claimed one after the other by a single instance', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    await memory.consume({ shards: 3, call: recording(log) });
    memory.publish('a1', 'b1', 'c1', 'd1', 'e1', 'f1', 'a2');
    await memory.pass(1_000);
    expect(log.toSorted()).toEqual(['a1', 'a2', 'b1', 'c1', 'd1', 'e1', 'f1']);
    expect(log.indexOf('a1')).toBeLessThan(log.indexOf('a2'));
  });
});
