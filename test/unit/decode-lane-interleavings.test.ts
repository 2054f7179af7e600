import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { channelWith, recordingSink, setUpLanes } from '../support/decode-lanes.js';
import { turn } from '../support/turn.js';

describe('a decode lane', () => {
  it('gives each consumer its own events, however schemas, gaps, drops, arrivals and departures interleave', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, bufferSize) => {
          const { listener, lanes, errors, clock } = setUpLanes({ bufferSize });
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
