import { beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { SqlEventStore } from '../../lib/event-log/sql-event-store.js';
import { eventLogSuite, publishRaw } from '../support/event-log-suite.js';
import { drain } from '../support/event-store-contract.js';

describe('retention', () => {
  // A server of its own: an open transaction of another test would keep events.
  const suite = eventLogSuite({ server: { settings: { max_prepared_transactions: '5', autovacuum: 'off' } } });
  let schema: string;
  let store: SqlEventStore;

  beforeEach(async () => {
    schema = await suite.createSchema();
    store = suite.store('a', { schema });
  });

  const connect = async (): Promise<Client> => {
    const client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
    return client;
  };

  const publish = (count: number, client?: Client): Promise<void> =>
    publishRaw(
      client ?? suite.database,
      Array.from({ length: count }, () => ({ channel: 'x' })),
      schema,
    );

  const register = (consumer: string) => store.register([{ consumer, shards: 1, channels: ['x'], from: 'now' }]);

  const settleAll = async (consumer: string, failing: readonly number[] = []) => {
    const shard = store.shard({ consumer, shard: 0, shards: 1, channels: ['x'] });
    const claim = (await shard.claim())!;
    const { events, cursor } = await drain(shard, claim, 10_000);
    const failed = failing.map((index) => {
      const { seq, key } = events[index]!;
      return { seq, key, state: 'dead', attempts: 1, delay: 0, error: null } as const;
    });
    await shard.settle(claim.epoch, cursor, { failed });
    await shard.release(claim.epoch);
    return events;
  };

  const kept = async (): Promise<number> => (await suite.database.query(`SELECT FROM "${schema}".event`)).rowCount!;

  it('reads all chunks, even after chunks that contain only dead letters', async () => {
    await register('c');
    await publish(12_000);
    await settleAll(
      'c',
      Array.from({ length: 5_500 }, (_, i) => i),
    );
    expect(await store.prune(0)).toBe(6_500);
    expect(await kept()).toBe(5_500);
    expect(await store.discard('c')).toBe(5_500);
    expect(await store.prune(0)).toBe(5_500);
  });

  it('stops at events that are not old enough', async () => {
    await register('c');
    await publish(6_000);
    await settleAll('c');
    await suite.database.query(
      `UPDATE "${schema}".event SET created_at = created_at - interval '1 hour' WHERE seq <= 5500`,
    );
    expect(await store.prune(1_800_000)).toBe(5_500);
    expect(await kept()).toBe(500);
  });

  it('keeps events that a paused consumer has not settled', async () => {
    await register('c');
    await register('paused');
    await store.pause('paused');
    await publish(3);
    await settleAll('c');
    expect(await store.prune(0)).toBe(0);
    await store.resume('paused');
    await settleAll('paused');
    expect(await store.prune(0)).toBe(3);
  });

  it('keeps events that a replay delivers again', async () => {
    await register('c');
    await publish(3);
    await settleAll('c');
    await store.replay('c', new Date(0));
    expect(await store.prune(0)).toBe(0);
    expect(await settleAll('c')).toHaveLength(3);
    expect(await store.prune(0)).toBe(3);
  });

  it.each([
    ['is open', 'COMMIT'],
    ['is prepared', `COMMIT PREPARED 'one'`],
  ])('never deletes what a transaction has published that %s', async (_what, commit) => {
    await register('c');
    const client = await connect();
    await client.query('BEGIN');
    await publish(1, client);
    if (commit !== 'COMMIT') await client.query(`PREPARE TRANSACTION 'one'`);
    await publish(2);
    await settleAll('c');
    // What came after it is newer than the oldest transaction that was open, and is kept for a while.
    expect(await store.prune(0)).toBe(0);
    await client.query(commit);
    expect(await settleAll('c')).toHaveLength(1);
    expect(await store.prune(0)).toBe(3);
  });

  it('deletes events that no consumer takes', async () => {
    await publish(3);
    expect(await store.prune(0)).toBe(3);
  });

  it('deletes nothing while another session prunes', async () => {
    await publish(3);
    const client = await connect();
    await client.query('BEGIN');
    await client.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, [
      `nest-pg-notify event pruning ${schema}`,
    ]);
    expect(await store.prune(0)).toBe(0);
    await client.query('COMMIT');
    expect(await store.prune(0)).toBe(3);
  });
});
