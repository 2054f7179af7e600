import { beforeEach, describe, expect, it } from '@jest/globals';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { ITEM_TRIGGER, triggerSuite } from '../support/trigger-suite.js';

describe('a trigger', () => {
  const suite = triggerSuite();
  const { run, said } = suite;
  const warnings = async (options: Partial<PgTriggerOptions> = {}): Promise<readonly string[]> => {
    const { state, warnings: found } = await checkTrigger(suite.database, { ...ITEM_TRIGGER, ...options });
    expect(state).toBe('current');
    return found;
  };

  describe('of level row', () => {
    const given = (columns: string, options: Partial<PgTriggerOptions> = {}): Promise<void> =>
      suite.given(columns, { level: 'row', ...options });

    it('announces each row, and the old and new key of an update that changes it', async () => {
      await given('id bigint, name text');
      expect(await said('INSERT INTO items VALUES (1), (2)')).toEqual(['insert 1', 'insert 2']);
      expect(await said("UPDATE items SET name = 'x' WHERE id = 1")).toEqual(['update 1']);
      expect(await said('UPDATE items SET id = 3 WHERE id = 1')).toEqual(['update 1 3']);
      expect(await said('DELETE FROM items')).toEqual(['delete 2', 'delete 3']);
      expect(await said('UPDATE items SET id = 3; DELETE FROM items')).toEqual([]);
      expect(await said('TRUNCATE items')).toEqual(['truncate *']);
    });

    it('announces an update only if it changes one of the columns, or the key', async () => {
      await given('id integer, name text, doc json', { columns: ['doc'] });
      await run(`INSERT INTO items VALUES (1, 'a', '{}'), (2, 'b', NULL)`);
      expect(await said("UPDATE items SET name = 'x', doc = doc")).toEqual([]);
      expect(await said(`UPDATE items SET doc = '{}'`)).toEqual(['update 2']);
      expect(await said('UPDATE items SET id = 3 WHERE id = 1')).toEqual(['update 1 3']);
    });

    it('announces keys that change places, although the columns stay as they are', async () => {
      await given('id integer, name text', { columns: ['name'] });
      await run('INSERT INTO items VALUES (1), (2)');
      expect(await said('UPDATE items SET id = 3 - id')).toEqual(['update 1 2', 'update 1 2']);
    });

    it('blocks a migration of its columns until down, and works again after up', async () => {
      const options: PgTriggerOptions = { ...ITEM_TRIGGER, level: 'row', columns: ['name'] };
      await given('id integer, name text', options);
      const migration = 'ALTER TABLE items ALTER id TYPE bigint';
      await expect(run(migration)).rejects.toThrow('cannot alter type of a column used in a trigger definition');
      const { up, down } = notifyTrigger(options);
      await run(`BEGIN; ${down} ${migration}; ${up} COMMIT`);
      expect(await said('INSERT INTO items VALUES (1)')).toEqual(['insert 1']);
      expect(await warnings(options)).toEqual([]);
    });

    it('sends included columns as they are after the change', async () => {
      await given('a integer, b integer, name text', { key: ['a', 'b'], include: ['name'], on: ['update'] });
      await run(`INSERT INTO items VALUES (1, NULL, 'a')`);
      expect(await said("UPDATE items SET name = 'A'")).toEqual(['update {"a":1,"b":null,"name":"A"}']);
      const [change] = await suite.listener.changesOf(() => run("UPDATE items SET b = 2, name = 'B'"));
      expect(change?.keys).toEqual([
        { a: 1, b: null, name: 'A' },
        { a: 1, b: 2, name: 'B' },
      ]);
    });
  });

  describe('of a partitioned table', () => {
    beforeEach(async () => {
      await run(`DROP TABLE IF EXISTS items CASCADE; CREATE TABLE items (id integer, name text) PARTITION BY RANGE (id);
        CREATE TABLE items_low PARTITION OF items FOR VALUES FROM (0) TO (10);
        CREATE TABLE items_high PARTITION OF items FOR VALUES FROM (10) TO (100) PARTITION BY RANGE (id);
        CREATE TABLE items_mid PARTITION OF items_high FOR VALUES FROM (10) TO (50)`);
    });

    it('announces once what is written through the table, also if a row moves', async () => {
      await run(notifyTrigger({ ...ITEM_TRIGGER, columns: ['name'] }).up);
      expect(await said('INSERT INTO items VALUES (1), (11)')).toEqual(['insert 1 11']);
      expect(await said("UPDATE items SET name = 'x'")).toEqual(['update 1 11']);
      expect(await said('UPDATE items SET id = 12 WHERE id = 1')).toEqual(['update 1 12']);
      expect(await said('DELETE FROM items')).toEqual(['delete 11 12']);
      expect(await said('TRUNCATE items')).toEqual(['truncate *']);
    });

    it('does not see what is written straight into a partition, and its check warns of that', async () => {
      await run(notifyTrigger(ITEM_TRIGGER).up);
      expect(await said('INSERT INTO items_mid VALUES (11)')).toEqual([]);
      expect(await warnings()).toEqual([
        'Not announced: INSERT, UPDATE, DELETE, TRUNCATE straight into items_high, items_low, items_mid. Write through items, or give each a trigger of its own for this channel.',
      ]);
    });

    it('names no more than five partitions in a warning', async () => {
      for (let n = 50; n < 54; n++) {
        await run(`CREATE TABLE items_${n} PARTITION OF items_high FOR VALUES FROM (${n}) TO (${n + 1})`);
      }
      await run(notifyTrigger(ITEM_TRIGGER).up);
      expect(await warnings()).toEqual([
        expect.stringContaining('items_50, items_51, items_52, items_53, items_high and 2 more.'),
      ]);
    });

    it('sees it with a trigger of the partition, and announces nothing twice', async () => {
      await run(notifyTrigger(ITEM_TRIGGER).up);
      await run(notifyTrigger({ ...ITEM_TRIGGER, table: 'items_low', on: ['insert', 'update', 'delete'] }).up);
      for (const table of ['items_mid', 'items_high']) await run(notifyTrigger({ ...ITEM_TRIGGER, table }).up);
      expect(await said('INSERT INTO items VALUES (1), (11)')).toEqual(['insert 1 11']);
      expect(await said('INSERT INTO items_mid VALUES (12)')).toEqual(['insert 12']);
      expect(await said('INSERT INTO items_high VALUES (13)')).toEqual(['insert 13']);
      expect(await warnings()).toEqual([expect.stringContaining('Not announced: TRUNCATE straight into items_low.')]);
    });

    it('refuses at up a name for a partition that is the name of the trigger of its table', async () => {
      const options: PgTriggerOptions = { ...ITEM_TRIGGER, name: 'shared', level: 'row' };
      await run(notifyTrigger(options).up);
      await expect(run(notifyTrigger({ ...options, table: 'items_low' }).up)).rejects.toThrow(
        'cannot drop trigger shared_insert on table items_low because trigger shared_insert on table items requires it',
      );
      expect((await checkTrigger(suite.database, options)).state).toBe('current');
      await run(notifyTrigger(options).down);
    });

    it('accepts in its place a trigger of a partition that fires always', async () => {
      await run('DROP TABLE items_high');
      await run(notifyTrigger({ ...ITEM_TRIGGER, on: ['insert'] }).up);
      await run(notifyTrigger({ ...ITEM_TRIGGER, on: ['insert'], table: 'items_low' }).up);
      await run('ALTER TABLE items_low ENABLE ALWAYS TRIGGER items_low_notify_item_changes_insert');
      expect(await warnings({ on: ['insert'] })).toEqual([]);
    });

    it.each<Partial<PgTriggerOptions>>([{ key: 'name' }, { key: ['id'] }, { include: ['name'] }, { columns: [] }])(
      'warns of a trigger of a partition for the channel that announces %p otherwise',
      async (other) => {
        await run('DROP TABLE items_high');
        const options: PgTriggerOptions = { ...ITEM_TRIGGER, on: ['update'], columns: ['name', 'id'] };
        const { columns = [], ...others } = { ...options, ...other, table: 'items_low' };
        await run(notifyTrigger(options).up);
        await run(notifyTrigger({ ...others, ...(columns.length > 0 && { columns }) }).up);
        expect(await warnings(options)).toEqual([
          'Announced otherwise: what is written straight into items_low. The trigger there is for this channel, but of other options key, include or columns: give it those of items.',
        ]);
        const alike: PgTriggerOptions = { ...options, columns: ['id', 'name'], maxKeys: 5 };
        await run(notifyTrigger({ ...alike, table: 'items_low', name: 'right' }).up);
        expect(await warnings(options)).toEqual([]);
      },
    );

    it('does not accept in its place a trigger for another channel', async () => {
      await run(notifyTrigger(ITEM_TRIGGER).up);
      for (const table of ['items_low', 'items_mid', 'items_high']) {
        await run(notifyTrigger({ ...ITEM_TRIGGER, table, channel: 'others' }).up);
      }
      expect(await warnings()).toHaveLength(1);
    });

    it('announces with level row what is written straight into a partition, of one attached later too', async () => {
      const options: PgTriggerOptions = { ...ITEM_TRIGGER, level: 'row', columns: ['name'] };
      await run(notifyTrigger(options).up);
      await run('CREATE TABLE items_late PARTITION OF items FOR VALUES FROM (100) TO (200)');
      expect(await said('INSERT INTO items_late VALUES (101)')).toEqual(['insert 101']);
      expect(await said('INSERT INTO items_mid VALUES (11); INSERT INTO items VALUES (1)')).toEqual([
        'insert 11',
        'insert 1',
      ]);
      expect(await said('UPDATE items SET id = 12 WHERE id = 1')).toEqual(['delete 1', 'insert 12']);
      expect(await warnings({ level: 'row', columns: ['name'] })).toEqual([
        expect.stringContaining('Not announced: TRUNCATE straight into'),
      ]);
    });

    it('is disabled if it is switched off on a partition', async () => {
      const options: PgTriggerOptions = { ...ITEM_TRIGGER, level: 'row', on: ['insert'] };
      await run(notifyTrigger(options).up);
      expect(await warnings(options)).toEqual([]);
      await run('ALTER TABLE items_mid DISABLE TRIGGER items_notify_item_changes_insert');
      expect(await said('INSERT INTO items VALUES (1), (11)')).toEqual(['insert 1']);
      expect(await checkTrigger(suite.database, options)).toEqual({
        state: 'disabled',
        problems: [expect.stringContaining('on the partition items_mid, is switched off.')],
        warnings: [],
      });
      await run(notifyTrigger(options).up);
      expect(await warnings(options)).toEqual([]);
    });

    it('warns that a row which moves is not an update for row triggers', async () => {
      await run(notifyTrigger({ ...ITEM_TRIGGER, level: 'row', on: ['update', 'delete'] }).up);
      expect(await warnings({ level: 'row', on: ['update', 'delete'] })).toEqual([
        expect.stringMatching(/moves a row to another partition is a DELETE and an INSERT .* Add 'insert'/),
      ]);
    });

    it('leaves nothing of level row behind when it becomes one of level statement', async () => {
      await run(notifyTrigger({ ...ITEM_TRIGGER, level: 'row' }).up);
      await run(notifyTrigger(ITEM_TRIGGER).up);
      expect(await said('INSERT INTO items VALUES (1), (11)')).toEqual(['insert 1 11']);
      expect(await said('INSERT INTO items_mid VALUES (12)')).toEqual([]);
    });
  });

  describe('of a table that others inherit from', () => {
    beforeEach(() =>
      run(`DROP TABLE IF EXISTS items CASCADE; CREATE TABLE items (id integer, name text);
        CREATE TABLE items_child (extra text) INHERITS (items); INSERT INTO items VALUES (1); INSERT INTO items_child VALUES (2)`),
    );

    it('announces what is written through the table, and warns of the rest', async () => {
      await run(notifyTrigger({ ...ITEM_TRIGGER, columns: ['name'] }).up);
      expect(await said("UPDATE items SET name = 'x'")).toEqual(['update 1 2']);
      expect(await said('INSERT INTO items_child VALUES (3)')).toEqual([]);
      expect(await warnings({ columns: ['name'] })).toEqual([expect.stringContaining('straight into items_child. ')]);
      expect(await said('DELETE FROM items')).toEqual(['delete 1 2 3']);
    });

    it('names a table once that inherits twice from it', async () => {
      await run(`CREATE TABLE items_other () INHERITS (items);
        CREATE TABLE items_grandchild () INHERITS (items_child, items_other)`);
      await run(notifyTrigger(ITEM_TRIGGER).up);
      expect(await warnings()).toEqual([
        expect.stringContaining('straight into items_child, items_grandchild, items_other. '),
      ]);
    });

    it('warns, at level row, that it sees no row of the others', async () => {
      await run(notifyTrigger({ ...ITEM_TRIGGER, level: 'row' }).up);
      expect(await said("UPDATE items SET name = 'x'")).toEqual(['update 1']);
      expect(await warnings({ level: 'row' })).toEqual([
        expect.stringMatching(/of rows of items_child, even through items, .* Use the level 'statement'/),
      ]);
    });
  });
});
