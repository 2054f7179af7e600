import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type {
  EventClaim,
  EventConsumerRegistration,
  EventCursor,
  EventPage,
  EventShardStore,
  EventStore,
  FailedEvent,
  StoredEvent,
} from '../../lib/event-log/event-store.js';
import { failureOf } from './failures.js';
import { eventually } from './recorder.js';

/** An event as a test publishes it. */
export interface RawEvent {
  readonly channel: string;
  readonly key?: string | null;
  /** JSON. @default 'null' */
  readonly payload?: string;
  /** JSON. */
  readonly headers?: string | null;
}

/** A log, for one test file. */
export interface EventStoreGround {
  /** The log as an instance of this name sees it. */
  readonly store: (owner: string, options?: { readonly lease?: number }) => EventStore;
  /** Publishes events, in their order, in one transaction that is committed when it resolves. */
  readonly publish: (events: readonly RawEvent[]) => Promise<void>;
}

/** What a shard has been given. */
export interface Drained {
  readonly events: readonly StoredEvent[];
  readonly cursor: EventCursor;
}

/** Where the cursor is when all events of a page are settled. */
export function behind(page: EventPage, cursor: EventCursor): EventCursor {
  return page.isLast
    ? { done: page.open, open: null, page: '0' }
    : { done: cursor.done, open: page.open, page: page.upto ?? cursor.page };
}

/** Reads and settles pages until nothing is left. */
export async function drain(shard: EventShardStore, claim: EventClaim, limit = 100): Promise<Drained> {
  const events: StoredEvent[] = [];
  let { cursor } = claim;
  for (;;) {
    const isFirst = cursor.open === null;
    const page = await look(shard, claim.epoch, cursor, limit);
    expect(page.hold).toBe('held');
    events.push(...page.events);
    cursor = behind(page, cursor);
    expect(await shard.settle(claim.epoch, cursor, {})).toBe('held');
    // What is published while a difference is worked off is new after it.
    if (page.isLast && isFirst) return { events, cursor };
  }
}

export function look(shard: EventShardStore, epoch: string, cursor: EventCursor, limit: number): Promise<EventPage> {
  return cursor.open === null ? shard.first(epoch, cursor.done, limit) : shard.next(epoch, cursor, limit);
}

const failed = ({ seq, key }: StoredEvent, more: Partial<FailedEvent> = {}): FailedEvent => ({
  seq,
  key,
  state: 'retry',
  attempts: 1,
  delay: 0,
  error: 'it failed',
  ...more,
});

/** What must hold for every event log. */
export function eventStoreContract(name: string, open: () => Promise<EventStoreGround>): void {
  describe(`the event log: ${name}`, () => {
    let ground: EventStoreGround;
    let store: EventStore;
    let consumer: string;
    let channel: string;
    let count = 0;

    beforeAll(async () => {
      ground = await open();
      store = ground.store('a');
    });

    beforeEach(() => {
      count += 1;
      consumer = `consumer ${count}`;
      channel = `channel ${count}`;
    });

    const register = (more: Partial<EventConsumerRegistration> = {}): Promise<void> =>
      store.register([{ consumer, shards: 1, channels: [channel], from: 'now', ...more }]);

    const shardOf = (of = store, shard = 0, shards = 1): EventShardStore =>
      of.shard({ consumer, shard, shards, channels: [channel] });

    const publish = (payloads: readonly unknown[], key: string | null = null): Promise<void> =>
      ground.publish(payloads.map((payload) => ({ channel, key, payload: JSON.stringify(payload) })));

    const claimed = async (shard: EventShardStore): Promise<EventClaim> => {
      const claim = await shard.claim();
      if (!claim) throw new Error('The shard was not to be had.');
      return claim;
    };

    const payloads = (events: readonly StoredEvent[]): unknown[] => events.map(({ payload }) => JSON.parse(payload));

    const state = async () => {
      const all = await store.consumers();
      return all.filter((each) => each.consumer === consumer);
    };

    /** A shard whose first events have failed. */
    const withFailures = async (more: Partial<FailedEvent>, ...values: unknown[]) => {
      await register();
      await publish(values, 'k');
      const shard = shardOf();
      const claim = await claimed(shard);
      const page = await shard.first(claim.epoch, claim.cursor.done, 100);
      const cursor = behind(page, claim.cursor);
      await shard.settle(claim.epoch, cursor, { failed: page.events.map((event) => failed(event, more)) });
      return { shard, claim, cursor, events: page.events };
    };

    describe('a consumer', () => {
      it('gets what is published after its registration, as it was published', async () => {
        await publish(['before']);
        await register();
        await ground.publish([
          { channel, key: 'k', payload: '{"a": 1,  "b":2}', headers: '{"h":"x"}' },
          { channel, key: null, payload: '"é 🐘"' },
          { channel: `${channel} of others` },
        ]);
        const shard = shardOf();
        const { events } = await drain(shard, await claimed(shard));
        expect(events).toEqual([
          expect.objectContaining({ channel, key: 'k', payload: '{"a": 1,  "b":2}', headers: '{"h":"x"}' }),
          expect.objectContaining({ channel, key: null, payload: '"é 🐘"', headers: null }),
        ]);
        const [one, other] = events as [StoredEvent, StoredEvent];
        expect(one.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        expect(other.id).not.toBe(one.id);
        expect(BigInt(other.seq)).toBeGreaterThan(BigInt(one.seq));
        expect(Math.abs(one.publishedAt.getTime() - Date.now())).toBeLessThan(60_000);
      });

      it('gets everything that is kept when it begins at the beginning', async () => {
        await publish([1, 2]);
        await register({ from: 'beginning' });
        await publish([3]);
        const shard = shardOf();
        expect(payloads((await drain(shard, await claimed(shard), 2)).events)).toEqual([1, 2, 3]);
      });

      it('gets what was published since the time that it begins at', async () => {
        await publish(['before']);
        await register({ from: 'beginning' });
        const reader = shardOf();
        const [before] = (await drain(reader, await claimed(reader))).events as [StoredEvent];
        // Nobody's clock but the log's says when that was.
        const later = await eventually(
          async () => {
            await publish(['after']);
            const again = await drain(reader, await claimed(reader));
            return again.events.at(-1)!;
          },
          ({ publishedAt }) => publishedAt.getTime() > before.publishedAt.getTime() + 1,
        );
        consumer = `${consumer} since`;
        await register({ from: new Date(later.publishedAt.getTime()) });
        await publish(['last']);
        const shard = shardOf();
        const seqs = (await drain(shard, await claimed(shard))).events.map(({ seq }) => seq);
        expect(seqs).toContain(later.seq);
        expect(seqs).not.toContain(before.seq);
      });

      it('stays where it is when it is registered again, and learns its channels', async () => {
        await register();
        await publish([1]);
        const other = `${channel} b`;
        await register({ from: 'beginning', channels: [channel, other] });
        expect(await state()).toEqual([expect.objectContaining({ channels: [channel, other], waiting: 1 })]);
      });

      it('is refused with another number of shards than it has', async () => {
        await register({ shards: 2 });
        const failure = await failureOf(register({ shards: 3 }));
        expect(failure).toMatchObject({
          kind: 'configuration',
          message: expect.stringContaining('has 2 shards in the log, and 3'),
        });
        expect(await state()).toHaveLength(2);
      });

      it('does not disturb another one', async () => {
        await register();
        await publish([1]);
        const first = shardOf();
        await drain(first, await claimed(first));
        consumer = `${consumer} b`;
        await register({ from: 'beginning' });
        const second = shardOf();
        expect(payloads((await drain(second, await claimed(second))).events)).toEqual([1]);
      });
    });

    describe('a page', () => {
      it.each([1, 2, 3, 7, 1_000])('of %i gives each event once, in the order of the log', async (limit) => {
        await register();
        const values = Array.from({ length: 10 }, (_, i) => i);
        await publish(values);
        const shard = shardOf();
        const claim = await claimed(shard);
        const { events, cursor } = await drain(shard, claim, limit);
        expect(payloads(events)).toEqual(values);
        await publish(['later']);
        const page = await shard.first(claim.epoch, cursor.done, limit);
        expect(payloads(page.events)).toEqual(['later']);
      });

      it('is empty when nothing is new', async () => {
        await register();
        const shard = shardOf();
        const { epoch, cursor } = await claimed(shard);
        expect(await shard.first(epoch, cursor.done, 10)).toMatchObject({ hold: 'held', events: [], isLast: true });
      });

      it('leaves what is published while a difference is worked off to the next one', async () => {
        await register();
        await publish([1, 2, 3]);
        const shard = shardOf();
        const claim = await claimed(shard);
        const page = await shard.first(claim.epoch, claim.cursor.done, 2);
        expect(page).toMatchObject({ isLast: false });
        await publish([4]);
        const cursor = behind(page, claim.cursor);
        const rest = await shard.next(claim.epoch, cursor, 2);
        expect(payloads(rest.events)).toEqual([3]);
        const { events } = await drain(shard, { ...claim, cursor: behind(rest, cursor) });
        expect(payloads(events)).toEqual([4]);
      });

      it('goes on behind events of others', async () => {
        await register();
        await ground.publish(Array.from({ length: 50 }, () => ({ channel: 'of others' })));
        await publish([1, 2]);
        await ground.publish(Array.from({ length: 50 }, () => ({ channel: 'of others' })));
        await publish([3]);
        const shard = shardOf();
        expect(payloads((await drain(shard, await claimed(shard), 1)).events)).toEqual([1, 2, 3]);
      });

      it('finds events by their positions, those that exist', async () => {
        await register();
        await publish([1, 2]);
        const shard = shardOf();
        const { events } = await drain(shard, await claimed(shard));
        const seqs = [...events.map(({ seq }) => seq), '999999999999'];
        expect(payloads(await shard.events(seqs))).toEqual([1, 2]);
      });
    });

    describe('several shards', () => {
      it('share the events, each key in one of them', async () => {
        await register({ shards: 3 });
        const keys = [null, 'a', 'b', 'c', 'd', 'e', 'é'];
        await ground.publish(
          Array.from({ length: 70 }, (_, i) => ({ channel, key: keys[i % keys.length]!, payload: String(i) })),
        );
        const given: StoredEvent[][] = [];
        for (const shard of [0, 1, 2].map((index) => shardOf(store, index, 3))) {
          given.push([...(await drain(shard, await claimed(shard), 4)).events]);
        }
        expect(payloads(given.flat()).toSorted((one, other) => Number(one) - Number(other))).toEqual(
          Array.from({ length: 70 }, (_, i) => i),
        );
        for (const key of keys.slice(1)) {
          expect(given.filter((events) => events.some((event) => event.key === key))).toHaveLength(1);
        }
        expect(given.every((events) => events.length > 0)).toBe(true);
      });

      it('are not to be had by an instance that counts them otherwise', async () => {
        await register({ shards: 2 });
        expect(await shardOf(store, 0, 1).claim()).toBeUndefined();
        expect(await shardOf(store, 0, 2).claim()).toBeDefined();
      });
    });

    describe('the owner of a shard', () => {
      it('keeps it from others until it releases it', async () => {
        await register();
        const [mine, others] = [shardOf(), shardOf(ground.store('b'))];
        const claim = await claimed(mine);
        expect(claim).toMatchObject({ attempts: 0, crashes: 0, suspect: undefined, isForeign: false });
        expect(await others.claim()).toBeUndefined();
        await mine.release(claim.epoch);
        const next = await claimed(others);
        expect(next).toMatchObject({ crashes: 0 });
        expect(BigInt(next.epoch)).toBeGreaterThan(BigInt(claim.epoch));
      });

      it('loses it when its lease is over, and everything it writes is refused', async () => {
        await register();
        await publish([1]);
        const mine = shardOf(ground.store('short', { lease: 1 }));
        const { epoch, cursor } = await claimed(mine);
        const others = shardOf(ground.store('b'));
        const next = await eventually(
          () => others.claim(),
          (claim) => claim !== undefined,
        );
        expect(next).toMatchObject({ crashes: 1 });
        const page = await mine.first(epoch, cursor.done, 10);
        expect(page.hold).toBe('fenced');
        expect(await mine.next(epoch, { ...cursor, open: page.open, page: '0' }, 10)).toMatchObject({ hold: 'fenced' });
        const failures = page.events.map((event) => failed(event));
        expect(await mine.settle(epoch, behind(page, cursor), { failed: failures })).toBe('fenced');
        expect(await mine.settle(epoch, behind(page, cursor), {})).toBe('fenced');
        expect(await mine.renew(epoch)).toBe('fenced');
        expect(await mine.suspect(epoch, '1')).toBe(false);
        await mine.release(epoch);
        expect(await others.renew(next!.epoch)).toBe('held');
        expect(payloads((await drain(others, next!)).events)).toEqual([1]);
        expect(await others.failures()).toEqual([]);
      });

      it('keeps it by renewing the lease, and by settling', async () => {
        await register();
        const mine = shardOf(ground.store('short', { lease: 1 }));
        const { epoch, cursor } = await claimed(mine);
        const long = shardOf(ground.store('short', { lease: 60_000 }));
        expect(await long.renew(epoch)).toBe('held');
        expect(await shardOf(ground.store('b')).claim()).toBeUndefined();
        expect(await long.settle(epoch, cursor, {})).toBe('held');
        expect(await shardOf(ground.store('b')).claim()).toBeUndefined();
      });

      it('becomes it again after a fault, and nobody calls that a crash', async () => {
        await register();
        const mine = shardOf();
        const one = await claimed(mine);
        const other = await claimed(mine);
        expect(other.crashes).toBe(0);
        expect(await mine.renew(one.epoch)).toBe('fenced');
      });

      it('leaves word of the event that it had begun when it ended', async () => {
        await register();
        const mine = shardOf(ground.store('short', { lease: 1 }));
        const { epoch, cursor } = await claimed(mine);
        expect(await mine.suspect(epoch, '42')).toBe(true);
        const others = shardOf(ground.store('b'));
        const next = await eventually(
          () => others.claim(),
          (claim) => claim !== undefined,
        );
        expect(next).toMatchObject({ suspect: '42', crashes: 1 });
        await others.settle(next!.epoch, cursor, {});
        expect(await claimed(others)).toMatchObject({ suspect: undefined, crashes: 0 });
      });

      it('hears from what it writes that the consumer is paused', async () => {
        await register();
        const mine = shardOf();
        const { epoch, cursor } = await claimed(mine);
        expect(await store.pause(consumer)).toBe(1);
        expect(await mine.renew(epoch)).toBe('paused');
        expect(await mine.first(epoch, cursor.done, 1)).toMatchObject({ hold: 'paused' });
        expect(await mine.settle(epoch, cursor, {})).toBe('paused');
        expect(await mine.settle(epoch, cursor, { gone: ['1'] })).toBe('paused');
        await mine.release(epoch);
        expect(await mine.claim()).toBeUndefined();
        expect(await store.resume(consumer)).toBe(1);
        expect(await mine.claim()).toBeDefined();
      });

      it('finds the attempts of what stands still', async () => {
        await register();
        const mine = shardOf();
        const { epoch, cursor } = await claimed(mine);
        await mine.settle(epoch, cursor, { attempts: 3, error: 'the bank\0 is closed \ud800' });
        expect(await claimed(mine)).toMatchObject({ attempts: 3 });
        const [{ attempts, lastError } = {}] = await state();
        expect(attempts).toBe(3);
        expect(lastError).toContain('the bank');
      });
    });

    describe('a failure', () => {
      it('is written down with its key, its attempts and when it is due, and is gone when it is settled', async () => {
        const { shard, claim, cursor, events } = await withFailures({ attempts: 2, delay: 50_000 }, 1, 2);
        const found = await shard.failures();
        expect(found).toEqual(events.map(({ seq }) => ({ seq, key: 'k', attempts: 2, due: expect.any(Number) })));
        expect(found[0]!.due).toBeGreaterThan(30_000);
        expect(found[0]!.due).toBeLessThanOrEqual(50_000);
        await shard.settle(claim.epoch, cursor, {
          failed: [failed(events[0]!, { attempts: 3 })],
          gone: [events[1]!.seq],
        });
        expect(await shard.failures()).toEqual([{ seq: events[0]!.seq, key: 'k', attempts: 3, due: 0 }]);
        expect(await state()).toEqual([expect.objectContaining({ retrying: 1, dead: 0, waiting: 0 })]);
      });

      it('keeps any text of its error', async () => {
        const { events } = await withFailures({ state: 'dead', error: `nul \0, half \ud800, é 🐘 "\\' \n` }, 1);
        const [letter] = await store.deadLetters(consumer, { limit: 10 });
        expect(letter).toMatchObject({ consumer, position: events[0]!.seq, id: events[0]!.id });
        expect(letter!.error).toMatch(/^nul .+, half .+, é 🐘 "\\' \n$/);
      });
    });

    describe('dead letters', () => {
      it('are listed oldest first, up to a limit', async () => {
        const { shard, events } = await withFailures({ state: 'dead', attempts: 20 }, 1, 2, 3);
        expect(await shard.failures()).toEqual([]);
        expect(await state()).toEqual([expect.objectContaining({ retrying: 0, dead: 3 })]);
        const letters = await store.deadLetters(consumer, { limit: 2 });
        expect(letters).toEqual(
          events.slice(0, 2).map(({ id, seq, payload }) => ({
            consumer,
            id,
            position: seq,
            channel,
            key: 'k',
            payload,
            attempts: 20,
            error: 'it failed',
            failedAt: expect.any(Date),
          })),
        );
      });

      it('are tried again when they are requeued: some of them, or all', async () => {
        const { shard, events } = await withFailures({ state: 'dead', attempts: 20 }, 1, 2, 3);
        expect(await store.requeue(consumer, [events[1]!.id])).toBe(1);
        expect(await shard.failures()).toEqual([{ seq: events[1]!.seq, key: 'k', attempts: 0, due: 0 }]);
        expect(await store.requeue(consumer, [events[1]!.id])).toBe(0);
        expect(await store.requeue(consumer, [])).toBe(0);
        expect(await store.requeue(consumer)).toBe(2);
        expect(await shard.failures()).toHaveLength(3);
        expect(await store.requeue(`${consumer} that does not exist`)).toBe(0);
      });

      it('are forgotten when they are discarded: some of them, or all, and never what is still to be tried', async () => {
        const { shard, claim, cursor, events } = await withFailures({ state: 'dead' }, 1, 2, 3);
        await shard.settle(claim.epoch, cursor, { failed: [failed(events[0]!)] });
        expect(await store.discard(consumer, [events[0]!.id, events[1]!.id])).toBe(1);
        expect(await store.discard(consumer)).toBe(1);
        expect(await store.deadLetters(consumer, { limit: 10 })).toEqual([]);
        expect(await shard.failures()).toHaveLength(1);
      });

      it('are named by ids that are UUIDs', async () => {
        await register();
        for (const call of [store.requeue(consumer, ['1']), store.discard(consumer, [`'`])]) {
          expect(await failureOf(call)).toMatchObject({ kind: 'configuration' });
        }
      });
    });

    describe('a replay', () => {
      it('delivers again what was published since, and fences the owner', async () => {
        await register();
        await publish([1, 2]);
        const shard = shardOf();
        const claim = await claimed(shard);
        const { events, cursor } = await drain(shard, claim);
        await publish([3]);
        expect(await store.replay(consumer, events[0]!.publishedAt)).toBe(1);
        expect(await shard.settle(claim.epoch, cursor, {})).toBe('fenced');
        expect(payloads((await drain(shard, await claimed(shard), 2)).events)).toEqual([1, 2, 3]);
        await publish([4]);
        expect(payloads((await drain(shard, await claimed(shard))).events)).toEqual([4]);
      });

      it('from now on delivers only what was not settled yet', async () => {
        await register();
        await publish([1]);
        const shard = shardOf();
        await drain(shard, await claimed(shard));
        await publish([2]);
        expect(await store.replay(consumer, new Date(Date.now() + 3_600_000))).toBe(1);
        expect(payloads((await drain(shard, await claimed(shard))).events)).toEqual([2]);
      });

      it('in the middle of a page leaves nothing out, and forgets the failures that it delivers again', async () => {
        await register();
        await publish([1, 2, 3, 4], 'k');
        const shard = shardOf();
        const claim = await claimed(shard);
        const page = await shard.first(claim.epoch, claim.cursor.done, 2);
        const cursor = behind(page, claim.cursor);
        await shard.settle(claim.epoch, cursor, {
          failed: [failed(page.events[0]!), failed(page.events[1]!, { state: 'dead' })],
        });
        await store.replay(consumer, new Date(Date.now() + 3_600_000));
        expect(await shard.failures()).toHaveLength(1);
        expect(payloads((await drain(shard, await claimed(shard), 1)).events)).toEqual([3, 4]);
        await store.replay(consumer, page.events[0]!.publishedAt);
        expect(await shard.failures()).toEqual([]);
        expect(await store.deadLetters(consumer, { limit: 1 })).toEqual([]);
        expect(payloads((await drain(shard, await claimed(shard), 3)).events)).toEqual([1, 2, 3, 4]);
      });

      it('needs a consumer that exists, and a valid time', async () => {
        expect(await store.replay(consumer, new Date(0))).toBe(0);
        expect(await failureOf(store.replay(consumer, new Date('never')))).toMatchObject({ kind: 'configuration' });
      });
    });

    describe('its administration', () => {
      it('says how each shard is doing', async () => {
        await register({ shards: 2 });
        await ground.publish(Array.from({ length: 6 }, (_, i) => ({ channel, key: `key ${i}` })));
        const owner = ground.store('the owner');
        await claimed(shardOf(owner, 1, 2));
        const shards = await state();
        expect(shards).toEqual([
          expect.objectContaining({ consumer, shard: 0, owner: undefined, paused: false, channels: [channel] }),
          expect.objectContaining({ consumer, shard: 1, owner: 'the owner', isForeign: false, lastError: undefined }),
        ]);
        expect(shards.reduce((sum, { waiting }) => sum + waiting, 0)).toBe(6);
        expect(Math.max(...shards.map(({ oldestWaiting }) => oldestWaiting))).toBeGreaterThan(0);
      });

      it('counts what waits in the middle of a difference, and behind it', async () => {
        await register();
        await publish([1, 2, 3, 4, 5]);
        const shard = shardOf();
        const claim = await claimed(shard);
        const page = await shard.first(claim.epoch, claim.cursor.done, 2);
        await publish([6, 7]);
        await shard.settle(claim.epoch, behind(page, claim.cursor), {});
        expect(await state()).toEqual([expect.objectContaining({ waiting: 5 })]);
        await drain(shard, await claimed(shard));
        expect(await state()).toEqual([expect.objectContaining({ waiting: 0, oldestWaiting: 0 })]);
      });

      it('forgets a consumer that is dropped, with its failures, and fences its owner', async () => {
        const { shard, claim, cursor } = await withFailures({ state: 'dead' }, 1);
        expect(await store.drop(consumer)).toBe(1);
        expect(await shard.settle(claim.epoch, cursor, {})).toBe('fenced');
        expect(await shard.claim()).toBeUndefined();
        expect(await state()).toEqual([]);
        expect(await store.drop(consumer)).toBe(0);
        await register();
        expect(await state()).toEqual([expect.objectContaining({ dead: 0, waiting: 0 })]);
      });

      it('pauses and resumes nothing that does not exist', async () => {
        expect([await store.pause(consumer), await store.resume(consumer)]).toEqual([0, 0]);
      });

      it('has nothing to rebase at home', async () => {
        await register();
        expect(await store.rebase()).toBe(0);
      });

      it('finds its tables', async () => {
        expect(await store.check()).toBeUndefined();
      });
    });

    describe('pruning', () => {
      // The log is the file's: consumers of other tests that have settled nothing keep events.
      beforeEach(async () => {
        for (const each of new Set((await store.consumers()).map((row) => row.consumer))) await store.drop(each);
      });

      it('deletes what every consumer has settled, and keeps what one has not', async () => {
        await register();
        const slow = `${consumer} that is slow`;
        await store.register([{ consumer: slow, shards: 1, channels: [channel], from: 'now' }]);
        await publish([1, 2, 3]);
        const shard = shardOf();
        const { events } = await drain(shard, await claimed(shard));
        const seqs = events.map(({ seq }) => seq);
        await store.prune(0);
        expect(await shard.events(seqs)).toHaveLength(3);
        await store.drop(slow);
        // What no transaction may still see: another test of this run may have one open.
        await eventually(
          async () => {
            await drain(shard, await claimed(shard));
            await store.prune(0);
            return shard.events(seqs);
          },
          ({ length }) => length === 0,
        );
      });

      it('keeps what is younger than the retention', async () => {
        await register();
        await publish([1]);
        const shard = shardOf();
        const { events } = await drain(shard, await claimed(shard));
        await store.prune(3_600_000);
        expect(await shard.events(events.map(({ seq }) => seq))).toHaveLength(1);
      });

      it('keeps what failed, dead letters as well', async () => {
        const { shard, claim, events } = await withFailures({ state: 'dead' }, 1, 2);
        await eventually(
          async () => {
            const current = await claimed(shard);
            await drain(shard, current);
            await store.prune(0);
            await store.discard(consumer, [events[0]!.id]);
            return shard.events(events.map(({ seq }) => seq));
          },
          ({ length }) => length === 1,
        );
        expect((await shard.events(events.map(({ seq }) => seq))).map(({ id }) => id)).toEqual([events[1]!.id]);
        expect(claim.crashes).toBe(0);
      });
    });

    describe('a transaction', () => {
      it('settles when it commits', async () => {
        await register();
        await publish([1]);
        const shard = shardOf();
        const { epoch, cursor } = await claimed(shard);
        const page = await shard.first(epoch, cursor.done, 10);
        await shard.transaction(async (transaction) => {
          expect(transaction.tx).toBeDefined();
          expect(await transaction.settle(epoch, behind(page, cursor), {})).toBe('held');
        });
        expect(await state()).toEqual([expect.objectContaining({ waiting: 0 })]);
      });

      it('settles nothing when it is rolled back', async () => {
        await register();
        await publish([1], 'k');
        const shard = shardOf();
        const { epoch, cursor } = await claimed(shard);
        const page = await shard.first(epoch, cursor.done, 10);
        const why = new Error('no');
        const work = shard.transaction(async (transaction) => {
          await transaction.settle(epoch, behind(page, cursor), { failed: page.events.map((event) => failed(event)) });
          throw why;
        });
        await expect(work).rejects.toBe(why);
        expect(await state()).toEqual([expect.objectContaining({ waiting: 1, retrying: 0 })]);
      });

      it('settles failures as well, and is told when it is fenced', async () => {
        const { shard, claim, cursor, events } = await withFailures({}, 1, 2);
        await shard.transaction(async (transaction) => {
          const outcome = { failed: [failed(events[1]!, { attempts: 7 })], gone: [events[0]!.seq] };
          expect(await transaction.settle(claim.epoch, cursor, outcome)).toBe('held');
        });
        expect(await shard.failures()).toEqual([{ seq: events[1]!.seq, key: 'k', attempts: 7, due: 0 }]);
        await claimed(shard);
        await shard.transaction(async (transaction) => {
          expect(await transaction.settle(claim.epoch, cursor, { gone: [events[1]!.seq] })).toBe('fenced');
        });
        expect(await shard.failures()).toHaveLength(1);
      });
    });
  });
}
