import { beforeEach, describe, expect, it } from '@jest/globals';
import { failureOf } from '../failures.js';
import { eventually } from '../recorder.js';
import { behind, claimed, drain, failed, payloads } from './contract-log.js';
import type { ContractLog } from './contract-log.js';

/** What is done with the log by hand. @param log The log, once the tests run. */
export function administering(log: () => ContractLog): void {
  describe('dead letters', () => {
    it('are listed oldest first, up to a limit', async () => {
      const { shard, events } = await log().withFailures({ state: 'dead', attempts: 20 }, 1, 2, 3);
      expect(await shard.failures()).toEqual([]);
      expect(await log().state()).toEqual([expect.objectContaining({ retrying: 0, dead: 3 })]);
      const letters = await log().store.deadLetters(log().consumer, { limit: 2 });
      expect(letters).toEqual(
        events.slice(0, 2).map(({ id, seq, payload }) => ({
          consumer: log().consumer,
          id,
          position: seq,
          channel: log().channel,
          key: 'k',
          payload,
          attempts: 20,
          error: 'it failed',
          failedAt: expect.any(Date),
        })),
      );
    });

    it('are retried when they are requeued, some or all', async () => {
      const { shard, events } = await log().withFailures({ state: 'dead', attempts: 20 }, 1, 2, 3);
      expect(await log().store.requeue(log().consumer, [events[1]!.id])).toBe(1);
      expect(await shard.failures()).toEqual([{ seq: events[1]!.seq, key: 'k', attempts: 0, due: 0 }]);
      expect(await log().store.requeue(log().consumer, [events[1]!.id])).toBe(0);
      expect(await log().store.requeue(log().consumer, [])).toBe(0);
      expect(await log().store.requeue(log().consumer)).toBe(2);
      expect(await shard.failures()).toHaveLength(3);
      expect(await log().store.requeue(`${log().consumer} that does not exist`)).toBe(0);
    });

    it('are forgotten when they are discarded, some or all, but events that wait for a retry are not', async () => {
      const { shard, claim, cursor, events } = await log().withFailures({ state: 'dead' }, 1, 2, 3);
      await shard.settle(claim.epoch, cursor, { failed: [failed(events[0]!)] });
      expect(await log().store.discard(log().consumer, [events[0]!.id, events[1]!.id])).toBe(1);
      expect(await log().store.discard(log().consumer)).toBe(1);
      expect(await log().store.deadLetters(log().consumer, { limit: 10 })).toEqual([]);
      expect(await shard.failures()).toHaveLength(1);
    });

    it('are named by ids that are UUIDs', async () => {
      await log().register();
      for (const call of [log().store.requeue(log().consumer, ['1']), log().store.discard(log().consumer, [`'`])]) {
        expect(await failureOf(call)).toMatchObject({ kind: 'configuration' });
      }
    });
  });

  describe('a replay', () => {
    it('delivers the events again that were published since, and fences the owner', async () => {
      await log().register();
      await log().publish([1, 2]);
      const shard = log().shardOf();
      const claim = await claimed(shard);
      const { events, cursor } = await drain(shard, claim);
      await log().publish([3]);
      expect(await log().store.replay(log().consumer, events[0]!.publishedAt)).toBe(1);
      expect(await shard.settle(claim.epoch, cursor, {})).toBe('fenced');
      expect(payloads((await drain(shard, await claimed(shard), 2)).events)).toEqual([1, 2, 3]);
      await log().publish([4]);
      expect(payloads((await drain(shard, await claimed(shard))).events)).toEqual([4]);
    });

    it('delivers only unsettled events if it starts now', async () => {
      await log().register();
      await log().publish([1]);
      const shard = log().shardOf();
      await drain(shard, await claimed(shard));
      await log().publish([2]);
      expect(await log().store.replay(log().consumer, new Date(Date.now() + 3_600_000))).toBe(1);
      expect(payloads((await drain(shard, await claimed(shard))).events)).toEqual([2]);
    });

    it('takes any time that a Date can be', async () => {
      await log().register();
      await log().publish([1]);
      const shard = log().shardOf();
      await drain(shard, await claimed(shard));
      const [first, last] = [new Date(-8.64e15), new Date(8.64e15)];
      expect(await log().store.replay(log().consumer, last)).toBe(1);
      expect((await drain(shard, await claimed(shard))).events).toEqual([]);
      expect(await log().store.replay(log().consumer, first)).toBe(1);
      expect(payloads((await drain(shard, await claimed(shard))).events)).toContain(1);
    });

    it('leaves nothing out in the middle of a page, and forgets the failures that it delivers again', async () => {
      await log().register();
      await log().publish([1, 2, 3, 4], 'k');
      const shard = log().shardOf();
      const claim = await claimed(shard);
      const page = await shard.first(claim.epoch, claim.cursor.done, 2);
      const cursor = behind(page, claim.cursor);
      await shard.settle(claim.epoch, cursor, {
        failed: [failed(page.events[0]!), failed(page.events[1]!, { state: 'dead' })],
      });
      await log().store.replay(log().consumer, new Date(Date.now() + 3_600_000));
      expect(await shard.failures()).toHaveLength(1);
      expect(payloads((await drain(shard, await claimed(shard), 1)).events)).toEqual([3, 4]);
      await log().store.replay(log().consumer, page.events[0]!.publishedAt);
      expect(await shard.failures()).toEqual([]);
      expect(await log().store.deadLetters(log().consumer, { limit: 1 })).toEqual([]);
      expect(payloads((await drain(shard, await claimed(shard), 3)).events)).toEqual([1, 2, 3, 4]);
    });

    it('requires an existing consumer and a valid time', async () => {
      expect(await log().store.replay(log().consumer, new Date(0))).toBe(0);
      expect(await failureOf(log().store.replay(log().consumer, new Date('never')))).toMatchObject({
        kind: 'configuration',
      });
    });
  });

  describe('its administration', () => {
    it('reports the state of each shard', async () => {
      await log().register({ shards: 2 });
      await log().ground.publish(Array.from({ length: 6 }, (_, i) => ({ channel: log().channel, key: `key ${i}` })));
      const owner = log().ground.store('the owner');
      await claimed(log().shardOf(owner, 1, 2));
      const shards = await log().state();
      expect(shards).toEqual([
        expect.objectContaining({
          consumer: log().consumer,
          shard: 0,
          owner: undefined,
          leaseRemaining: undefined,
          paused: false,
          channels: [log().channel],
        }),
        expect.objectContaining({
          consumer: log().consumer,
          shard: 1,
          owner: 'the owner',
          leaseRemaining: expect.any(Number),
          isForeign: false,
          lastError: undefined,
        }),
      ]);
      expect(shards.reduce((sum, { waiting }) => sum + waiting, 0)).toBe(6);
      expect(Math.max(...shards.map(({ oldestWaiting }) => oldestWaiting))).toBeGreaterThan(0);
    });

    it('counts waiting events in the middle of a range, and after it', async () => {
      await log().register();
      await log().publish([1, 2, 3, 4, 5]);
      const shard = log().shardOf();
      const claim = await claimed(shard);
      const page = await shard.first(claim.epoch, claim.cursor.done, 2);
      await log().publish([6, 7]);
      await shard.settle(claim.epoch, behind(page, claim.cursor), {});
      expect(await log().state()).toEqual([expect.objectContaining({ waiting: 5 })]);
      await drain(shard, await claimed(shard));
      expect(await log().state()).toEqual([expect.objectContaining({ waiting: 0, oldestWaiting: 0 })]);
    });

    it('forgets a consumer that is dropped, with its failures, and fences its owner', async () => {
      const { shard, claim, cursor } = await log().withFailures({ state: 'dead' }, 1);
      expect(await log().store.drop(log().consumer)).toBe(1);
      expect(await shard.settle(claim.epoch, cursor, {})).toBe('fenced');
      await expect(shard.claim()).rejects.toThrow('does not know it any more');
      expect(await log().state()).toEqual([]);
      expect(await log().store.drop(log().consumer)).toBe(0);
      await log().register();
      expect(await log().state()).toEqual([expect.objectContaining({ dead: 0, waiting: 0 })]);
    });

    it('pauses and resumes nothing that does not exist', async () => {
      expect([await log().store.pause(log().consumer), await log().store.resume(log().consumer)]).toEqual([0, 0]);
    });

    it('rebases nothing in its own cluster', async () => {
      await log().register();
      expect(await log().store.rebase()).toBe(0);
    });

    it('finds its tables', async () => {
      expect(await log().store.check()).toBeUndefined();
    });
  });

  describe('pruning', () => {
    // The log is the file's: consumers of other tests that have settled nothing keep events.
    beforeEach(async () => {
      for (const each of new Set((await log().store.consumers()).map((row) => row.consumer)))
        await log().store.drop(each);
    });

    it('deletes events that every consumer has settled, and keeps the others', async () => {
      await log().register();
      const slow = `${log().consumer} that is slow`;
      await log().store.register([{ consumer: slow, shards: 1, channels: [log().channel], from: 'now' }]);
      await log().publish([1, 2, 3]);
      const shard = log().shardOf();
      const { events } = await drain(shard, await claimed(shard));
      const seqs = events.map(({ seq }) => seq);
      await log().store.prune(0);
      expect(await shard.events(seqs)).toHaveLength(3);
      await log().store.drop(slow);
      // What no transaction may still see: another test of this run may have one open.
      await eventually(
        async () => {
          await drain(shard, await claimed(shard));
          await log().store.prune(0);
          return shard.events(seqs);
        },
        ({ length }) => length === 0,
      );
    });

    it('keeps events that are younger than the retention', async () => {
      await log().register();
      await log().publish([1]);
      const shard = log().shardOf();
      const { events } = await drain(shard, await claimed(shard));
      for (const age of [3_600_000, Number.MAX_VALUE]) await log().store.prune(age);
      expect(await shard.events(events.map(({ seq }) => seq))).toHaveLength(1);
    });

    it('keeps failed events and dead letters', async () => {
      const { shard, claim, events } = await log().withFailures({ state: 'dead' }, 1, 2);
      await eventually(
        async () => {
          const current = await claimed(shard);
          await drain(shard, current);
          await log().store.prune(0);
          await log().store.discard(log().consumer, [events[0]!.id]);
          return shard.events(events.map(({ seq }) => seq));
        },
        ({ length }) => length === 1,
      );
      expect((await shard.events(events.map(({ seq }) => seq))).map(({ id }) => id)).toEqual([events[1]!.id]);
      expect(claim.crashes).toBe(0);
    });
  });
}
