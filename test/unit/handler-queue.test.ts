import { describe, expect, it } from '@jest/globals';
import { TurnBudget } from '../../lib/time/turn-budget.js';
import { HeldCalls } from '../support/held-calls.js';
import { gapOf, notification, push, QueuedProvider } from '../support/queued-provider.js';
import { turn } from '../support/turn.js';
import { untilAborted } from '../support/until-aborted.js';

describe('a queue', () => {
  it('runs nothing while it is being pushed to', async () => {
    const subject = new QueuedProvider();
    const queue = subject.queue('a');
    push(queue, 1, 2);
    expect(subject.events.items).toEqual([]);
    await queue.settled();
    expect(subject.events.items).toEqual(['a 1', 'a 2']);
  });

  it('runs a batch when it is full or when its first item has waited long enough', async () => {
    const subject = new QueuedProvider();
    const queue = subject.queue('a', { mode: { concurrency: 1, batch: { maxSize: 2, maxWait: 20 } } });
    const begun = performance.now();
    push(queue, 1, 2, 3);
    expect(await subject.events.until(2)).toEqual(['a 1 2', 'a 3']);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(19); // The clock of the wall has whole milliseconds.
  });

  it('runs a batch at once if its first item has waited long enough during the run before', async () => {
    const subject = new QueuedProvider();
    const runs = new HeldCalls<readonly number[]>();
    const queue = subject.queue('a', {
      mode: { concurrency: 1, batch: { maxSize: 2, maxWait: 3_600_000 } },
      call: runs.run,
    });
    push(queue, 1, 2);
    await turn();
    queue.push({ ...notification(3), receivedAt: new Date(Date.now() - 3_600_000) });
    runs.end();
    await subject.events.until(2);
    expect(subject.events.items).toEqual(['a 1 2', 'a 3']);
    runs.end();
    await queue.settled();
  });

  it('waits for a batch no longer than maxWait even if the clock was set back', async () => {
    const subject = new QueuedProvider();
    const queue = subject.queue('a', { mode: { concurrency: 1, batch: { maxSize: 2, maxWait: 5 } } });
    queue.push({ ...notification(1), receivedAt: new Date(Date.now() + 3_600_000) });
    expect(await subject.events.until(1)).toEqual(['a 1']);
    await queue.settled();
  });

  it('runs an incomplete batch at a gap and at the end', async () => {
    const subject = new QueuedProvider();
    const [method, mode] = [subject.heldMethod(), { concurrency: 1, batch: { maxSize: 9, maxWait: 3_600_000 } }];
    const queue = subject.queue('a', { mode });
    push(queue, 1, 2);
    subject.gate.announce(gapOf('reconnect'));
    push(queue, 3);
    await subject.events.until(2);
    method.end();
    await turn();
    expect(subject.events.items).toEqual(['a 1 2', 'gap reconnect']);
    queue.end();
    await queue.settled();
    expect(subject.events.items).toEqual(['a 1 2', 'gap reconnect', 'a 3']);
  });

  it('counts a notification without a key as failed, and goes on', async () => {
    const subject = new QueuedProvider();
    const latest = (payload: unknown): unknown => {
      if (payload === 2) throw new Error('no key');
      return payload;
    };
    const queue = subject.queue('a', { mode: { concurrency: 1, latest } });
    push(queue, 1, 2, 3);
    await queue.settled();
    expect(subject.events.items).toEqual(['a 1', 'a 3']);
    expect(subject.counters[0]).toMatchObject({ delivered: 2, failed: 1, dropped: 0, conflated: 0 });
    expect(subject.errors).toMatchObject([
      { kind: 'handler', handler: 'a', channel: 'c', cause: { message: 'no key' } },
    ]);
  });

  it('warns once about an overflow, and again after it has kept up in between', async () => {
    const subject = new QueuedProvider();
    const runs = new HeldCalls<readonly number[]>();
    const queue = subject.queue('a', { bufferSize: 4, call: runs.run });
    push(queue, 0);
    await turn();
    push(queue, 1, 2, 3, 4, 5, 6);
    expect([subject.overflows.length, subject.counters[0]!.dropped]).toEqual([1, 2]);
    for (let count = 0; count < 5; count += 1) {
      runs.end();
      await turn();
    }
    push(queue, 7, 8, 9, 10, 11); // The first of them runs.
    expect([subject.overflows.length, subject.counters[0]!.dropped]).toEqual([1, 2]);
    push(queue, 12);
    expect([subject.overflows.length, subject.counters[0]!.dropped]).toEqual([2, 3]);
    queue.stop();
  });

  it('drops nothing that can be taken at once, however much comes in together', async () => {
    const subject = new QueuedProvider();
    const queue = subject.queue('a', { bufferSize: 4, budget: new TurnBudget({ now: () => 0 }) });
    const all = Array.from({ length: 100 }, (_, index) => index);
    push(queue, ...all);
    await queue.settled();
    expect(subject.events.items).toEqual(all.map((id) => `a ${id}`));
    expect(subject.counters[0]).toMatchObject({ delivered: 100, dropped: 0 });
  });

  it('calls nothing while it calls a handler, also when that one has as much pushed as it holds', async () => {
    const subject = new QueuedProvider();
    let depth = 0;
    const queue = subject.queue('a', {
      bufferSize: 2,
      budget: new TurnBudget({ now: () => 0 }),
      call: ([id]) => {
        depth += 1;
        expect(depth).toBe(1);
        if (id === 0) push(queue, 1, 2, 3);
        depth -= 1;
      },
    });
    push(queue, 0);
    await queue.settled();
    expect(subject.events.items).toEqual(['a 0', 'a 2', 'a 3']);
    expect(subject.errors).toEqual([]);
  });

  it('reports a run that took too long at once, and goes on when it has ended, however it ends', async () => {
    const subject = new QueuedProvider();
    const late = new HeldCalls<readonly number[]>();
    const signals: AbortSignal[] = [];
    const call = (ids: readonly number[], signal: AbortSignal): unknown => {
      signals.push(signal);
      return signals.length < 3 ? late.run(ids) : undefined;
    };
    const queue = subject.queue('a', { timeout: 5, call });
    push(queue, 1, 2, 3);
    for (const [index, error] of [undefined, new Error('too late')].entries()) {
      await late.begun.until(index + 1);
      await untilAborted(signals[index]!);
      await turn();
      expect(subject.counters[0]).toMatchObject({ delivered: 0, failed: index + 1 });
      expect(subject.blocks.all).toMatchObject([{ handler: 'a', channel: 'c', reason: 'overrun' }]);
      expect([signals.length, queue.depth.running]).toEqual([index + 1, 1]);
      late.end(error); // Under --unhandled-rejections=strict an error would end the process.
    }
    await queue.settled();
    expect(subject.blocks.all).toEqual([]);
    expect(subject.counters[0]).toMatchObject({ delivered: 1, failed: 2 });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
    expect(signals[0]!.reason).toMatchObject({ message: 'It took longer than its timeout of 5 ms.' });
    expect(subject.errors.map(({ message }) => message)).toEqual([
      expect.stringContaining('It took longer than its timeout of 5 ms.'),
      expect.stringContaining('It took longer than its timeout of 5 ms.'),
    ]);
  });

  it('counts a run that took too long as failed, even if it ends as soon as it is aborted', async () => {
    const subject = new QueuedProvider();
    const call = (_: readonly number[], signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    const queue = subject.queue('a', { timeout: 5, call });
    push(queue, 1);
    await queue.settled();
    expect(subject.counters[0]).toMatchObject({ delivered: 0, failed: 1 });
    expect(subject.errors[0]!.message).toContain('It took longer than its timeout of 5 ms.');
  });

  it('reports a result that throws when it is inspected', async () => {
    const subject = new QueuedProvider();
    const trap = new Proxy(
      {},
      {
        has: () => {
          throw new Error('do not look');
        },
      },
    );
    const queue = subject.queue('a', { call: () => trap });
    push(queue, 1);
    await queue.settled();
    expect(subject.counters[0]).toMatchObject({ delivered: 0, failed: 1 });
    expect(subject.errors).toMatchObject([{ cause: { message: 'do not look' } }]);
  });

  it('runs nothing after stop(), and ignores a late rejection', async () => {
    const subject = new QueuedProvider();
    const runs = new HeldCalls<readonly number[]>();
    const queue = subject.queue('a', { call: runs.run });
    push(queue, 1, 2, 3);
    await turn();
    expect(queue.stop()).toBe(2);
    push(queue, 4);
    subject.gate.announce(gapOf('reconnect'));
    const settled = queue.settled();
    runs.end(new Error('too late'));
    await settled;
    expect(subject.events.items).toEqual(['a 1']);
    expect(queue.depth).toEqual({ waiting: 0, running: 0 });
  });
});
