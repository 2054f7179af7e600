import { describe, expect, it } from '@jest/globals';
import type { PgGap, PgGapReason } from '../../lib/channel/pg-gap.js';
import { GAP_REASONS } from '../../lib/channel/pg-gap.js';
import type { PgNotification } from '../../lib/channel/pg-notification.js';
import type { GapMethod } from '../../lib/delivery/gap-barrier.js';
import { GapGate } from '../../lib/delivery/gap-gate.js';
import { HandlerCounters } from '../../lib/delivery/handler-counters.js';
import { HandlerQueue } from '../../lib/delivery/handler-queue.js';
import type { HandlerQueueOptions } from '../../lib/delivery/handler-queue.js';
import { handlerRun } from '../../lib/delivery/handler-run.js';
import { TurnBudget } from '../../lib/delivery/turn-budget.js';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import type { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { FakeClock } from '../support/fake-server.js';
import { Recorder } from '../support/recorder.js';
import { turn } from '../support/turn.js';

type Overrides = Partial<Omit<HandlerQueueOptions, 'run'>> & {
  readonly call?: (ids: readonly number[], signal: AbortSignal) => unknown;
  readonly timeout?: number;
};

let time = 0;

/** A moment of its own for each. */
function moment(): Date {
  time += 1;
  return new Date(time);
}

function gapOf(reason: PgGapReason, more: Partial<PgGap> = {}): PgGap {
  return { channel: 'c', reason, until: moment(), ...more };
}

/** A provider with gap methods and queues, all by hand. */
class Subject {
  readonly clock = new FakeClock();
  readonly closing = new AbortController();
  readonly events = new Recorder<string>();
  readonly errors: PgNotifyError[] = [];
  readonly overflows: string[] = [];
  readonly gaps: PgGap[] = [];
  readonly gate: GapGate;
  readonly counters: HandlerCounters[] = [];
  private readonly budget = new TurnBudget();
  private readonly methods: GapMethod[] = [];

  constructor() {
    this.gate = new GapGate(this.methods, this.clock, this.closing.signal);
  }

  /** A gap method that waits each time for the test to say how it ends. */
  heldMethod(reasons: readonly PgGapReason[] = GAP_REASONS): ((error?: Error) => void)[] {
    const ends: ((error?: Error) => void)[] = [];
    this.methods.push({
      accepts: (reason) => reasons.includes(reason),
      run: (gap) =>
        new Promise((resolve, reject) => {
          this.gaps.push(gap);
          ends.push((error) => (error ? reject(error) : resolve()));
          this.events.push(`gap ${gap.reason}`);
        }),
    });
    return ends;
  }

  queue(name: string, { call, timeout, ...options }: Overrides = {}): HandlerQueue {
    const counters = new HandlerCounters('notification', name, 'c', new PgNotifyDiagnostics('test'));
    this.counters.push(counters);
    const onError = (error: unknown): void => void this.errors.push(error as PgNotifyError);
    const run = handlerRun<readonly PgNotification[]>({
      label: name,
      channel: 'c',
      call: (items, signal) => {
        const ids = items.map(({ payload }) => payload as number);
        this.events.push(`${name} ${ids.join(' ')}`);
        return call?.(ids, signal);
      },
      timeout,
      closing: this.closing.signal,
      counters,
      onError,
    });
    const { gate, budget } = this;
    return new HandlerQueue({
      label: name,
      channel: 'c',
      mode: { concurrency: 1 },
      bufferSize: 100,
      run,
      gate,
      budget,
      counters,
      onError,
      onOverflow: () => this.overflows.push(name),
      ...options,
    });
  }
}

function notification(payload: unknown): PgNotification {
  return { channel: 'c', raw: String(payload), payload, processId: 1, receivedAt: new Date() };
}

function push(queue: HandlerQueue, ...payloads: readonly unknown[]): void {
  for (const payload of payloads) queue.push(notification(payload));
}

/** Runs that wait for the test. */
function heldRuns() {
  const ends: ((error?: Error) => void)[] = [];
  const call = (): Promise<void> =>
    new Promise((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve())));
  return { ends, call };
}

describe('a queue', () => {
  it('runs nothing while it is being pushed to', async () => {
    const subject = new Subject();
    const queue = subject.queue('a');
    push(queue, 1, 2);
    expect(subject.events.items).toEqual([]);
    await queue.settled();
    expect(subject.events.items).toEqual(['a 1', 'a 2']);
  });

  it('runs a batch when it is full, or when its first has waited long enough', async () => {
    const subject = new Subject();
    const queue = subject.queue('a', { mode: { concurrency: 1, batch: { maxSize: 2, maxWait: 20 } } });
    push(queue, 1, 2, 3);
    await turn();
    expect(subject.events.items).toEqual(['a 1 2']);
    await subject.events.until(2);
    expect(subject.events.items).toEqual(['a 1 2', 'a 3']);
  });

  it('does not let the first of a batch wait again that has waited during the run before', async () => {
    const subject = new Subject();
    const { ends, call } = heldRuns();
    const queue = subject.queue('a', { mode: { concurrency: 1, batch: { maxSize: 2, maxWait: 3_600_000 } }, call });
    push(queue, 1, 2);
    await turn();
    queue.push({ ...notification(3), receivedAt: new Date(Date.now() - 3_600_000) });
    ends.shift()!();
    await subject.events.until(2);
    expect(subject.events.items).toEqual(['a 1 2', 'a 3']);
    ends.shift()!();
    await queue.settled();
  });

  it('waits for a batch no longer than maxWait, though the clock was set back', async () => {
    const subject = new Subject();
    const queue = subject.queue('a', { mode: { concurrency: 1, batch: { maxSize: 2, maxWait: 5 } } });
    queue.push({ ...notification(1), receivedAt: new Date(Date.now() + 3_600_000) });
    expect(await subject.events.until(1)).toEqual(['a 1']);
    await queue.settled();
  });

  it('runs what there is of a batch at a gap, and at the end', async () => {
    const subject = new Subject();
    const [ends, mode] = [subject.heldMethod(), { concurrency: 1, batch: { maxSize: 9, maxWait: 3_600_000 } }];
    const queue = subject.queue('a', { mode });
    push(queue, 1, 2);
    queue.gap(gapOf('reconnect'));
    push(queue, 3);
    await subject.events.until(2);
    ends.shift()!();
    await turn();
    expect(subject.events.items).toEqual(['a 1 2', 'gap reconnect']);
    queue.end();
    await queue.settled();
    expect(subject.events.items).toEqual(['a 1 2', 'gap reconnect', 'a 3']);
  });

  it('counts what has no key as failed, and goes on', async () => {
    const subject = new Subject();
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

  it('warns once of an overflow, and again when it had kept up meanwhile', async () => {
    const subject = new Subject();
    const { ends, call } = heldRuns();
    const queue = subject.queue('a', { bufferSize: 4, call });
    push(queue, 0);
    await turn();
    push(queue, 1, 2, 3, 4, 5, 6);
    expect([subject.overflows.length, subject.counters[0]!.dropped]).toEqual([1, 2]);
    for (let count = 0; count < 5; count += 1) {
      ends.shift()!();
      await turn();
    }
    push(queue, 7, 8, 9, 10, 11);
    expect([subject.overflows.length, subject.counters[0]!.dropped]).toEqual([2, 3]);
    queue.stop();
  });

  it('goes on after a run that took too long, and does not mind how that ends later', async () => {
    const subject = new Subject();
    const late = heldRuns();
    const signals: AbortSignal[] = [];
    const call = (_: readonly number[], signal: AbortSignal): unknown => {
      signals.push(signal);
      return signals.length < 3 ? late.call() : undefined;
    };
    const queue = subject.queue('a', { timeout: 5, call });
    push(queue, 1, 2, 3);
    await queue.settled();
    expect(subject.counters[0]).toMatchObject({ delivered: 1, failed: 2 });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
    expect(signals[0]!.reason).toMatchObject({ message: 'It took longer than its timeout of 5 ms.' });
    expect(subject.errors[0]!.message).toContain('It took longer than its timeout of 5 ms.');
    late.ends[0]!();
    late.ends[1]!(new Error('too late')); // Under --unhandled-rejections=strict this would end the process.
    await turn();
    expect(subject.counters[0]).toMatchObject({ delivered: 1, failed: 2 });
    expect(subject.errors).toHaveLength(2);
  });

  it('has failed when it took too long, also where it ends as soon as it is told so', async () => {
    const subject = new Subject();
    const call = (_: readonly number[], signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    const queue = subject.queue('a', { timeout: 5, call });
    push(queue, 1);
    await queue.settled();
    expect(subject.counters[0]).toMatchObject({ delivered: 0, failed: 1 });
    expect(subject.errors[0]!.message).toContain('It took longer than its timeout of 5 ms.');
  });

  it('reports what throws when it is looked at', async () => {
    const subject = new Subject();
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

  it('runs nothing after stop(), and takes a late rejection', async () => {
    const subject = new Subject();
    const { ends, call } = heldRuns();
    const queue = subject.queue('a', { call });
    push(queue, 1, 2, 3);
    await turn();
    expect(queue.stop()).toBe(2);
    push(queue, 4);
    queue.gap(gapOf('reconnect'));
    const settled = queue.settled();
    ends[0]!(new Error('too late'));
    await settled;
    expect(subject.events.items).toEqual(['a 1']);
    expect(queue.depth).toEqual({ waiting: 0, running: 0 });
  });
});

describe('a gap', () => {
  it('lets a queue overflow that others wait for in line, without a deadlock', async () => {
    const subject = new Subject();
    const ends = subject.heldMethod();
    const { ends: runs, call } = heldRuns();
    const busy = subject.queue('busy', { bufferSize: 2, call });
    const quick = subject.queue('quick');
    push(busy, 0);
    await turn();
    push(busy, 1, 2);
    const reconnect = gapOf('reconnect');
    for (const queue of [busy, quick]) queue.gap(reconnect);
    await turn();
    expect(quick.standsAt).toBeDefined();
    push(busy, 3); // 1 is dropped, while quick stands and waits for busy.
    runs.shift()!();
    await subject.events.until((events) => events.includes('gap overflow'));
    ends.shift()!();
    await subject.events.until((events) => events.includes('busy 2'));
    push(quick, 4);
    runs.shift()!();
    await subject.events.until((events) => events.includes('gap reconnect'));
    ends.shift()!();
    await subject.events.until((events) => events.includes('busy 3'));
    runs.shift()!();
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

  it('keeps its place when an overflow before it fails: what is older must not be handled after its methods', async () => {
    const subject = new Subject();
    const ends = subject.heldMethod();
    const { ends: runs, call } = heldRuns();
    const busy = subject.queue('busy', { bufferSize: 2, call });
    const quick = subject.queue('quick');
    push(busy, 0);
    await turn();
    push(busy, 1, 2);
    const reconnect = gapOf('reconnect', { since: new Date(0) });
    for (const queue of [busy, quick]) queue.gap(reconnect);
    push(quick, 3);
    await turn();
    push(busy, 3); // 1 is dropped, while quick stands and waits for busy.
    push(quick, 4);
    runs.shift()!();
    await subject.events.until(2);
    ends.shift()!(new Error('not now'));
    await turn();
    push(busy, 5); // 2 is dropped, while the methods have failed.
    subject.clock.advance(100);
    await subject.events.until(3);
    ends.shift()!();
    await subject.events.until(4);
    expect(subject.events.items).toEqual(['busy 0', 'gap overflow', 'gap overflow', 'gap reconnect']);
    expect(subject.gaps.map(({ dropped }) => dropped)).toEqual([1, 2, undefined]);
    ends.shift()!();
    await quick.settled();
    expect(subject.events.items.slice(4).toSorted()).toEqual(['busy 3', 'quick 3', 'quick 4']);
    runs.shift()!();
    await subject.events.until(8);
    runs.shift()!();
    await Promise.all([busy.settled(), subject.gate.settled()]);
    expect(subject.events.items.at(-1)).toBe('busy 5');
  });

  it('is told again for what was dropped while its methods ran', async () => {
    const subject = new Subject();
    const ends = subject.heldMethod();
    const queue = subject.queue('a', { bufferSize: 2 });
    queue.gap(gapOf('start'));
    await subject.events.until(1);
    push(queue, 1, 2, 3, 4, 5);
    ends.shift()!();
    await subject.events.until(2);
    ends.shift()!();
    await queue.settled();
    expect(subject.events.items).toEqual(['gap start', 'gap overflow', 'a 4', 'a 5']);
    expect(subject.gaps.map(({ dropped }) => dropped)).toEqual([undefined, 3]);
  });

  it('takes up what is dropped while its methods fail, and is not hurried by that', async () => {
    const subject = new Subject();
    const ends = subject.heldMethod();
    const queue = subject.queue('a', { bufferSize: 2 });
    const start = gapOf('start');
    queue.gap(start);
    await subject.events.until(1);
    push(queue, 1, 2, 3); // While they run: a gap of its own, at first.
    ends.shift()!(new Error('not now'));
    await turn();
    push(queue, 4); // While they have failed.
    await turn();
    expect(subject.events.items).toEqual(['gap start']);
    expect(subject.clock.sleeping).toBe(1);
    subject.clock.advance(100);
    await subject.events.until(2);
    expect(subject.gaps[1]).toEqual({ channel: 'c', reason: 'start', until: expect.any(Date), dropped: 2 });
    ends.shift()!();
    await queue.settled();
    expect(subject.events.items).toEqual(['gap start', 'gap start', 'a 3', 'a 4']);
  });

  it.each(['while its methods have failed', 'during the attempt that fails'])(
    'is replaced at once by one that comes %s',
    async (when) => {
      const subject = new Subject();
      const ends = subject.heldMethod();
      const queue = subject.queue('a');
      queue.gap(gapOf('reconnect', { since: moment() }));
      await subject.events.until(1);
      const newer = gapOf('relisten', { since: moment() });
      if (when === 'during the attempt that fails') queue.gap(newer);
      ends.shift()!(new Error('not now'));
      await turn();
      if (when === 'while its methods have failed') queue.gap(newer);
      await subject.events.until(2); // No time has passed.
      const { since } = subject.gaps[0]!;
      expect(subject.gaps[1]).toEqual({ channel: 'c', reason: 'relisten', since, until: newer.until });
      ends.shift()!();
      await queue.settled();
      expect(ends).toEqual([]);
      expect(subject.clock.sleeping).toBe(0);
    },
  );

  it('that follows another with nothing in between is told together with it', async () => {
    const subject = new Subject();
    const ends = subject.heldMethod();
    const { ends: runs, call } = heldRuns();
    const queue = subject.queue('a', { call });
    push(queue, 0);
    await turn();
    const gaps = Array.from({ length: 1_000 }, () => gapOf('reconnect', { since: moment() }));
    for (const gap of gaps) queue.gap(gap);
    expect(queue['stretches']).toHaveLength(2);
    runs.shift()!();
    await subject.events.until(2);
    ends.shift()!();
    await queue.settled();
    expect(subject.gaps).toEqual([{ ...gaps[0], until: gaps.at(-1)!.until }]);
  });

  it('is told to the methods that want to know, and again only to those that failed', async () => {
    const subject = new Subject();
    const [first, second, third] = [
      subject.heldMethod(),
      subject.heldMethod(['reconnect']),
      subject.heldMethod(['start', 'overflow']),
    ];
    const queue = subject.queue('a');
    queue.gap(gapOf('reconnect'));
    push(queue, 1);
    await turn();
    first.shift()!();
    await turn();
    second.shift()!(new Error('not now'));
    await turn();
    subject.clock.advance(100);
    await turn();
    expect([first.length, second.length, third.length]).toEqual([0, 1, 0]);
    second.shift()!();
    await queue.settled();
    expect(subject.events.items).toEqual(['gap reconnect', 'gap reconnect', 'gap reconnect', 'a 1']);
  });

  it('that nobody wants to know of stops nothing', async () => {
    const subject = new Subject();
    subject.heldMethod(['start']);
    const queue = subject.queue('a', { bufferSize: 2 });
    queue.gap(gapOf('reconnect'));
    push(queue, 1, 2, 3);
    await queue.settled();
    expect(subject.events.items).toEqual(['a 2', 'a 3']);
    expect(subject.counters[0]!.dropped).toBe(1);
  });

  it('runs its methods outside of what announces it, without a queue as well', async () => {
    const subject = new Subject();
    const ends = subject.heldMethod();
    subject.gate.announce(gapOf('start'));
    expect(subject.events.items).toEqual([]);
    await subject.events.until(1);
    for (const reason of ['reconnect', 'relisten'] as const) subject.gate.announce(gapOf(reason));
    ends.shift()!();
    await subject.events.until(2);
    ends.shift()!();
    await subject.gate.settled();
    expect(subject.events.items).toEqual(['gap start', 'gap relisten']);
  });

  it('is given up at the close: nothing is called again, nothing sleeps, and all settles', async () => {
    const subject = new Subject();
    const ends = subject.heldMethod();
    const { ends: runs, call } = heldRuns();
    const held = subject.queue('held');
    const busy = subject.queue('busy', { call });
    push(busy, 0);
    const [first, second] = [gapOf('reconnect'), gapOf('reconnect')];
    for (const queue of [held, busy]) {
      queue.gap(first);
      push(queue, 1);
      queue.gap(second);
    }
    await turn();
    runs.shift()!();
    await subject.events.until((events) => events.includes('gap reconnect'));
    const settled = subject.gate.settled();
    for (const queue of [held, busy]) expect(queue.stop()).toBe(1);
    subject.closing.abort(new Error('closed'));
    ends.shift()!(new Error('too late'));
    await settled;
    await turn();
    expect(subject.events.items).toEqual(['busy 0', 'gap reconnect']);
    expect(subject.clock.sleeping).toBe(0);
  });
});
