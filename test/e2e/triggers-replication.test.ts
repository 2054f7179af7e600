import { beforeAll, describe, expect, it } from '@jest/globals';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { appSuite } from '../support/app/app-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';
import { shortly, TableListener } from '../support/table-listener.js';

const OPTIONS: PgTriggerOptions = { table: 'items', channel: 'item_changes', key: 'id' };
const NAMES = ['insert', 'update', 'delete', 'truncate'].map((operation) => `items_notify_item_changes_${operation}`);

describe('a trigger of a table that a logical subscription writes into', () => {
  const suite = appSuite({ server: { settings: { wal_level: 'logical' } } });
  let source: TestDatabase;
  let target: TestDatabase;
  let listener: TableListener;
  const check = async (options: PgTriggerOptions): Promise<readonly string[]> => {
    const { state, warnings } = await checkTrigger(target, options);
    expect(state).toBe('current');
    return warnings;
  };
  const fireAlways = async (): Promise<void> => {
    for (const name of NAMES) await target.query(`ALTER TABLE items ENABLE ALWAYS TRIGGER ${name}`);
  };
  /** What is announced in the target of these writes, which are made in the source. */
  const said = async (...writes: readonly string[]): Promise<string[]> =>
    shortly(
      await listener.changesOf(async () => {
        for (const sql of writes) await source.query(sql);
        const { rows } = await source.query<{ end: string }>('SELECT pg_current_wal_lsn()::text AS end');
        await eventually(
          () =>
            source.query<{ caughtUp: boolean }>(
              `SELECT confirmed_flush_lsn >= $1::pg_lsn AS "caughtUp" FROM pg_replication_slots WHERE slot_name = 'items'`,
              [rows[0]!.end],
            ),
          ({ rows: [slot] }) => slot!.caughtUp,
        );
      }),
    );

  beforeAll(async () => {
    source = suite.database;
    target = await suite.createDatabase();
    for (const database of [source, target])
      await database.query('CREATE TABLE items (id integer PRIMARY KEY, name text)');
    // Made apart, because the slot of a subscription to its own server waits for the transaction that makes it.
    await source.query(`CREATE PUBLICATION items FOR TABLE items`);
    await source.query(`SELECT pg_create_logical_replication_slot('items', 'pgoutput')`);
    const { host, port, user, password, database } = source.config;
    const connection = `host=${host} port=${port} user=${user} password=${password} dbname=${database}`;
    await target.query(`CREATE SUBSCRIPTION items CONNECTION '${connection}' PUBLICATION items
      WITH (create_slot = false, slot_name = 'items', copy_data = false)`);
    suite.cleanup(() =>
      target.query(
        'ALTER SUBSCRIPTION items DISABLE; ALTER SUBSCRIPTION items SET (slot_name = NONE); DROP SUBSCRIPTION items',
      ),
    );
    listener = suite.use(await TableListener.start(target.url, 'item_changes'));
  });

  it('announces no rows at level statement, even if it fires always, and its check warns of that', async () => {
    await target.query(notifyTrigger(OPTIONS).up);
    await fireAlways();
    expect(await said('INSERT INTO items VALUES (1)', "UPDATE items SET name = 'x'", 'DELETE FROM items')).toEqual([]);
    expect(await check(OPTIONS)).toEqual([
      expect.stringMatching(/^Not announced: what a logical subscription writes into items\. .* use the level 'row'/),
    ]);
  });

  it('gets no warning of its check on another table', async () => {
    await target.query('CREATE TABLE others (id integer)');
    await target.query(notifyTrigger({ ...OPTIONS, table: 'others' }).up);
    expect(await check({ ...OPTIONS, table: 'others' })).toEqual([]);
  });

  it('announces each row at level row, if it fires always', async () => {
    const options: PgTriggerOptions = { ...OPTIONS, level: 'row' };
    await target.query(notifyTrigger(options).up);
    expect(await said('INSERT INTO items VALUES (2)')).toEqual([]);
    expect(await check(options)).toEqual([
      `Not announced: what a logical subscription writes into items. Run ALTER TABLE … ENABLE ALWAYS TRIGGER for ${NAMES.toSorted().join(', ')}.`,
    ]);
    await fireAlways();
    expect(await said("UPDATE items SET name = 'x'", 'DELETE FROM items', 'TRUNCATE items')).toEqual([
      'update 2',
      'delete 2',
      'truncate *',
    ]);
    expect(await check(options)).toEqual([]);
  });
});
