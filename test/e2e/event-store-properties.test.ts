import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Client } from 'pg';
import type { EventClaim, EventShardStore, StoredEvent } from '../../lib/event-log/event-store.js';
import type { SqlEventStore } from '../../lib/event-log/sql-event-store.js';
import { eventLogSuite, publishRaw } from '../support/event-log-suite.js';
import { behind, look } from '../support/event-store-contract.js';

const TRANSACTIONS = 4;
const SHARDS = 2;
const KEYS = ['a', 'b', 'c', null];

type Step =
  | { readonly does: 'begin' | 'commit' | 'roll back' | 'set a savepoint' | 'roll back to it'; readonly of: number }
  | { readonly does: 'publish'; readonly of: number; readonly key: string | null }
  | { readonly does: 'look and settle'; readonly shard: number; readonly limit: number; readonly fails: boolean }
  | { readonly does: 'retry' | 'claim' | 'settle too late'; readonly shard: number }
  | { readonly does: 'prune' };

const of = fc.nat(TRANSACTIONS - 1);
const ofShard = fc.nat(SHARDS - 1);
const publishing = fc.record({ does: fc.constant('publish' as const), of, key: fc.constantFrom(...KEYS) });
const looking = fc.record({
  does: fc.constant('look and settle' as const),
  shard: ofShard,
  limit: fc.constantFrom(1, 2, 7, 1_000),
  fails: fc.boolean(),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: publishing },
  { weight: 6, arbitrary: looking },
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constantFrom('begin', 'commit', 'roll back', 'set a savepoint', 'roll back to it'),
      of,
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('retry', 'claim', 'settle too late'), shard: ofShard }) },
  { weight: 1, arbitrary: fc.constant({ does: 'prune' as const }) },
);

interface Published {
  readonly n: number;
  readonly key: string | null;
}

/** A writer: what is published commits or vanishes with it. Who publishes of a key keeps it until then, as a locked row would. */
class Writer {
  private pending: Published[] = [];
  private savepoint: number | undefined;
  private isOpen = false;

  constructor(
    private readonly client: Client,
    private readonly run: Run,
  ) {}

  async publish(key: string | null): Promise<void> {
    if (key !== null && !this.run.lock(key, this)) return;
    const event = { n: this.run.next(), key };
    await publishRaw(this.client, [{ channel: this.run.channel, key, payload: String(event.n) }]);
    this.pending.push(event);
    if (!this.isOpen) this.end(true);
  }

  async begin(): Promise<void> {
    if (this.isOpen) return;
    await this.client.query('BEGIN');
    this.isOpen = true;
  }

  async finish(commits: boolean): Promise<void> {
    if (!this.isOpen) return;
    await this.client.query(commits ? 'COMMIT' : 'ROLLBACK');
    this.isOpen = false;
    this.end(commits);
  }

  async setSavepoint(): Promise<void> {
    if (!this.isOpen) return;
    await this.client.query('SAVEPOINT s');
    this.savepoint = this.pending.length;
  }

  async rollBackToSavepoint(): Promise<void> {
    if (this.savepoint === undefined) return;
    await this.client.query('ROLLBACK TO SAVEPOINT s');
    this.pending = this.pending.slice(0, this.savepoint);
  }

  private end(commits: boolean): void {
    if (commits) this.run.committed.push(...this.pending);
    this.pending = [];
    this.savepoint = undefined;
    this.run.unlock(this);
  }
}

/** The owner of a shard, which handles what it is given when it is settled. */
class Reader {
  private stale: string | undefined;

  private constructor(
    private readonly shard: EventShardStore,
    private claimed: EventClaim,
    private readonly run: Run,
  ) {}

  static async start(shardStore: EventShardStore, run: Run): Promise<Reader> {
    return new Reader(shardStore, (await shardStore.claim())!, run);
  }

  /** What has no key may fail: an order by key would have others wait behind what has one. */
  async lookAndSettle(limit: number, fails: boolean): Promise<boolean> {
    const { epoch, cursor } = this.claimed;
    const page = await look(this.shard, epoch, cursor, limit);
    expect(page.hold).toBe('held');
    const failing = fails ? page.events.filter(({ key }) => key === null) : [];
    const failed = failing.map(
      ({ seq, key }) => ({ seq, key, state: 'retry', attempts: 1, delay: 0, error: null }) as const,
    );
    const next = behind(page, cursor);
    expect(await this.shard.settle(epoch, next, { failed })).toBe('held');
    this.claimed = { ...this.claimed, cursor: next };
    this.run.handle(page.events.filter((event) => !failing.includes(event)));
    return page.isLast && cursor.open === null;
  }

  async retry(): Promise<void> {
    const { epoch, cursor } = this.claimed;
    const gone = (await this.shard.failures()).map(({ seq }) => seq);
    const events = await this.shard.events(gone);
    expect(events).toHaveLength(gone.length);
    expect(await this.shard.settle(epoch, cursor, { gone })).toBe('held');
    this.run.handle(events);
  }

  /** Another owner begins where this one has settled. */
  async claimAgain(): Promise<void> {
    this.stale = this.claimed.epoch;
    const { cursor } = this.claimed;
    this.claimed = (await this.shard.claim())!;
    expect(this.claimed.cursor).toEqual(cursor);
  }

  async settleTooLate(): Promise<void> {
    if (this.stale === undefined) return;
    const page = await look(this.shard, this.stale, this.claimed.cursor, 7);
    expect(page.hold).toBe('fenced');
    expect(await this.shard.settle(this.stale, behind(page, this.claimed.cursor), {})).toBe('fenced');
  }
}

class Run {
  readonly committed: Published[] = [];
  readonly handled: Published[] = [];
  private readonly locks = new Map<string, Writer>();
  private count = 0;

  constructor(readonly channel: string) {}

  next(): number {
    this.count += 1;
    return this.count;
  }

  lock(key: string, writer: Writer): boolean {
    const holder = this.locks.get(key) ?? writer;
    this.locks.set(key, holder);
    return holder === writer;
  }

  unlock(writer: Writer): void {
    for (const [key, holder] of this.locks) if (holder === writer) this.locks.delete(key);
  }

  handle(events: readonly StoredEvent[]): void {
    this.handled.push(...events.map(({ payload, key }) => ({ n: Number(payload), key })));
  }
}

describe('any interleaving of transactions, looks and settles', () => {
  const suite = eventLogSuite();
  let store: SqlEventStore;
  let clients: readonly Client[];
  let count = 0;

  beforeAll(async () => {
    store = suite.store('a');
    clients = await Promise.all(
      Array.from({ length: TRANSACTIONS }, async () => {
        const client = new Client({ connectionString: suite.database.url });
        await client.connect();
        suite.cleanup(() => client.end());
        return client;
      }),
    );
  });

  async function perform(steps: readonly Step[]): Promise<Run> {
    count += 1;
    const run = new Run(`run ${count}`);
    const channels = [run.channel];
    await store.register([{ consumer: run.channel, shards: SHARDS, channels, from: 'now' }]);
    const writers = clients.map((client) => new Writer(client, run));
    const readers: Reader[] = [];
    for (let index = 0; index < SHARDS; index += 1) {
      readers.push(
        await Reader.start(store.shard({ consumer: run.channel, shard: index, shards: SHARDS, channels }), run),
      );
    }
    try {
      for (const each of steps) await take(each, writers, readers);
      for (const [index, writer] of writers.entries()) await writer.finish(index % 2 === 0);
      for (const reader of readers) {
        await reader.retry();
        while (!(await reader.lookAndSettle(100, false)));
      }
      return run;
    } finally {
      for (const writer of writers) await writer.finish(false);
      await store.drop(run.channel);
    }
  }

  async function take(each: Step, writers: readonly Writer[], readers: readonly Reader[]): Promise<void> {
    switch (each.does) {
      case 'begin':
        return writers[each.of]!.begin();
      case 'publish':
        return writers[each.of]!.publish(each.key);
      case 'commit':
        return writers[each.of]!.finish(true);
      case 'roll back':
        return writers[each.of]!.finish(false);
      case 'set a savepoint':
        return writers[each.of]!.setSavepoint();
      case 'roll back to it':
        return writers[each.of]!.rollBackToSavepoint();
      case 'look and settle':
        await readers[each.shard]!.lookAndSettle(each.limit, each.fails);
        return;
      case 'retry':
        return readers[each.shard]!.retry();
      case 'claim':
        return readers[each.shard]!.claimAgain();
      case 'settle too late':
        return readers[each.shard]!.settleTooLate();
      case 'prune':
        await store.prune(0);
    }
  }

  const numbers = (events: readonly Published[]): number[] => events.map(({ n }) => n);

  it('loses nothing, repeats nothing, and inverts the order of no key', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 150, size: 'max' }), async (steps) => {
        const { committed, handled } = await perform(steps);
        const ascending = (events: readonly Published[]): number[] => numbers(events).toSorted((a, b) => a - b);
        expect(ascending(handled)).toEqual(ascending(committed));
        for (const key of KEYS.filter((each) => each !== null)) {
          const ofKey = (events: readonly Published[]): number[] =>
            numbers(events.filter((event) => event.key === key));
          expect(ofKey(handled)).toEqual(ofKey(committed));
        }
      }),
      { numRuns: Number(process.env['EVENT_STORE_RUNS'] ?? 80), endOnFailure: false },
    );
  });
});
