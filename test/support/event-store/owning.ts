import { describe, expect, it } from '@jest/globals';
import { eventually } from '../recorder.js';
import { behind, claimed, drain, failed, payloads } from './contract-log.js';
import type { ContractLog } from './contract-log.js';

/** Who owns a shard, and what its owner writes down. @param log The log, once the tests run. */
export function owning(log: () => ContractLog): void {
  describe('the owner of a shard', () => {
    it('keeps it from other instances until it releases it', async () => {
      await log().register();
      const [mine, others] = [log().shardOf(), log().shardOf(log().ground.store('b'))];
      const claim = await claimed(mine);
      expect(claim).toMatchObject({ attempts: 0, crashes: 0, suspect: undefined, isForeign: false });
      expect(await others.claim()).toBeUndefined();
      await mine.release(claim.epoch);
      const next = await claimed(others);
      expect(next).toMatchObject({ crashes: 0, lost: undefined });
      expect(BigInt(next.epoch)).toBeGreaterThan(BigInt(claim.epoch));
    });

    it("leaves it to instances that take all of the consumer's channels", async () => {
      const { consumer, channel, store } = log();
      await log().register();
      const narrow = log().shardOf();
      const { epoch, cursor } = await claimed(narrow);
      const channels = [channel, `${channel} too`];
      await store.register([{ consumer, shards: 1, channels, from: 'now' }]);
      await log().ground.publish([{ channel: channels[1]!, key: null, payload: '"new"' }]);
      const page = await narrow.first(epoch, cursor.done, 10);
      expect(page.hold).toBe('paused');
      expect(await narrow.next(epoch, { ...cursor, open: page.open, page: '0' }, 10)).toMatchObject({ hold: 'paused' });
      await narrow.release(epoch);
      await expect(narrow.claim()).rejects.toThrow(`has given it the channels "${channels[1]}"`);
      const wide = log().ground.store('b').shard({ consumer, shard: 0, shards: 1, channels });
      const claim = await claimed(wide);
      expect(payloads((await drain(wide, claim)).events)).toEqual(['new']);
      await log().register();
      expect(await wide.renew(claim.epoch)).toBe('held');
    });

    it('loses it when its lease expires, and cannot write any more', async () => {
      await log().register();
      await log().publish([1]);
      const mine = log().shardOf(log().ground.store('short', { lease: 1 }));
      const { epoch, cursor } = await claimed(mine);
      const others = log().shardOf(log().ground.store('b'));
      const next = await eventually(
        () => others.claim(),
        (claim) => claim !== undefined,
      );
      expect(next).toMatchObject({ crashes: 1, lost: { name: 'short' } });
      expect(next!.lost!.expiredFor).toBeGreaterThan(0);
      expect(next!.lost!.expiredFor).toBeLessThan(60_000);
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
      await log().register();
      const mine = log().shardOf(log().ground.store('short', { lease: 1 }));
      const { epoch, cursor } = await claimed(mine);
      const long = log().shardOf(log().ground.store('short', { lease: 60_000 }));
      expect(await long.renew(epoch)).toBe('held');
      expect(await log().shardOf(log().ground.store('b')).claim()).toBeUndefined();
      expect(await long.settle(epoch, cursor, {})).toBe('held');
      expect(await log().shardOf(log().ground.store('b')).claim()).toBeUndefined();
    });

    it('becomes the owner again after a fault, which does not count as a crash', async () => {
      await log().register();
      const mine = log().shardOf();
      const one = await claimed(mine);
      const other = await claimed(mine);
      expect(other).toMatchObject({ crashes: 0, lost: undefined });
      expect(await mine.renew(one.epoch)).toBe('fenced');
    });

    it('leaves a record of the event that it had started when it crashed', async () => {
      await log().register();
      const mine = log().shardOf(log().ground.store('short', { lease: 1 }));
      const { epoch, cursor } = await claimed(mine);
      expect(await mine.suspect(epoch, '42')).toBe(true);
      const others = log().shardOf(log().ground.store('b'));
      const next = await eventually(
        () => others.claim(),
        (claim) => claim !== undefined,
      );
      expect(next).toMatchObject({ suspect: '42', crashes: 1 });
      await others.settle(next!.epoch, cursor, {});
      expect(await claimed(others)).toMatchObject({ suspect: undefined, crashes: 0 });
    });

    it('learns from its writes that the consumer is paused', async () => {
      await log().register();
      const mine = log().shardOf();
      const { epoch, cursor } = await claimed(mine);
      expect(await log().store.pause(log().consumer)).toBe(1);
      expect(await mine.renew(epoch)).toBe('paused');
      expect(await mine.first(epoch, cursor.done, 1)).toMatchObject({ hold: 'paused' });
      expect(await mine.settle(epoch, cursor, {})).toBe('paused');
      expect(await mine.settle(epoch, cursor, { gone: ['1'] })).toBe('paused');
      await mine.release(epoch);
      expect(await mine.claim()).toBeUndefined();
      expect(await log().store.resume(log().consumer)).toBe(1);
      expect(await mine.claim()).toBeDefined();
    });

    it('finds the attempts of the event at its cursor', async () => {
      await log().register();
      const mine = log().shardOf();
      const { epoch, cursor } = await claimed(mine);
      await mine.settle(epoch, cursor, { attempts: 3, error: 'the bank\0 is closed \ud800' });
      expect(await claimed(mine)).toMatchObject({ attempts: 3 });
      const [{ attempts, lastError } = {}] = await log().state();
      expect(attempts).toBe(3);
      expect(lastError).toContain('the bank');
    });
  });

  describe('a failure', () => {
    it('is recorded with its key, attempts and due time, and is deleted when it is settled', async () => {
      const { shard, claim, cursor, events } = await log().withFailures({ attempts: 2, delay: 50_000 }, 1, 2);
      const found = await shard.failures();
      expect(found).toEqual(events.map(({ seq }) => ({ seq, key: 'k', attempts: 2, due: expect.any(Number) })));
      expect(found[0]!.due).toBeGreaterThan(30_000);
      expect(found[0]!.due).toBeLessThanOrEqual(50_000);
      await shard.settle(claim.epoch, cursor, {
        failed: [failed(events[0]!, { attempts: 3 })],
        gone: [events[1]!.seq],
      });
      expect(await shard.failures()).toEqual([{ seq: events[0]!.seq, key: 'k', attempts: 3, due: 0 }]);
      expect(await log().state()).toEqual([expect.objectContaining({ retrying: 1, dead: 0, waiting: 0 })]);
    });

    it('stores any text as its error', async () => {
      const { events } = await log().withFailures({ state: 'dead', error: `nul \0, half \ud800, é 🐘 "\\' \n` }, 1);
      const [letter] = await log().store.deadLetters(log().consumer, { limit: 10 });
      expect(letter).toMatchObject({ consumer: log().consumer, position: events[0]!.seq, id: events[0]!.id });
      expect(letter!.error).toMatch(/^nul .+, half .+, é 🐘 "\\' \n$/);
    });
  });

  describe('a transaction', () => {
    it('settles when it commits', async () => {
      await log().register();
      await log().publish([1]);
      const shard = log().shardOf();
      const { epoch, cursor } = await claimed(shard);
      const page = await shard.first(epoch, cursor.done, 10);
      await shard.transaction(async (transaction) => {
        expect(transaction.tx).toBeDefined();
        expect(await transaction.settle(epoch, behind(page, cursor), {})).toBe('held');
      });
      expect(await log().state()).toEqual([expect.objectContaining({ waiting: 0 })]);
    });

    it('settles nothing when it is rolled back', async () => {
      await log().register();
      await log().publish([1], 'k');
      const shard = log().shardOf();
      const { epoch, cursor } = await claimed(shard);
      const page = await shard.first(epoch, cursor.done, 10);
      const why = new Error('no');
      const work = shard.transaction(async (transaction) => {
        await transaction.settle(epoch, behind(page, cursor), { failed: page.events.map((event) => failed(event)) });
        throw why;
      });
      await expect(work).rejects.toBe(why);
      expect(await log().state()).toEqual([expect.objectContaining({ waiting: 1, retrying: 0 })]);
    });

    it('settles failures as well, and learns that it is fenced', async () => {
      const { shard, claim, cursor, events } = await log().withFailures({}, 1, 2);
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
}
