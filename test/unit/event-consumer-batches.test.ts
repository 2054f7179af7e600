import { describe, expect, it } from '@jest/globals';
import { PgEventRejection } from '../../lib/event-log/pg-event.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import { MemoryLog } from '../support/event-consumers.js';
import { turns } from '../support/turn.js';

/** Records the payloads of batches; those that hold one that matches fail. */
function recording(log: string[], fails: (payload: string) => Error | undefined = () => undefined) {
  return (events: readonly PgEvent[]): void => {
    const payloads = events.map(({ payload }) => payload as string);
    log.push(payloads.join(' '));
    for (const payload of payloads) {
      const failure = fails(payload);
      if (failure) throw failure;
    }
  };
}

const EIGHT = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8'];

describe('a consumer of batches', () => {
  it('delivers the available events, up to the size', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const consumer = await memory.consume({ batch: { maxSize: 3 }, call: recording(log) });
    memory.publish(...EIGHT);
    await turns();
    expect(log).toEqual(['a1 a2 a3', 'a4 a5 a6', 'a7 a8']);
    expect(consumer.stats.delivered).toBe(8);
  });

  it('retries the whole batch, and lets no event overtake it', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    let isBroken = true;
    await memory.consume({
      batch: { maxSize: 2 },
      call: recording(log, (payload) => (isBroken && payload === 'a2' ? new Error('no') : undefined)),
    });
    memory.publish('a1', 'a2', 'a3');
    await turns();
    isBroken = false;
    await memory.pass(1_100);
    expect(log).toEqual(['a1 a2', 'a1 a2', 'a3']);
  });

  it('halves a batch that has used up its attempts, until the failing event is alone and dead', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const retry = { attempts: 2, delay: 100, maxDelay: 100 };
    const call = recording(log, (payload) => (payload === 'a3' ? new Error('no a3') : undefined));
    const consumer = await memory.consume({ batch: { maxSize: 8 }, retry, call });
    memory.publish(...EIGHT);
    await memory.pass(1_000);
    expect(log.slice(0, 6)).toEqual([EIGHT.join(' '), EIGHT.join(' '), 'a1 a2 a3 a4', 'a1 a2', 'a3 a4', 'a3']);
    expect(log.slice(6).join(' ').split(' ')).toEqual(['a4', 'a5', 'a6', 'a7', 'a8']);
    expect(await memory.store.deadLetters('billing', { limit: 10 })).toMatchObject([
      { payload: '"a3"', error: 'no a3' },
    ]);
    expect(consumer.stats.delivered).toBe(7);
  });

  it('delivers whole batches again after one that was halved', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const retry = { attempts: 1, delay: 1, maxDelay: 1 };
    const call = recording(log, (payload) => (payload === 'a1' ? new Error('no a1') : undefined));
    await memory.consume({ batch: { maxSize: 4 }, retry, call });
    memory.publish('a1', 'a2', 'a3', 'a4');
    await memory.pass(100);
    log.length = 0;
    memory.publish(...EIGHT.map((payload) => payload.replace('a', 'b')));
    await memory.pass(100);
    expect(log).toEqual(['b1 b2 b3 b4', 'b5 b6 b7 b8']);
  });

  it('retries without end if attempts is Infinity', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    let isBroken = true;
    const retry = { attempts: Infinity, delay: 100, maxDelay: 100 };
    const call = recording(log, () => (isBroken ? new Error('no') : undefined));
    await memory.consume({ batch: { maxSize: 8 }, retry, call });
    memory.publish('a1', 'a2');
    await memory.pass(10_000);
    expect(log.length).toBeGreaterThan(50);
    expect(new Set(log)).toEqual(new Set(['a1 a2']));
    isBroken = false;
    await memory.pass(200);
    expect(await memory.store.consumers()).toMatchObject([{ waiting: 0, retrying: 0, dead: 0, attempts: 0 }]);
  });

  it('halves a batch at once if the handler rejects an event, and gives up only that event', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const retry = { attempts: Infinity, delay: 60_000, maxDelay: 60_000 };
    const call = recording(log, (payload) => (payload === 'a3' ? new PgEventRejection('never') : undefined));
    await memory.consume({ batch: { maxSize: 4 }, retry, call });
    memory.publish('a1', 'a2', 'a3', 'a4');
    await memory.pass(100);
    expect(log).toEqual(['a1 a2 a3 a4', 'a1 a2', 'a3 a4', 'a3', 'a4']);
    expect(await memory.store.deadLetters('billing', { limit: 10 })).toMatchObject([{ payload: '"a3"' }]);
  });

  it('gives up events that cannot be decoded, and delivers the rest of the batch', async () => {
    const memory = new MemoryLog();
    const log: string[] = [];
    const consumer = await memory.consume({ batch: { maxSize: 4 }, call: recording(log) });
    memory.store.publish({ channel: 'orders', payload: 'no JSON' });
    memory.publish('a2', 'a3');
    await turns();
    expect(log).toEqual(['a2 a3']);
    expect(consumer.stats).toMatchObject({ delivered: 2, failed: 1 });
    expect(await memory.store.deadLetters('billing', { limit: 10 })).toMatchObject([{ position: '1' }]);
  });
});
