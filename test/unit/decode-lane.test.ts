import { describe, expect, it } from '@jest/globals';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import fc from 'fast-check';
import { definePgChannel } from '../../lib/channel/pg-channel.js';
import type { PgChannel } from '../../lib/channel/pg-channel.js';
import type { PgGapReason } from '../../lib/channel/pg-gap.js';
import type { PgNotification } from '../../lib/channel/pg-notification.js';
import type { DeliverySink } from '../../lib/delivery/decode-lane.js';
import { DecodeLanes } from '../../lib/delivery/decode-lanes.js';
import { TurnBudget } from '../../lib/delivery/turn-budget.js';
import type { ChannelConsumer } from '../../lib/listener/channel-registry.js';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import type { ListeningTransport } from '../../lib/transport/pg-notify-transport.js';
import { FakeClock } from '../support/fake-server.js';
import { turn } from '../support/turn.js';

/** The part of a listener that lanes use, run by the test. */
class FakeListener {
  readonly consumers = new Map<string, ChannelConsumer[]>();
  isStopping = false;
  private covered: Date | undefined = new Date(0);

  subscribe(channel: string, consumer: ChannelConsumer): () => void {
    this.consumers.set(channel, [...(this.consumers.get(channel) ?? []), consumer]);
    return () => {
      const others = (this.consumers.get(channel) ?? []).filter((other) => other !== consumer);
      this.consumers.set(channel, others);
    };
  }

  private readonly observers = new Set<() => void>();

  observeGaps({ complete }: { complete: () => void }): () => void {
    this.observers.add(complete);
    return () => void this.observers.delete(complete);
  }

  coveredSince(): Date | undefined {
    return this.covered;
  }

  notify(raw: string, channel = 'c'): void {
    const notification = { channel, raw, processId: 7, receivedAt: new Date() };
    for (const consumer of this.consumers.get(channel) ?? []) consumer.notification(notification);
  }

  gap(reason: PgGapReason = 'reconnect', channel = 'c'): void {
    this.covered = new Date();
    for (const consumer of this.consumers.get(channel) ?? []) {
      consumer.gap({ channel, reason, until: this.covered });
    }
  }

  /** The connection is lost: until the next gap nothing is covered. */
  lose(): void {
    this.covered = undefined;
  }

  stop(): void {
    this.isStopping = true;
    for (const consumer of [...this.consumers.values()].flat()) consumer.complete();
    this.consumers.clear();
    for (const complete of this.observers) complete();
  }
}

function setUp({ bufferSize = 10_000 } = {}) {
  const listener = new FakeListener();
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const lines: string[] = [];
  const lanes = new DecodeLanes({
    listener: listener as unknown as ListeningTransport,
    bufferSize,
    clock,
    budget: new TurnBudget(),
    diagnostics: new PgNotifyDiagnostics('test'),
    onError: (error) => errors.push(error),
    warn: (line) => lines.push(line),
  });
  return { listener, clock, errors, lines, lanes };
}

function channelWith(validate: (value: unknown) => unknown): PgChannel {
  const schema = { '~standard': { version: 1, vendor: 'test', validate } } as unknown as StandardSchemaV1;
  return definePgChannel('c', { schema });
}

/** A schema whose answers are promises that the test settles one by one. */
function slowSchema() {
  const asked: unknown[] = [];
  const owed: { readonly pass: () => void; readonly fail: () => void; readonly reject: () => void }[] = [];
  const channel = channelWith((value) => {
    asked.push(value);
    return new Promise((resolve, reject) =>
      owed.push({
        pass: () => resolve({ value }),
        fail: () => resolve({ issues: [{ message: 'no' }] }),
        reject: () => reject(new Error('broken')),
      }),
    );
  });
  return { channel, asked, owed };
}

/** Writes down what a consumer is given. */
function recordingSink(seen: string[] = []): { readonly seen: string[]; readonly sink: Required<DeliverySink> } {
  return {
    seen,
    sink: {
      notification: ({ payload }) => seen.push(String(payload)),
      gap: ({ reason, dropped }) => seen.push(dropped === undefined ? reason : `${reason} of ${dropped}`),
      complete: () => seen.push('complete'),
    },
  };
}

describe('a decode lane', () => {
  it('decodes once for each definition, and shares what it made', () => {
    const { listener, lanes } = setUp();
    const asked: string[] = [];
    const schemaOf = (name: string) =>
      channelWith((value) => {
        asked.push(name);
        return { value: { name, value } };
      });
    const [first, second] = [schemaOf('first'), schemaOf('second')];
    const got: PgNotification[] = [];
    for (const channel of [first, first, second, 'c', 'c']) {
      lanes.attach(channel, { notification: (notification) => got.push(notification) });
    }
    listener.notify('{"id":1}');
    expect(asked).toEqual(['first', 'second']);
    expect(got.map(({ payload }) => payload)).toEqual([
      { name: 'first', value: { id: 1 } },
      { name: 'first', value: { id: 1 } },
      { name: 'second', value: { id: 1 } },
      { id: 1 },
      { id: 1 },
    ]);
    expect(got[0]).toBe(got[1]);
    expect(got[3]).toBe(got[4]);
    expect(listener.consumers.get('c')).toHaveLength(3);
  });

  it('delivers before notification() returns, as long as the schema answers at once', () => {
    const { listener, lanes } = setUp();
    const { seen, sink } = recordingSink();
    lanes.attach(
      channelWith((value) => ({ value: Number(value) * 2 })),
      sink,
    );
    listener.notify('21');
    listener.gap();
    listener.notify('4');
    expect(seen).toEqual(['start', '42', 'reconnect', '8']);
  });

  it('does not decode what only consumers of gaps listen to', () => {
    const { listener, lanes } = setUp();
    const { channel, asked } = slowSchema();
    lanes.attach(channel, { gap: () => undefined });
    listener.notify('1');
    expect(asked).toEqual([]);
  });

  it('makes later notifications and gaps wait for a promise, in order, one at a time', async () => {
    const { listener, lanes } = setUp();
    const { channel, asked, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    lanes.attach(channel, sink);
    listener.notify('1');
    listener.notify('2');
    listener.gap();
    listener.notify('3');
    await turn();
    expect([asked, seen]).toEqual([[1], ['start']]);
    owed[0]!.pass();
    await turn();
    expect([asked, seen]).toEqual([
      [1, 2],
      ['start', '1'],
    ]);
    owed[1]!.pass();
    await turn();
    expect([asked, seen]).toEqual([
      [1, 2, 3],
      ['start', '1', '2', 'reconnect'],
    ]);
    owed[2]!.pass();
    await lanes.settled();
    expect(seen).toEqual(['start', '1', '2', 'reconnect', '3']);
  });

  it('begins another consumer with its own start, and leaves it what was received before', async () => {
    const { listener, lanes } = setUp();
    const { channel, owed } = slowSchema();
    const early = recordingSink();
    const late = recordingSink();
    lanes.attach(channel, early.sink);
    listener.notify('1');
    listener.gap();
    lanes.attach(channel, late.sink);
    listener.notify('2');
    await turn();
    owed[0]!.pass();
    await turn();
    owed[1]!.pass();
    await turn();
    expect(early.seen).toEqual(['start', '1', 'reconnect', '2']);
    expect(late.seen).toEqual(['start', '2']);
  });

  it('reports what rejects, throws, finds issues or is no result, and goes on', async () => {
    const { listener, lanes, errors } = setUp();
    const hidden = new Error('the payload is "secret"');
    const answers: readonly (() => unknown)[] = [
      () => {
        throw hidden;
      },
      () => Promise.reject(hidden),
      () => ({ issues: [{ message: 'secret' }, { message: 'secret' }] }),
      () => Promise.resolve({ issues: [{ message: 'secret' }] }),
      () => undefined,
      () => Promise.resolve({}),
      () => true,
      () => ({ issues: 7 }),
      () => ({ value: 'last' }),
    ];
    let next = 0;
    const { seen, sink } = recordingSink();
    lanes.attach(
      channelWith(() => answers[next++]!()),
      sink,
    );
    for (const _ of answers) listener.notify('"secret"');
    await lanes.settled();
    expect(seen).toEqual(['start', 'last']);
    expect(errors).toHaveLength(8);
    for (const error of errors as PgNotifyError[]) {
      expect(error).toBeInstanceOf(PgNotifyError);
      expect(error).toMatchObject({ kind: 'payload', channel: 'c' });
      expect(error.message).not.toContain('secret');
      expect(error.cause).toBeUndefined();
    }
    const issues = (errors as PgNotifyError[]).map((error) => error.issues?.map(({ message }) => message));
    expect(issues.slice(0, 4)).toEqual([[hidden.message], [hidden.message], ['secret', 'secret'], ['secret']]);
    expect((errors[0] as PgNotifyError).issues?.[0]).toBe(hidden);
  });

  it('takes no answer of a schema after its time, and goes on', async () => {
    const { listener, lanes, errors, clock } = setUp();
    const { channel, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    lanes.attach(channel, sink);
    listener.notify('1');
    listener.notify('2');
    await turn();
    clock.advance(29_999);
    await turn();
    expect(errors).toEqual([]);
    clock.advance(1);
    await turn();
    expect(errors).toEqual([expect.objectContaining({ kind: 'payload', channel: 'c' })]);
    expect((errors[0] as Error).message).toContain('did not answer within 30000 ms');
    owed[0]!.reject(); // Too late: nobody hears it, and it is no unhandled rejection.
    owed[1]!.pass();
    await lanes.settled();
    await turn();
    expect(seen).toEqual(['start', '2']);
    expect(errors).toHaveLength(1);
    expect(clock.sleeping).toBe(0);
  });

  it('tells each consumer of exactly what was dropped for it, at its place', async () => {
    const { listener, lanes, lines } = setUp({ bufferSize: 2 });
    const { channel, owed } = slowSchema();
    const early = recordingSink();
    const late = recordingSink();
    lanes.attach(channel, early.sink);
    listener.notify('1'); // On its way to the schema: it is not waiting any more.
    listener.notify('2');
    lanes.attach(channel, late.sink);
    for (const raw of ['3', '4', '5', '6']) listener.notify(raw);
    expect(lanes.dropped).toBe(3);
    for (const index of [0, 1, 2]) {
      await turn();
      owed[index]!.pass();
    }
    await lanes.settled();
    expect(early.seen).toEqual(['start', '1', 'overflow of 1', 'overflow of 2', '5', '6']);
    expect(late.seen).toEqual(['start', 'overflow of 2', '5', '6']);
    expect(lines).toEqual([expect.stringContaining('The schema of the channel "c" does not keep up: 2 notifications')]);
  });

  it('tells of gaps and ends that stood before what was dropped', async () => {
    const { listener, lanes } = setUp({ bufferSize: 1 });
    const { channel, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    const ending = recordingSink();
    lanes.attach(channel, sink);
    const { end } = lanes.attach(channel, ending.sink);
    listener.notify('1');
    listener.gap();
    end();
    for (const raw of ['2', '3', '4']) listener.notify(raw);
    const settled = lanes.settled();
    owed[0]!.pass();
    await turn();
    owed[1]!.pass();
    await settled;
    expect(seen).toEqual(['start', '1', 'reconnect', 'overflow of 2', '4']);
    expect(ending.seen).toEqual(['start', '1', 'reconnect', 'complete']);
  });

  it('tells a consumer once that comes while others are told of the same gap', () => {
    const { listener, lanes } = setUp();
    const { seen, sink } = recordingSink();
    const channel = channelWith((value) => ({ value }));
    lanes.attach('c', { gap: ({ reason }) => void (reason === 'reconnect' && lanes.attach(channel, sink)) });
    lanes.attach(channel, {});
    listener.gap();
    expect(seen).toEqual(['start']);
  });

  it('keeps count of what was dropped when its consumers have left', async () => {
    const { listener, lanes } = setUp({ bufferSize: 1 });
    const { channel, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    const { end } = lanes.attach(channel, sink);
    for (const raw of ['1', '2', '3']) listener.notify(raw);
    end();
    expect(lanes.dropped).toBe(1);
    expect(lanes.waitingChannels).toEqual(['c']);
    owed[0]!.pass();
    await turn();
    owed[1]!.pass();
    await lanes.settled();
    await turn();
    expect(seen).toEqual(['start', '1', 'overflow of 1', '3', 'complete']);
    expect(lanes.dropped).toBe(1);
    expect(lanes.waitingChannels).toEqual([]);
  });

  it('does not ask the schema for those who have left', async () => {
    const { listener, lanes } = setUp();
    const { channel, asked, owed } = slowSchema();
    const { seen, sink } = recordingSink();
    const { detach } = lanes.attach(channel, sink);
    for (const raw of ['1', '2', '3']) listener.notify(raw);
    detach();
    owed[0]!.pass();
    await lanes.settled();
    expect([asked, seen]).toEqual([[1], ['start']]);
    expect(listener.consumers.get('c')).toEqual([]);
  });

  it('opens another lane for a consumer that comes while the last one leaves', () => {
    const { listener, lanes } = setUp();
    const again = recordingSink();
    const { end } = lanes.attach('c', { complete: () => lanes.attach('c', again.sink) });
    end();
    listener.notify('1');
    expect(again.seen).toEqual(['start', '1']);
  });

  it('ends at a stop what its consumers have left', async () => {
    const { listener, lanes, clock } = setUp();
    const { channel } = slowSchema();
    const { seen, sink } = recordingSink();
    const { end } = lanes.attach(channel, sink);
    listener.notify('1');
    end();
    await turn();
    expect([seen, clock.sleeping]).toEqual([['start'], 1]);
    listener.stop();
    await turn();
    expect([seen, clock.sleeping]).toEqual([['start', 'complete'], 0]);
  });

  it('completes its consumers at a stop, those that wait for their end too, and waits for no answer', async () => {
    const { listener, lanes, errors, clock } = setUp();
    const { channel, owed } = slowSchema();
    const stays = recordingSink();
    const ends = recordingSink();
    lanes.attach(channel, stays.sink);
    const { end } = lanes.attach(channel, ends.sink);
    listener.notify('1');
    listener.notify('2');
    end();
    await turn();
    const settled = lanes.settled();
    listener.stop();
    await settled;
    await turn();
    expect([stays.seen, ends.seen]).toEqual([
      ['start', 'complete'],
      ['start', 'complete'],
    ]);
    expect(clock.sleeping).toBe(0);
    owed[0]!.reject();
    await turn();
    expect(errors).toEqual([]);
    const late = recordingSink();
    lanes.attach(channel, late.sink);
    expect(late.seen).toEqual(['complete']);
  });

  it('waits for what was received by then, not for what keeps coming', async () => {
    const { listener, lanes } = setUp();
    const { seen, sink } = recordingSink();
    let next = 2;
    lanes.attach(
      channelWith(async (value) => {
        await Promise.resolve();
        listener.notify(String(next++)); // There is always one more.
        return { value };
      }),
      sink,
    );
    listener.notify('1');
    await lanes.settled();
    expect(seen.slice(0, 2)).toEqual(['start', '1']);
    listener.stop();
  });

  it('lets the event loop have its turn in a burst that waits for a schema', async () => {
    const { listener, lanes } = setUp();
    const { seen, sink } = recordingSink();
    lanes.attach(
      channelWith(async (value) => ({ value })),
      sink,
    );
    for (let i = 0; i < 5_000; i += 1) listener.notify(String(i));
    await turn();
    expect(seen.length).toBeLessThan(5_000);
    await lanes.settled();
    expect(seen).toHaveLength(5_001);
  });

  it('keeps the others going when one of its consumers throws', () => {
    const { listener, lanes, errors } = setUp();
    const thrown = new Error('a consumer');
    const broken = (): never => {
      throw thrown;
    };
    const { seen, sink } = recordingSink();
    lanes.attach('c', { notification: broken, gap: broken, complete: broken });
    lanes.attach('c', sink);
    listener.notify('1');
    listener.gap();
    listener.stop();
    expect(seen).toEqual(['start', '1', 'reconnect', 'complete']);
    expect(errors).toEqual([thrown, thrown, thrown, thrown]);
  });

  it('gives each consumer what is its own, however schemas, gaps, drops, comings and goings interleave', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, bufferSize) => {
          const { listener, lanes, errors, clock } = setUp({ bufferSize });
          const owed: (() => void)[] = [];
          const asked: unknown[] = [];
          const channel = channelWith((value) => {
            asked.push(value);
            const [, answer] = value as [number, Answer];
            const settle = (): unknown => {
              if (answer.endsWith('throws')) throw new Error('broken');
              return answer.endsWith('issues') ? { issues: [{ message: 'no' }] } : { value };
            };
            if (!answer.startsWith('later')) return settle();
            return new Promise((resolve, reject) =>
              owed.push(() => {
                try {
                  resolve(settle());
                } catch (error) {
                  reject(error);
                }
              }),
            );
          });
          const model = new Model(bufferSize);
          const sinks: { readonly seen: string[]; readonly detach: () => void; readonly end: () => void }[] = [];
          let sent = 0;
          for (const step of steps) {
            if (step.do === 'attach') {
              const { seen, sink } = recordingSink();
              sinks.push({ seen, ...lanes.attach(channel, sink) });
              model.attach();
            } else if (step.do === 'notify') {
              sent += 1;
              listener.notify(JSON.stringify([sent, step.answer]));
              model.notify(sent, step.answer);
            } else if (step.do === 'gap') {
              listener.lose();
              listener.gap();
              model.gap();
            } else if (step.do === 'answer') {
              owed.shift()?.();
              model.answer();
            } else if (sinks.length > 0) {
              const index = step.index % sinks.length;
              sinks[index]![step.do]();
              model[step.do](index);
            }
            await turn();
            await turn();
            expect(sinks.map(({ seen }) => summed(seen))).toEqual(model.seen.map(summed));
            expect(errors).toHaveLength(model.errors);
            expect(asked).toHaveLength(model.asked);
            expect(lanes.dropped).toBe(model.dropped);
          }
          listener.stop();
          await turn();
          for (const { seen } of sinks) expect(seen.slice(0, -1)).not.toContain('complete');
          for (const answer of owed) answer();
          await turn();
          expect(errors).toHaveLength(model.errors);
          expect(clock.sleeping).toBe(0);
        },
      ),
    ));
});

type Answer = (typeof ANSWERS)[number];

const ANSWERS = ['passes', 'issues', 'throws', 'later passes', 'later issues', 'later throws'] as const;

const command = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('attach' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('notify' as const), answer: fc.constantFrom(...ANSWERS) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('gap' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('detach', 'end' as const), index: fc.nat(9) }) },
);

/** One after another, overflows are as good as one. */
function summed(events: readonly string[]): readonly string[] {
  const sums: string[] = [];
  for (const event of events) {
    const [now, before] = [event, sums.at(-1)].map((text) => /^overflow of (\d+)$/.exec(text ?? '')?.[1]);
    if (now !== undefined && before !== undefined)
      sums[sums.length - 1] = `overflow of ${Number(now) + Number(before)}`;
    else sums.push(event);
  }
  return sums;
}

type Entry =
  | { readonly message: number; readonly answer: Answer; readonly to: readonly number[] }
  | { readonly event: string; readonly to: readonly number[] }
  | { readonly end: number };

interface ModelLane {
  attached: readonly number[];
  readonly queue: Entry[];
  busy: Extract<Entry, { message: unknown }> | undefined;
}

/** What lanes must do, without a promise. */
class Model {
  readonly seen: string[][] = [];
  errors = 0;
  asked = 0;
  dropped = 0;
  private readonly laneOf: ModelLane[] = [];
  private readonly ended = new Set<number>();
  private readonly owed: ModelLane[] = [];
  private current: ModelLane | undefined;

  constructor(private readonly bufferSize: number) {}

  attach(): void {
    this.current ??= { attached: [], queue: [], busy: undefined };
    this.current.attached = [...this.current.attached, this.seen.length];
    this.laneOf.push(this.current);
    this.seen.push(['start']);
  }

  notify(message: number, answer: Answer): void {
    if (this.current) this.give(this.current, { message, answer, to: this.current.attached });
  }

  gap(): void {
    if (this.current) this.give(this.current, { event: 'reconnect', to: this.current.attached });
  }

  answer(): void {
    const lane = this.owed.shift();
    if (!lane?.busy) return;
    const { busy } = lane;
    lane.busy = undefined;
    this.outcome(busy);
    while (!lane.busy && lane.queue.length > 0) this.take(lane, lane.queue.shift()!);
  }

  detach(sink: number): void {
    this.ended.add(sink);
    this.leave(sink);
  }

  end(sink: number): void {
    this.give(this.laneOf[sink]!, { end: sink });
    this.leave(sink);
  }

  private leave(sink: number): void {
    const lane = this.laneOf[sink]!;
    lane.attached = lane.attached.filter((other) => other !== sink);
    if (lane.attached.length === 0 && this.current === lane) this.current = undefined;
  }

  private give(lane: ModelLane, entry: Entry): void {
    if (!lane.busy) return this.take(lane, entry);
    lane.queue.push(entry);
    const waiting = lane.queue.filter((each) => 'message' in each);
    if (waiting.length <= this.bufferSize) return;
    const oldest = waiting[0]!;
    lane.queue[lane.queue.indexOf(oldest)] = { event: 'overflow of 1', to: oldest.to };
    this.dropped += 1;
  }

  private take(lane: ModelLane, entry: Entry): void {
    if ('end' in entry) {
      this.tell('complete', [entry.end]);
      this.ended.add(entry.end);
    } else if ('event' in entry) {
      this.tell(entry.event, entry.to);
    } else if (entry.to.some((sink) => !this.ended.has(sink))) {
      this.asked += 1;
      if (!entry.answer.startsWith('later')) return this.outcome(entry);
      lane.busy = entry;
      this.owed.push(lane);
    }
  }

  private outcome({ message, answer, to }: Extract<Entry, { message: unknown }>): void {
    if (answer.endsWith('passes')) this.tell(`${message},${answer}`, to);
    else this.errors += 1;
  }

  private tell(event: string, to: readonly number[]): void {
    for (const sink of to) if (!this.ended.has(sink)) this.seen[sink]!.push(event);
  }
}
