import { describe, expect, it } from '@jest/globals';
import { definePgChannel } from '../../lib/channel/pg-channel.js';
import { PgEventRejection } from '../../lib/event-log/pg-event.js';
import type { EventShardId, EventShardStore } from '../../lib/event-log/event-store.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import { MemoryLog } from '../support/event-consumers.js';
import { deferred } from '../support/deferred.js';
import type { Deferred } from '../support/deferred.js';
import { turns } from '../support/turn.js';

/** Records the payloads of runs; those that match fail. */
function recording(log: string[], fails: (payload: string) => boolean = () => false) {
  return ([event]: readonly PgEvent[]): void => {
    const payload = event!.payload as string;
    log.push(payload);
    if (fails(payload)) throw new Error(`no ${payload}`);
  };
}

const NO_RETRY = { attempts: 1, delay: 1_000, maxDelay: 1_000 };

describe('a consumer of events', () => {
  it('handles events in the order of their publication', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const consumer = await memory.consume({ call: recording(log) });
    memory.publish('a1', 'b1', 'a2');
    await turns();
    expect(log).toEqual(['a1', 'b1', 'a2']);
    expect(consumer.stats).toMatchObject({ kind: 'event', delivered: 3, failed: 0, waiting: 0 });
  });

  it('continues after a restart where it stopped', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    await memory.consume({ call: recording(log) });
    memory.publish('a1');
    await turns();
    await memory.end();
    memory.publish('a2', 'a3');
    await memory.consume({ call: recording(log) });
    expect(log).toEqual(['a1', 'a2', 'a3']);
  });

  it('holds back the later events of a key behind one that fails, and handles the others', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    let isBroken = true;
    await memory.consume({ call: recording(log, (payload) => isBroken && payload === 'a1') });
    memory.publish('a1', 'a2', 'b1', 'a3');
    await turns();
    expect(log).toEqual(['a1', 'b1']);
    isBroken = false;
    await memory.pass(1_000);
    expect(log).toEqual(['a1', 'b1', 'a1', 'a2', 'a3']);
  });

  it('retries an event whose channel only another version of the application takes, and does not give it up', async () => {
    const memory = new MemoryLog();
    const call = (): never => {
      throw new Error('no');
    };
    const channels = [definePgChannel('refunds'), definePgChannel('orders')];
    const retry = { attempts: 10, delay: 1_000, maxDelay: 8_000 };
    const newer = await memory.consume({ call, channels, retry });
    memory.store.publish({ channel: 'refunds', payload: '1' });
    newer.wake('refunds');
    await turns();
    await memory.end();
    const older = await memory.consume({ call, retry });
    await memory.pass(2_000);
    expect(memory.reports.at(-1)).toContain('the consumer no longer takes its channel "refunds"');
    expect(await memory.store.consumers()).toEqual([expect.objectContaining({ retrying: 1, dead: 0 })]);
    expect(older.stats.failed).toBeGreaterThan(0);
  });

  it('reads at most a page of events for a retry, however many wait behind one key', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const read: number[] = [];
    const shard = (id: EventShardId): EventShardStore => {
      const store = memory.store.shard(id);
      const events = store.events.bind(store);
      return Object.assign(store, {
        events: (seqs: readonly string[]) => {
          read.push(seqs.length);
          return events(seqs);
        },
      });
    };
    let isBroken = true;
    const call = recording(log, (payload) => isBroken && payload.endsWith('1'));
    await memory.consume({ call }, { pageSize: 4, store: { shard } });
    memory.publish('a1', 'b1', ...[2, 3, 4, 5, 6, 7, 8].flatMap((n) => [`a${n}`, `b${n}`]));
    await turns();
    isBroken = false;
    log.length = 0;
    await memory.pass(3_000);
    for (const key of ['a', 'b']) {
      expect(log.filter((payload) => payload.startsWith(key))).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => key + n));
    }
    expect(Math.max(...read)).toBeLessThanOrEqual(4);
  });

  it('finds a requeued dead letter while events flow, without a wake-up', async () => {
    const memory = new MemoryLog({ lease: 15_000 });
    const log: string[] = [];
    let isBroken = true;
    await memory.consume({ call: recording(log, (payload) => isBroken && payload === 'a1'), retry: NO_RETRY });
    memory.publish('a1');
    await turns();
    isBroken = false;
    expect(await memory.store.requeue('billing')).toBe(1);
    for (let n = 1; n <= 6; n += 1) {
      memory.publish(`b${n}`);
      await memory.pass(1_000);
    }
    expect(log.filter((payload) => payload === 'a1')).toHaveLength(2);
  });

  it('reports once that the log no longer knows it, and continues when it does', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const consumer = await memory.consume({ call: recording(log) });
    await memory.store.drop('billing');
    consumer.wake();
    await memory.pass(1_000);
    expect(memory.reports).toContainEqual(
      expect.stringMatching(
        /^error: The consumer billing \(Billing.charge\) cannot continue: the log does not know it/,
      ),
    );
    await memory.registered('billing');
    memory.publish('a1');
    await memory.pass(10_000);
    expect(log).toEqual(['a1']);
  });

  it('warns if another version has given it more channels, and leaves the shard to that version', async () => {
    const memory = new MemoryLog();
    const consumer = await memory.consume({ call: () => undefined });
    await memory.store.register([{ consumer: 'billing', shards: 1, channels: ['orders', 'refunds'], from: 'now' }]);
    memory.publish('a1');
    await memory.pass(1_000);
    expect(memory.reports).toContainEqual(
      expect.stringMatching(/^warning: The consumer billing .* has given it the channels "refunds"/),
    );
    expect(consumer.stats.delivered).toBe(0);
    expect(await memory.store.consumers()).toEqual([expect.objectContaining({ owner: undefined, waiting: 1 })]);
  });

  it('gives up after the attempts, reports it once, and continues with the key', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const consumer = await memory.consume({ call: recording(log, (payload) => payload === 'a1') });
    memory.publish('a1', 'a2');
    await memory.pass(10_000);
    expect(log).toEqual(['a1', 'a1', 'a1', 'a2']);
    expect(memory.reports.filter((line) => line.startsWith('error'))).toEqual([
      'error: The event at position 1 is a dead letter of the consumer "billing" (Billing.charge) after 3 attempts: no a1. See it with: npx nest-pg-notify events dead "billing"; then requeue or discard it.',
    ]);
    expect(consumer.stats).toMatchObject({ delivered: 1, failed: 3, waiting: 0 });
    expect(await memory.store.deadLetters('billing', { limit: 10 })).toMatchObject([
      { payload: '"a1"', attempts: 3, error: 'no a1' },
    ]);
  });

  it('doubles the delay between attempts up to its limit, half of it random', async () => {
    const memory = new MemoryLog();
    const at: number[] = [];
    const retry = { attempts: 7, delay: 1_000, maxDelay: 4_000 };
    const call = (): void => {
      at.push(memory.clock.now());
      throw new Error('no');
    };
    await memory.consume({ call, retry });
    memory.publish('a1');
    await memory.pass(30_000);
    const waits = at.slice(1).map((time, index) => time - at[index]!);
    expect(waits).toHaveLength(6);
    for (const [index, wait] of waits.entries()) {
      const bound = Math.min(4_000, 1_000 * 2 ** index);
      expect(wait).toBeGreaterThanOrEqual(bound / 2);
      expect(wait).toBeLessThanOrEqual(bound + 100); // The clock goes on in steps.
    }
  });

  it('delays only the failing event if ordering is none', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    await memory.consume({ ordering: 'none', call: recording(log, (payload) => payload === 'a1') });
    memory.publish('a1', 'a2', 'b1');
    await turns();
    expect(log).toEqual(['a1', 'a2', 'b1']);
  });

  it('lets no event overtake a failing one in strict order', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    let isBroken = true;
    await memory.consume({ ordering: 'strict', call: recording(log, (payload) => isBroken && payload === 'a2') });
    memory.publish('a1', 'a2', 'b1');
    await turns();
    expect(log).toEqual(['a1', 'a2']);
    isBroken = false;
    await memory.pass(1_100);
    expect(log).toEqual(['a1', 'a2', 'a2', 'b1']);
  });

  it('gives up an event in strict order too, and continues', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    await memory.consume({ ordering: 'strict', call: recording(log, (payload) => payload === 'a1') });
    memory.publish('a1', 'a2');
    await memory.pass(10_000);
    expect(log).toEqual(['a1', 'a1', 'a1', 'a2']);
  });

  it('gives up an event at once if the handler rejects it', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const call = ([event]: readonly PgEvent[]): void => {
      log.push(event!.payload as string);
      if (event!.payload === 'a1') throw new PgEventRejection('never');
    };
    await memory.consume({ call });
    memory.publish('a1', 'a2');
    await turns();
    expect(log).toEqual(['a1', 'a2']);
    expect(await memory.store.deadLetters('billing', { limit: 10 })).toMatchObject([{ attempts: 1, error: 'never' }]);
  });

  it('gives up an event at once if it cannot be decoded, without calling the method', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    await memory.consume({ channels: [definePgChannel('orders', { codec: 'text' })], call: recording(log) });
    memory.store.publish({ channel: 'orders', payload: '7' });
    memory.publish('a2');
    await turns();
    expect(log).toEqual(['a2']);
    expect(await memory.store.deadLetters('billing', { limit: 10 })).toMatchObject([
      { payload: '7', error: expect.stringContaining('is not a string') },
    ]);
  });

  it('runs as many keys at once as it may, and one event of each key', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const running = new Map<string, Deferred<void>>();
    const call = ([event]: readonly PgEvent[]): Promise<void> => {
      log.push(event!.payload as string);
      const run = deferred();
      running.set(event!.payload as string, run);
      return run.promise;
    };
    await memory.consume({ concurrency: 2, call });
    memory.publish('a1', 'a2', 'b1', 'c1');
    await turns();
    expect(log).toEqual(['a1', 'b1']);
    running.get('b1')!.resolve();
    await turns();
    expect(log).toEqual(['a1', 'b1', 'c1']);
    running.get('a1')!.resolve();
    await turns();
    expect(log).toEqual(['a1', 'b1', 'c1', 'a2']);
    for (const run of running.values()) run.resolve();
  });

  it('starts no new event while too many wait for a retry', async () => {
    const memory = new MemoryLog();
    let isBroken = true;
    const log: string[] = [];
    const retry = { attempts: 100, delay: 1_000, maxDelay: 1_000 };
    const consumer = await memory.consume(
      { retry, maxUnsettled: 3, call: recording(log, () => isBroken) },
      { pageSize: 1 },
    );
    memory.publish('a1', 'b1', 'c1', 'd1', 'e1');
    await turns();
    expect(log).toEqual(['a1', 'b1', 'c1']);
    expect(consumer.stats.waiting).toBe(3);
    isBroken = false;
    await memory.pass(2_000);
    expect(log.slice(3).toSorted()).toEqual(['a1', 'b1', 'c1', 'd1', 'e1']);
  });

  it('fails at its timeout, and starts the next run when the method has ended', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const run = deferred();
    const call = ([event]: readonly PgEvent[]): Promise<void> | undefined => {
      log.push(event!.payload as string);
      return event!.payload === 'a1' ? run.promise : undefined;
    };
    const consumer = await memory.consume({ timeout: 5, retry: { attempts: 1, delay: 1, maxDelay: 1 }, call });
    memory.publish('a1', 'b1');
    await new Promise<void>((resolve) => {
      const look = (): void => void (memory.reports.length > 0 ? resolve() : setTimeout(look, 1));
      look();
    });
    expect(log).toEqual(['a1']);
    run.resolve(); // A late success is ignored.
    await turns();
    expect(log).toEqual(['a1', 'b1']);
    expect(consumer.stats).toMatchObject({ delivered: 1, failed: 1 });
  });
});

describe('what a handler of events gets', () => {
  it('gets the event and the number of the attempt', async () => {
    const memory = new MemoryLog();
    const seen: unknown[] = [];
    await memory.consume({
      call: (events, { attempt, signal, tx }) => {
        seen.push([events, attempt, signal.aborted, tx]);
        if (attempt === 1) throw new Error('not yet');
      },
    });
    const { id } = memory.store.publish({ channel: 'orders', payload: '{"n":1}', headers: '{"trace":"x"}', key: 'k' });
    await memory.pass(3_000);
    const event = {
      id,
      position: '1',
      channel: 'orders',
      key: 'k',
      payload: { n: 1 },
      headers: { trace: 'x' },
      publishedAt: expect.any(Date),
    };
    expect(seen).toEqual([
      [[event], 1, false, undefined],
      [[event], 2, false, undefined],
    ]);
  });
});
