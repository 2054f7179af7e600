import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { shardStatements } from '../../lib/event-log/event-statements.js';
import type { EventClaim, EventShardStore, StoredEvent } from '../../lib/event-log/event-store.js';
import { SqlEventShardStore } from '../../lib/event-log/sql-event-shard-store.js';
import type { SqlEventStore } from '../../lib/event-log/sql-event-store.js';
import type { EventSessions } from '../../lib/event-log/event-sessions.js';
import { eventLogSuite, publishRaw } from '../support/event-log-suite.js';
import { drain } from '../support/event-store-contract.js';

describe('events of transactions that commit late', () => {
  const suite = eventLogSuite({ server: { settings: { max_prepared_transactions: '5' } } });
  let sessions: EventSessions;
  let store: SqlEventStore;
  let channel: string;
  let count = 0;

  beforeAll(() => {
    sessions = suite.sessions();
    store = suite.store('a', { sessions });
  });

  beforeEach(() => {
    count += 1;
    channel = `channel ${count}`;
  });

  const connect = async (): Promise<Client> => {
    const client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
    return client;
  };

  const publish = (payload: unknown, client: Client, key: string | null = null): Promise<void> =>
    publishRaw(client, [{ channel, key, payload: JSON.stringify(payload) }]);

  const shardOf = async (): Promise<{ shard: EventShardStore; claim: EventClaim }> => {
    await store.register([{ consumer: channel, shards: 1, channels: [channel], from: 'now' }]);
    const shard = store.shard({ consumer: channel, shard: 0, shards: 1, channels: [channel] });
    return { shard, claim: (await shard.claim())! };
  };

  const payloads = (events: readonly StoredEvent[]): unknown[] => events.map(({ payload }) => JSON.parse(payload));

  const PAGES = [1, 7, 1_000];

  it.each(PAGES)('are delivered once, after the events that committed before them, in pages of %i', async (limit) => {
    const { shard, claim } = await shardOf();
    const [early, late, autocommit] = [await connect(), await connect(), await connect()];
    for (const client of [early, late]) await client.query('BEGIN');
    await early.query('SELECT pg_current_xact_id()'); // Its number is lower than those of all that follow.
    for (let i = 0; i < 10; i += 1) await publish(`autocommit ${i}`, autocommit);
    await publish('late', late);
    await publish('more', autocommit);
    const first = await drain(shard, claim, limit);
    expect(payloads(first.events)).toEqual([...Array.from({ length: 10 }, (_, i) => `autocommit ${i}`), 'more']);
    await publish('early', early);
    await early.query('COMMIT');
    const second = await drain(shard, { ...claim, cursor: first.cursor }, limit);
    expect(payloads(second.events)).toEqual(['early']);
    await late.query('COMMIT');
    const third = await drain(shard, { ...claim, cursor: second.cursor }, limit);
    expect(payloads(third.events)).toEqual(['late']);
  });

  it.each(PAGES)('do not delay other events while a large backlog is handled, in pages of %i', async (limit) => {
    const { shard, claim } = await shardOf();
    const [open, autocommit] = [await connect(), await connect()];
    await open.query('BEGIN');
    await publish('open', open);
    for (let i = 0; i < 20; i += 1) await publish(i, autocommit);
    const page = await shard.first(claim.epoch, claim.cursor.done, limit);
    await open.query('COMMIT'); // In the middle of the difference, whose end is before it.
    const seen = [...page.events];
    let cursor = page.isLast
      ? { done: page.open, open: null, page: '0' }
      : { ...claim.cursor, open: page.open, page: page.upto! };
    const rest = await drain(shard, { ...claim, cursor }, limit);
    seen.push(...rest.events);
    ({ cursor } = rest);
    expect(payloads(seen)).toEqual([...Array.from({ length: 20 }, (_, i) => i), 'open']);
  });

  it('are never delivered after a rollback, even one to a savepoint', async () => {
    const { shard, claim } = await shardOf();
    const client = await connect();
    await client.query('BEGIN');
    await publish('kept', client);
    await client.query('SAVEPOINT one');
    await publish('undone', client);
    await client.query('ROLLBACK TO SAVEPOINT one');
    await publish('kept as well', client);
    await client.query('SAVEPOINT two');
    await publish('released', client);
    await client.query('RELEASE SAVEPOINT two');
    const before = await drain(shard, claim);
    expect(before.events).toEqual([]);
    await client.query('COMMIT');
    const after = await drain(shard, { ...claim, cursor: before.cursor });
    expect(payloads(after.events)).toEqual(['kept', 'kept as well', 'released']);
    await client.query('BEGIN');
    await publish('rolled back', client);
    await client.query('ROLLBACK');
    expect((await drain(shard, { ...claim, cursor: after.cursor })).events).toEqual([]);
  });

  it('are delivered after COMMIT PREPARED, and delay no other event before it', async () => {
    const { shard, claim } = await shardOf();
    const [client, autocommit] = [await connect(), await connect()];
    await client.query('BEGIN');
    await publish('prepared', client);
    await client.query(`PREPARE TRANSACTION '${channel}'`);
    await publish('others', autocommit);
    const before = await drain(shard, claim);
    expect(payloads(before.events)).toEqual(['others']);
    await client.query(`COMMIT PREPARED '${channel}'`);
    const after = await drain(shard, { ...claim, cursor: before.cursor });
    expect(payloads(after.events)).toEqual(['prepared']);
  });

  it.each(PAGES)('are delivered once by a replay that begins before they commit, in pages of %i', async (limit) => {
    const { shard, claim } = await shardOf();
    const [late, autocommit] = [await connect(), await connect()];
    await publish('before', autocommit);
    await late.query('BEGIN');
    await publish('late', late);
    for (let i = 0; i < 5; i += 1) await publish(i, autocommit);
    const first = await drain(shard, claim, limit);
    const since = first.events[1]!.publishedAt;
    const kept = first.events.filter(({ publishedAt }) => publishedAt >= since).length;
    await publish('new', autocommit);
    const replayed: unknown[] = [];
    for (let i = 0; i < 3; i += 1) {
      await store.replay(channel, since);
      const again = (await shard.claim())!;
      // In the middle of it, the next replay begins.
      const page = await shard.next(again.epoch, again.cursor, 2);
      expect(payloads(page.events)).toEqual(payloads(first.events.slice(-kept).slice(0, 2)));
    }
    await late.query('COMMIT');
    const { events } = await drain(shard, (await shard.claim())!, limit);
    replayed.push(...payloads(events));
    expect(replayed).toEqual([...payloads(first.events.slice(-kept)), 'new', 'late']);
  });

  it('are delivered even if statement_timeout forbids sorting a large backlog', async () => {
    const url = new URL(suite.database.url);
    url.searchParams.set('options', '-c statement_timeout=1500');
    const real = shardStatements('nest_events');
    const firstOfMany: typeof real.firstOfMany = (isSharded) =>
      real.firstOfMany(isSharded).replace('FROM (SELECT) AS one', 'FROM (SELECT pg_sleep(60)) AS one');
    const { claim } = await shardOf();
    const id = { consumer: channel, shard: 0, shards: 1, channels: [channel] };
    const options = { schema: 'nest_events', sessions: suite.sessions({ url: url.href }), owner: 'a', lease: 60_000 };
    const slow = new SqlEventShardStore(id, { ...options, statements: { ...real, firstOfMany } });
    const [late, autocommit] = [await connect(), await connect()];
    await late.query('BEGIN');
    await publish('late', late);
    const many =
      'INSERT INTO nest_events.event (channel, payload) SELECT $1, to_json(n) FROM generate_series(1, 5000) AS n';
    await autocommit.query(many, [channel]);
    const before = await drain(slow, claim, 500);
    expect(payloads(before.events)).toEqual(Array.from({ length: 5_000 }, (_, i) => i + 1));
    await late.query('COMMIT');
    expect(payloads((await drain(slow, { ...claim, cursor: before.cursor })).events)).toEqual(['late']);
  });

  it('are lost if transactions in progress are not checked', async () => {
    const real = shardStatements('nest_events');
    const first: typeof real.first = (window, isSharded) =>
      real.first(window, isSharded).replace(/UNION ALL[^]*?\)\)\s+\), page/, '), page');
    expect(first(2_000, false)).not.toBe(real.first(2_000, false));
    const { claim } = await shardOf();
    const id = { consumer: channel, shard: 0, shards: 1, channels: [channel] };
    const options = { schema: 'nest_events', sessions, owner: 'a', lease: 60_000 };
    const without = new SqlEventShardStore(id, { ...options, statements: { ...real, first } });
    const [late, autocommit] = [await connect(), await connect()];
    await late.query('BEGIN');
    await publish('late', late);
    await publish('others', autocommit);
    // A name of its own: the statement stays prepared in the session.
    const before = await drain(without, claim, 1_001);
    await late.query('COMMIT');
    const after = await drain(without, { ...claim, cursor: before.cursor }, 1_001);
    expect(payloads([...before.events, ...after.events])).toEqual(['others']);
  });
});
