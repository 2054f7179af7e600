import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import type { EventConsumer } from '../../lib/event-log/event-consumer.js';
import { MemoryLog } from '../support/event-consumers.js';
import { turns } from '../support/turn.js';

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      keys: fc.array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 6, size: 'max' }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), time: fc.constantFrom(50, 300, 1_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('break' as const), key: fc.constantFrom('a', 'b', 'c', '') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('mend', 'pause', 'resume', 'restart', 'kill' as const) }) },
);

const settings = fc.record({
  ordering: fc.constantFrom('key', 'none', 'strict' as const),
  concurrency: fc.constantFrom(1, 2, 5),
  batch: fc.constantFrom(undefined, { maxSize: 3 }),
  pageSize: fc.constantFrom(1, 3, 7, 100),
  shards: fc.constantFrom(1, 1, 2),
});

type Settings = typeof settings extends fc.Arbitrary<infer Value> ? Value : never;

const retry = { attempts: Infinity, delay: 100, maxDelay: 400 };

/** A consumer whose process is restarted and killed, and what its runs have seen. */
class Subject {
  readonly memory = new MemoryLog({ lease: 1_000 });
  readonly published: string[] = [];
  /** What was handled to the end, in that order. */
  readonly handled: string[] = [];
  kills = 0;
  private readonly broken = new Set<string>();
  private consumer: EventConsumer | undefined;
  private life = { isAlive: true };

  constructor(private readonly chosen: Settings) {}

  async start(): Promise<void> {
    const life = { isAlive: true };
    this.life = life;
    const { ordering, concurrency, batch, pageSize, shards } = this.chosen;
    const call = async (events: readonly PgEvent[]): Promise<void> => {
      await Promise.resolve();
      if (!life.isAlive) return new Promise(() => undefined);
      for (const { key = '' } of events) if (this.broken.has(key)) throw new Error(`${key} is broken`);
      this.handled.push(...events.map(({ payload }) => payload as string));
      return undefined;
    };
    const store = this.memory.instance(`life ${this.kills}`, () => life.isAlive);
    const given = { ordering, concurrency: ordering === 'key' ? concurrency : 1, batch, shards, retry, call };
    this.consumer = await this.memory.consume(given, { store, pageSize });
  }

  publish(keys: readonly string[]): void {
    for (const key of keys) {
      const payload = `${key}${this.published.length + 1}`;
      this.published.push(payload);
      this.memory.publish(payload);
    }
  }

  breakKey(key: string): void {
    this.broken.add(key);
  }

  mend(): void {
    this.broken.clear();
  }

  async restart(): Promise<void> {
    this.consumer!.end();
    await this.consumer!.settled();
    await this.start();
  }

  async kill(): Promise<void> {
    this.life.isAlive = false;
    this.kills += 1;
    await this.start();
  }

  async resume(): Promise<void> {
    await this.memory.store.resume('billing');
    this.consumer!.wake();
  }

  async finish(): Promise<void> {
    this.mend();
    await this.resume();
    await this.memory.pass(8_000);
    this.consumer!.end();
    await this.consumer!.settled();
  }
}

describe('a consumer of events', () => {
  it('loses no event and keeps the order of each key under failures, pauses, restarts and kills', async () => {
    const runs = fc.asyncProperty(
      settings,
      fc.array(command, { minLength: 3, maxLength: 40, size: 'max' }),
      async (chosen, commands) => {
        const subject = new Subject(chosen);
        await subject.start();
        for (const each of commands) {
          if (each.do === 'publish') subject.publish(each.keys);
          else if (each.do === 'pass') await subject.memory.pass(each.time);
          else if (each.do === 'break') subject.breakKey(each.key);
          else if (each.do === 'mend') subject.mend();
          else if (each.do === 'pause') await subject.memory.store.pause('billing');
          else if (each.do === 'resume') await subject.resume();
          else if (each.do === 'restart') await subject.restart();
          else await subject.kill();
          await turns();
        }
        await subject.finish();
        const { published, handled, kills, memory } = subject;
        const first = [...new Set(handled)];
        expect(first.toSorted()).toEqual(published.toSorted());
        if (kills === 0) expect(handled).toHaveLength(published.length);
        if (chosen.ordering !== 'none') {
          for (const key of ['a', 'b', 'c']) {
            const ofKey = (payload: string): boolean => payload.startsWith(key);
            expect(first.filter(ofKey)).toEqual(published.filter(ofKey));
          }
        }
        if (chosen.ordering === 'strict' && chosen.shards === 1) expect(first).toEqual(published);
        const states = await memory.store.consumers();
        for (const state of states) expect(state).toMatchObject({ waiting: 0, retrying: 0, dead: 0, owner: undefined });
      },
    );
    await fc.assert(runs, { numRuns: Number(process.env['EVENT_RUNS'] ?? 100) });
  });
});
