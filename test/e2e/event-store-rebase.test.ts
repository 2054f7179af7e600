import { describe, expect, it } from '@jest/globals';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { createTestCluster, createTestDatabase } from '../support/postgres.js';
import { failureOf } from '../support/failures.js';
import { CHANNELS as channels, UNSETTLED, unsettledLog } from '../support/unsettled-log.js';

describe('a log that was copied into another cluster', () => {
  const suite = eventLogSuite();
  const other = async (): Promise<TestDatabase> => {
    const cluster = await createTestCluster();
    suite.cleanup(() => cluster.remove());
    const database = await createTestDatabase(cluster.url());
    suite.cleanup(() => database.disconnect());
    await database.query(eventLog().up);
    return database;
  };

  /** Copies the rows, as pg_dump does. */
  const copy = async (from: TestDatabase, to: TestDatabase): Promise<void> => {
    for (const table of ['event', 'consumer', 'failure']) {
      const { rows } = await from.query<{ row: string }>(
        `SELECT row_to_json(t)::text AS row FROM nest_events.${table} AS t`,
      );
      for (const { row } of rows) {
        await to.query(
          `INSERT INTO nest_events.${table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_record(NULL::nest_events.${table}, $1::json)`,
          [row],
        );
      }
    }
    await to.query(
      `SELECT setval(pg_get_serial_sequence('nest_events.event', 'seq'), (SELECT max(seq) FROM nest_events.event))`,
    );
  };

  const { prepare, publish, given, shardOf } = unsettledLog(suite);

  /** Advances the transactions of a cluster. */
  const age = async (database: TestDatabase, transactions: number): Promise<void> => {
    const each = 'PERFORM pg_current_xact_id(); COMMIT;';
    await database.query(`DO $$ BEGIN FOR i IN 1..${transactions} LOOP ${each} END LOOP; END $$`);
  };

  it.each([
    ['behind', 3_000, 0],
    ['ahead', 0, 3_000],
  ])(
    'is refused, then rebased, and nothing is lost or repeated, when that cluster is %s',
    async (_what, old, fresh) => {
      const [from, to] = [await other(), await other()];
      await age(from, old);
      await prepare(from);
      await age(to, fresh);
      await copy(from, to);
      const store = suite.store('b', { url: to.url });
      const [claim, states] = [await shardOf(store).claim(), await store.consumers()];
      expect(claim).toMatchObject({ isForeign: true });
      expect(states.map(({ isForeign }) => isForeign)).toEqual([true, true]);
      // The application starts, is refused its consumers, and publishes.
      await store.register([{ consumer: 'c', shards: 1, channels, from: 'now' }]);
      await publish(to, 'before the rebase');
      expect(await store.rebase()).toBe(2);
      expect(await shardOf(store).settle(claim!.epoch, claim!.cursor, {})).toBe('fenced');
      await publish(to, 'after the rebase');
      expect(await given(store)).toEqual([...UNSETTLED, 'before the rebase', 'after the rebase']);
      expect(await given(store, 'settled')).toEqual([20, 21, 'before the rebase', 'after the rebase']);
      expect((await store.deadLetters('c', { limit: 5 })).map(({ payload }) => payload)).toEqual(['0']);
      expect(
        (await store.consumers()).map(({ isForeign, waiting, retrying }) => [isForeign, waiting, retrying]),
      ).toEqual([
        [false, 0, 0],
        [false, 0, 0],
      ]);
      expect(await store.rebase()).toBe(0);
      expect(await store.discard('c')).toBe(1);
      await publish(to, 'at the end');
      expect(await given(store)).toEqual(['at the end']);
      expect(await given(store, 'settled')).toEqual(['at the end']);
      expect(await store.prune(0)).toBeGreaterThan(20);
    },
  );

  it('continues exactly where it was if transaction ids continue too, as after pg_upgrade', async () => {
    const database = await other();
    await prepare(database);
    await database.query('UPDATE nest_events.consumer SET cluster = 1');
    const store = suite.store('b', { url: database.url });
    await publish(database, 'before the application starts');
    await store.register([{ consumer: 'c', shards: 1, channels, from: 'now' }]);
    await publish(database, 'before the rebase');
    expect(await store.rebase()).toBe(2);
    await publish(database, 'after the rebase');
    const since = ['before the application starts', 'before the rebase', 'after the rebase'];
    expect(await given(store)).toEqual([...UNSETTLED, ...since]);
    expect(await given(store, 'settled')).toEqual([20, 21, ...since]);
  });

  it('refuses new consumers before it is rebased', async () => {
    const [from, to] = [await other(), await other()];
    await prepare(from);
    await copy(from, to);
    const store = suite.store('b', { url: to.url });
    const added = { consumer: 'new', shards: 1, channels, from: 'beginning' } as const;
    const failure = await failureOf(store.register([added]));
    expect(failure).toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('npx nest-pg-notify events rebase'),
    });
    await store.rebase();
    await store.register([added]);
    expect(await given(store, 'new')).toHaveLength(23);
  });
});
