import { describe, expect, it } from '@jest/globals';
import type { StoredEvent } from '../../../lib/event-log/event-store.js';
import { failureOf } from '../failures.js';
import { eventually } from '../recorder.js';
import { behind, claimed, drain, payloads } from './contract-log.js';
import type { ContractLog } from './contract-log.js';

/** What a consumer is given, and in which order. @param log The log, once the tests run. */
export function reading(log: () => ContractLog): void {
  describe('a consumer', () => {
    it('gets the events that are published after its registration, unchanged', async () => {
      await log().publish(['before']);
      await log().register();
      await log().ground.publish([
        { channel: log().channel, key: 'k', payload: '{"a": 1,  "b":2}', headers: '{"h":"x"}' },
        { channel: log().channel, key: null, payload: '"é 🐘"' },
        { channel: `${log().channel} of others` },
      ]);
      const shard = log().shardOf();
      const { events } = await drain(shard, await claimed(shard));
      expect(events).toEqual([
        expect.objectContaining({
          channel: log().channel,
          key: 'k',
          payload: '{"a": 1,  "b":2}',
          headers: '{"h":"x"}',
        }),
        expect.objectContaining({ channel: log().channel, key: null, payload: '"é 🐘"', headers: null }),
      ]);
      const [one, other] = events as [StoredEvent, StoredEvent];
      expect(one.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(other.id).not.toBe(one.id);
      expect(BigInt(other.seq)).toBeGreaterThan(BigInt(one.seq));
      expect(Math.abs(one.publishedAt.getTime() - Date.now())).toBeLessThan(60_000);
    });

    it('gets every kept event if it starts at the beginning', async () => {
      await log().publish([1, 2]);
      await log().register({ from: 'beginning' });
      await log().publish([3]);
      const shard = log().shardOf();
      expect(payloads((await drain(shard, await claimed(shard), 2)).events)).toEqual([1, 2, 3]);
    });

    it('gets the events published since the time at which it starts', async () => {
      await log().publish(['before']);
      await log().register({ from: 'beginning' });
      const reader = log().shardOf();
      const [before] = (await drain(reader, await claimed(reader))).events as [StoredEvent];
      // Nobody's clock but the log's says when that was.
      const later = await eventually(
        async () => {
          await log().publish(['after']);
          const again = await drain(reader, await claimed(reader));
          return again.events.at(-1)!;
        },
        ({ publishedAt }) => publishedAt.getTime() > before.publishedAt.getTime() + 1,
      );
      log().consumer = `${log().consumer} since`;
      await log().register({ from: new Date(later.publishedAt.getTime()) });
      await log().publish(['last']);
      const shard = log().shardOf();
      const seqs = (await drain(shard, await claimed(shard))).events.map(({ seq }) => seq);
      expect(seqs).toContain(later.seq);
      expect(seqs).not.toContain(before.seq);
    });

    it('keeps its cursor when it is registered again, and gets the new channels', async () => {
      await log().register();
      await log().publish([1]);
      const other = `${log().channel} b`;
      await log().register({ from: 'beginning', channels: [log().channel, other] });
      expect(await log().state()).toEqual([expect.objectContaining({ channels: [log().channel, other], waiting: 1 })]);
    });

    it('is refused with another number of shards', async () => {
      await log().register({ shards: 2 });
      const failure = await failureOf(log().register({ shards: 3 }));
      expect(failure).toMatchObject({
        kind: 'configuration',
        message: expect.stringContaining('has 2 shards in the log, and 3'),
      });
      expect(await log().state()).toHaveLength(2);
    });

    it('does not affect another consumer', async () => {
      await log().register();
      await log().publish([1]);
      const first = log().shardOf();
      await drain(first, await claimed(first));
      log().consumer = `${log().consumer} b`;
      await log().register({ from: 'beginning' });
      const second = log().shardOf();
      expect(payloads((await drain(second, await claimed(second))).events)).toEqual([1]);
    });
  });

  describe('a page', () => {
    it.each([1, 2, 3, 7, 1_000])(
      'contains each event once, in the order of the log, with a limit of %i',
      async (limit) => {
        await log().register();
        const values = Array.from({ length: 10 }, (_, i) => i);
        await log().publish(values);
        const shard = log().shardOf();
        const claim = await claimed(shard);
        const { events, cursor } = await drain(shard, claim, limit);
        expect(payloads(events)).toEqual(values);
        await log().publish(['later']);
        const page = await shard.first(claim.epoch, cursor.done, limit);
        expect(payloads(page.events)).toEqual(['later']);
      },
    );

    it('is empty when nothing is new', async () => {
      await log().register();
      const shard = log().shardOf();
      const { epoch, cursor } = await claimed(shard);
      expect(await shard.first(epoch, cursor.done, 10)).toMatchObject({ hold: 'held', events: [], isLast: true });
    });

    it('leaves events that are published meanwhile to the next range', async () => {
      await log().register();
      await log().publish([1, 2, 3]);
      const shard = log().shardOf();
      const claim = await claimed(shard);
      const page = await shard.first(claim.epoch, claim.cursor.done, 2);
      expect(page).toMatchObject({ isLast: false });
      await log().publish([4]);
      const cursor = behind(page, claim.cursor);
      const rest = await shard.next(claim.epoch, cursor, 2);
      expect(payloads(rest.events)).toEqual([3]);
      const { events } = await drain(shard, { ...claim, cursor: behind(rest, cursor) });
      expect(payloads(events)).toEqual([4]);
    });

    it('continues after events of other consumers', async () => {
      await log().register();
      await log().ground.publish(Array.from({ length: 50 }, () => ({ channel: 'of others' })));
      await log().publish([1, 2]);
      await log().ground.publish(Array.from({ length: 50 }, () => ({ channel: 'of others' })));
      await log().publish([3]);
      const shard = log().shardOf();
      expect(payloads((await drain(shard, await claimed(shard), 1)).events)).toEqual([1, 2, 3]);
    });

    it('finds the events that exist by their positions', async () => {
      await log().register();
      await log().publish([1, 2]);
      const shard = log().shardOf();
      const { events } = await drain(shard, await claimed(shard));
      const seqs = [...events.map(({ seq }) => seq), '999999999999'];
      expect(payloads(await shard.events(seqs))).toEqual([1, 2]);
    });
  });

  describe('several shards', () => {
    it('share the events, each key in one of them', async () => {
      await log().register({ shards: 3 });
      const keys = [null, 'a', 'b', 'c', 'd', 'e', 'é'];
      await log().ground.publish(
        Array.from({ length: 70 }, (_, i) => ({
          channel: log().channel,
          key: keys[i % keys.length]!,
          payload: String(i),
        })),
      );
      const given: StoredEvent[][] = [];
      for (const shard of [0, 1, 2].map((index) => log().shardOf(log().store, index, 3))) {
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

    it('cannot be claimed by an instance with another number of shards', async () => {
      await log().register({ shards: 2 });
      expect(await log().shardOf(log().store, 0, 1).claim()).toBeUndefined();
      expect(await log().shardOf(log().store, 0, 2).claim()).toBeDefined();
    });
  });
}
