import { describe, expect, it } from '@jest/globals';
import { HeldCalls } from '../support/held-calls.js';
import { gapOf, moment, push, QueuedProvider } from '../support/queued-provider.js';
import { turn } from '../support/turn.js';

/** A provider with two queues: a full one, whose first run waits for the test, and an empty one. */
async function busyAndQuick() {
  const subject = new QueuedProvider();
  const method = subject.heldMethod();
  const runs = new HeldCalls<readonly number[]>();
  const busy = subject.queue('busy', { bufferSize: 2, call: runs.run });
  const quick = subject.queue('quick');
  push(busy, 0);
  await turn();
  push(busy, 1, 2);
  return { subject, method, runs, busy, quick };
}

describe('a gap', () => {
  it('lets a queue overflow while others wait for it, without a deadlock', async () => {
    const { subject, method, runs, busy, quick } = await busyAndQuick();
    const reconnect = gapOf('reconnect');
    subject.gate.announce(reconnect);
    await turn();
    expect(quick.standsAt).toBeDefined();
    push(busy, 3); // 1 is dropped, while quick stands and waits for busy.
    runs.end();
    await subject.events.until((events) => events.includes('gap overflow'));
    method.end();
    await subject.events.until((events) => events.includes('busy 2'));
    push(quick, 4);
    runs.end();
    await subject.events.until((events) => events.includes('gap reconnect'));
    method.end();
    await subject.events.until((events) => events.includes('busy 3'));
    runs.end();
    await Promise.all([busy.settled(), quick.settled(), subject.gate.settled()]);
    const { items } = subject.events;
    expect(items.filter((event) => event !== 'quick 4')).toEqual([
      'busy 0',
      'gap overflow',
      'busy 2',
      'gap reconnect',
      'busy 3',
    ]);
    expect(items.indexOf('quick 4')).toBeGreaterThan(items.indexOf('gap reconnect'));
    expect(subject.gaps.map(({ dropped }) => dropped)).toEqual([1, undefined]);
  });

  it('keeps its place when an overflow before it fails, so that nothing older is handled after its methods', async () => {
    const { subject, method, runs, busy, quick } = await busyAndQuick();
    const reconnect = gapOf('reconnect', { since: new Date(0) });
    subject.gate.announce(reconnect);
    push(quick, 3);
    await turn();
    push(busy, 3); // 1 is dropped, while quick stands and waits for busy.
    push(quick, 4);
    runs.end();
    await subject.events.until(2);
    method.end(new Error('not now'));
    await turn();
    push(busy, 5); // 2 is dropped, while the methods have failed.
    subject.clock.advance(100);
    await subject.events.until(3);
    method.end();
    await subject.events.until(4);
    expect(subject.events.items).toEqual(['busy 0', 'gap overflow', 'gap overflow', 'gap reconnect']);
    expect(subject.gaps.map(({ dropped }) => dropped)).toEqual([1, 2, undefined]);
    method.end();
    await quick.settled();
    expect(subject.events.items.slice(4).toSorted()).toEqual(['busy 3', 'quick 3', 'quick 4']);
    runs.end();
    await subject.events.until(8);
    runs.end();
    await Promise.all([busy.settled(), subject.gate.settled()]);
    expect(subject.events.items.at(-1)).toBe('busy 5');
  });

  it('is followed by an overflow for what was dropped while its methods ran', async () => {
    const subject = new QueuedProvider();
    const method = subject.heldMethod();
    const queue = subject.queue('a', { bufferSize: 2 });
    subject.gate.announce(gapOf('start'));
    await subject.events.until(1);
    push(queue, 1, 2, 3, 4, 5);
    method.end();
    await subject.events.until(2);
    method.end();
    await queue.settled();
    expect(subject.events.items).toEqual(['gap start', 'gap overflow', 'a 4', 'a 5']);
    expect(subject.gaps.map(({ dropped }) => dropped)).toEqual([undefined, 3]);
  });

  it('includes what is dropped while its methods fail, and is not repeated earlier for that', async () => {
    const subject = new QueuedProvider();
    const method = subject.heldMethod();
    const queue = subject.queue('a', { bufferSize: 2 });
    const start = gapOf('start');
    subject.gate.announce(start);
    await subject.events.until(1);
    push(queue, 1, 2, 3); // While they run: a gap of its own, at first.
    method.end(new Error('not now'));
    await turn();
    push(queue, 4); // While they have failed.
    await turn();
    expect(subject.events.items).toEqual(['gap start']);
    expect(subject.clock.sleeping).toBe(1);
    subject.clock.advance(100);
    await subject.events.until(2);
    expect(subject.gaps[1]).toEqual({ channel: 'c', reason: 'start', until: expect.any(Date), dropped: 2 });
    method.end();
    await queue.settled();
    expect(subject.events.items).toEqual(['gap start', 'gap start', 'a 3', 'a 4']);
  });

  it.each(['while its methods have failed', 'during the attempt that fails'])(
    'is replaced at once by one that comes %s',
    async (when) => {
      const subject = new QueuedProvider();
      const method = subject.heldMethod();
      const queue = subject.queue('a');
      subject.gate.announce(gapOf('reconnect', { since: moment() }));
      await subject.events.until(1);
      const newer = gapOf('relisten', { since: moment() });
      if (when === 'during the attempt that fails') subject.gate.announce(newer);
      method.end(new Error('not now'));
      await turn();
      if (when === 'while its methods have failed') subject.gate.announce(newer);
      await subject.events.until(2); // No time has passed.
      const { since } = subject.gaps[0]!;
      expect(subject.gaps[1]).toEqual({ channel: 'c', reason: 'relisten', since, until: newer.until });
      method.end();
      await queue.settled();
      expect(method.pending).toBe(0);
      expect(subject.clock.sleeping).toBe(0);
    },
  );

  it('covers what is dropped behind it, while the methods of a gap before it fail', async () => {
    const subject = new QueuedProvider();
    const method = subject.heldMethod();
    const queue = subject.queue('a', { bufferSize: 2 });
    subject.gate.announce(gapOf('start'));
    await subject.events.until(1);
    method.end(new Error('not now'));
    await turn();
    push(queue, 1);
    subject.gate.announce(gapOf('reconnect', { since: moment() }));
    push(queue, 2, 3, 4, 5); // 1 is dropped before the second gap, 2 and 3 behind it.
    for (const count of [2, 3]) {
      await subject.events.until(count);
      method.end();
    }
    await queue.settled();
    expect(subject.events.items).toEqual(['gap start', 'gap start', 'gap reconnect', 'a 4', 'a 5']);
    expect(subject.gaps.map(({ dropped }) => dropped)).toEqual([undefined, 1, 2]);
    const ends = subject.gaps.map(({ until }) => until.getTime());
    expect(ends).toEqual(ends.toSorted((one, other) => one - other));
  });

  it('is announced together with the gap before if nothing came in between', async () => {
    const subject = new QueuedProvider();
    const method = subject.heldMethod();
    const runs = new HeldCalls<readonly number[]>();
    const queue = subject.queue('a', { call: runs.run });
    push(queue, 0);
    await turn();
    const gaps = Array.from({ length: 1_000 }, () => gapOf('reconnect', { since: moment() }));
    for (const gap of gaps) subject.gate.announce(gap);
    expect(queue['waiting']['stretches']).toHaveLength(2);
    runs.end();
    await subject.events.until(2);
    method.end();
    await queue.settled();
    expect(subject.gaps).toEqual([{ ...gaps[0], until: gaps.at(-1)!.until }]);
  });

  it('is given to the methods that accept it, and again only to those that failed', async () => {
    const subject = new QueuedProvider();
    const [first, second, third] = [
      subject.heldMethod(),
      subject.heldMethod(['reconnect']),
      subject.heldMethod(['start', 'overflow']),
    ];
    const queue = subject.queue('a');
    subject.gate.announce(gapOf('reconnect'));
    push(queue, 1);
    await turn();
    first.end();
    await turn();
    second.end(new Error('not now'));
    await turn();
    subject.clock.advance(100);
    await turn();
    expect([first.pending, second.pending, third.pending]).toEqual([0, 1, 0]);
    second.end();
    await queue.settled();
    expect(subject.events.items).toEqual(['gap reconnect', 'gap reconnect', 'gap reconnect', 'a 1']);
  });

  it('stops nothing if no method accepts it', async () => {
    const subject = new QueuedProvider();
    subject.heldMethod(['start']);
    const runs = new HeldCalls<readonly number[]>();
    const queue = subject.queue('a', { bufferSize: 2, call: runs.run });
    push(queue, 0);
    await runs.begun.until(1);
    subject.gate.announce(gapOf('reconnect'));
    push(queue, 1, 2, 3);
    for (const count of [2, 3]) {
      runs.end();
      await runs.begun.until(count);
    }
    runs.end();
    await queue.settled();
    expect(subject.events.items).toEqual(['a 0', 'a 2', 'a 3']);
    expect(subject.counters[0]!.dropped).toBe(1);
  });

  it('runs its methods after what announces it has returned, even without a queue', async () => {
    const subject = new QueuedProvider();
    const method = subject.heldMethod();
    subject.gate.announce(gapOf('start'));
    expect(subject.events.items).toEqual([]);
    await subject.events.until(1);
    for (const reason of ['reconnect', 'relisten'] as const) subject.gate.announce(gapOf(reason));
    method.end();
    await subject.events.until(2);
    method.end();
    await subject.gate.settled();
    expect(subject.events.items).toEqual(['gap start', 'gap relisten']);
  });

  it('is given up at the close, calls nothing again, leaves no timer and lets everything settle', async () => {
    const subject = new QueuedProvider();
    const method = subject.heldMethod();
    const runs = new HeldCalls<readonly number[]>();
    const held = subject.queue('held');
    const busy = subject.queue('busy', { call: runs.run });
    push(busy, 0);
    const [first, second] = [gapOf('reconnect'), gapOf('reconnect')];
    subject.gate.announce(first);
    for (const queue of [held, busy]) push(queue, 1);
    subject.gate.announce(second);
    await turn();
    runs.end();
    await subject.events.until((events) => events.includes('gap reconnect'));
    const settled = subject.gate.settled();
    for (const queue of [held, busy]) expect(queue.stop()).toBe(1);
    subject.closing.abort(new Error('closed'));
    method.end(new Error('too late'));
    await settled;
    await turn();
    expect(subject.events.items).toEqual(['busy 0', 'gap reconnect']);
    expect(subject.clock.sleeping).toBe(0);
  });

  it('runs for an overflow a second after the last one, or later if that took longer', async () => {
    const subject = new QueuedProvider();
    const method = subject.heldMethod();
    const runs = new HeldCalls<readonly number[]>();
    const queue = subject.queue('a', { bufferSize: 1, call: runs.run });
    push(queue, 0);
    await runs.begun.until(1);
    /** Two that have no room but for one of them. */
    const overflow = async (): Promise<void> => {
      push(queue, 1, 2);
      runs.end();
      await turn();
    };
    await overflow();
    expect(subject.gaps).toHaveLength(1); // At once.
    subject.clock.advance(3_000); // It takes that long.
    method.end();
    await turn();
    await overflow();
    subject.clock.advance(2_999);
    await turn();
    expect(subject.gaps).toHaveLength(1);
    subject.clock.advance(1);
    runs.end();
    await turn();
    expect(subject.gaps).toHaveLength(2);
    method.end();
    await turn();
    push(queue, 0);
    await turn();
    await overflow();
    runs.end();
    subject.clock.advance(999);
    await turn();
    expect(subject.gaps).toHaveLength(2);
    // A lost connection does not wait, and its gap includes the overflow.
    subject.gate.announce(gapOf('reconnect', { since: new Date(0) }));
    await turn();
    expect(subject.gaps).toHaveLength(3);
    expect(subject.gaps[2]).toMatchObject({ reason: 'reconnect', dropped: 1 });
    expect(subject.clock.sleeping).toBe(0);
    method.end();
    await Promise.all([queue.settled(), subject.gate.settled()]);
  });

  it('lets the queues go on until its methods may be told of the next overflow', async () => {
    const subject = new QueuedProvider();
    const method = subject.heldMethod();
    const runs = new HeldCalls<readonly number[]>();
    const slow = subject.queue('slow', { bufferSize: 2, call: runs.run });
    const quick = subject.queue('quick');
    push(slow, 0);
    await turn();
    push(slow, 1, 2, 3); // 1 is dropped.
    runs.end();
    await turn();
    method.end();
    await turn();
    push(slow, 4, 5); // 3 is dropped, and the methods were told just now.
    push(quick, 6);
    runs.end();
    await turn();
    expect(subject.events.items).toEqual(['slow 0', 'gap overflow', 'slow 2', 'quick 6', 'slow 4']);
    runs.end();
    await turn();
    runs.end();
    subject.clock.advance(1_000);
    await turn();
    expect(subject.gaps.map(({ dropped }) => dropped)).toEqual([1, 1]);
    method.end();
    await Promise.all([slow.settled(), quick.settled(), subject.gate.settled()]);
  });
});
