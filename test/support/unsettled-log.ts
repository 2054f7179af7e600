import { expect } from '@jest/globals';
import { Client } from 'pg';
import type { EventStore, StoredEvent } from '../../lib/event-log/event-store.js';
import { publishRaw } from './event-log-suite.js';
import type { EventLogSuite, RawClient } from './event-log-suite.js';
import { behind, drain } from './event-store-contract.js';

export const CHANNELS = ['x'];

/** What the consumer `c` still has to be given, of a log that was prepared. */
export const UNSETTLED = [...Array.from({ length: 15 }, (_, i) => i + 5), 'late', 20, 21];

/** A log whose consumers have work left: to be copied, or upgraded, and to go on without a loss. */
export function unsettledLog(suite: Pick<EventLogSuite, 'store'>) {
  const channels = CHANNELS;

  const publish = (client: RawClient, ...payloads: unknown[]): Promise<void> =>
    publishRaw(
      client,
      payloads.map((payload) => ({ channel: 'x', key: 'k', payload: JSON.stringify(payload) })),
    );

  const payloads = (events: readonly StoredEvent[]): unknown[] => events.map(({ payload }) => JSON.parse(payload));

  const shardOf = (store: EventStore, consumer = 'c') => store.shard({ consumer, shard: 0, shards: 1, channels });

  /** What a consumer is given: what is to be tried again, then what is new. */
  const given = async (store: EventStore, consumer = 'c'): Promise<unknown[]> => {
    const shard = shardOf(store, consumer);
    const claim = (await shard.claim())!;
    expect(claim.isForeign).toBe(false);
    const seqs = (await shard.failures()).map(({ seq }) => seq);
    const retried = await shard.events(seqs);
    await shard.settle(claim.epoch, claim.cursor, { gone: seqs });
    const { events } = await drain(shard, claim, 7);
    return payloads([...retried, ...events]);
  };

  /** A consumer in the middle of a page, with a dead letter, one that has settled all, and an event that came late. */
  const prepare = async (database: RawClient & { readonly url: string }): Promise<void> => {
    const store = suite.store('a', { url: database.url });
    for (const consumer of ['c', 'settled']) await store.register([{ consumer, shards: 1, channels, from: 'now' }]);
    await publish(database, ...Array.from({ length: 20 }, (_, i) => i));
    const straggler = new Client({ connectionString: database.url });
    await straggler.connect();
    await straggler.query('BEGIN');
    await publish(straggler, 'late');
    const shard = shardOf(store);
    const { epoch, cursor } = (await shard.claim())!;
    const page = await shard.first(epoch, cursor.done, 5);
    const dead = { seq: page.events[0]!.seq, key: 'k', state: 'dead', attempts: 1, delay: 0, error: 'e' } as const;
    await shard.settle(epoch, behind(page, cursor), { failed: [dead] });
    await shard.release(epoch);
    await straggler.query('COMMIT');
    await straggler.end();
    const all = shardOf(store, 'settled');
    const claim = (await all.claim())!;
    await drain(all, claim);
    await all.release(claim.epoch);
    await publish(database, 20, 21);
  };

  return { prepare, publish, given, shardOf };
}
