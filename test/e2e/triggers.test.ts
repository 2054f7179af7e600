import { beforeEach, describe, expect, it } from '@jest/globals';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { ITEM_TRIGGER, triggerSuite } from '../support/trigger-suite.js';
import { itFrom } from '../support/version-gate.js';

describe('a trigger of level statement', () => {
  const suite = triggerSuite();
  const { run, said, given } = suite;

  describe('with one key', () => {
    beforeEach(() => given('id integer PRIMARY KEY, name text', {}, ['(1), (2), (3)']));

    it('announces one payload for a statement and an operation', async () => {
      expect(await said('INSERT INTO items VALUES (4), (5)')).toEqual(['insert 4 5']);
      expect(await said("UPDATE items SET name = 'x' WHERE id < 3")).toEqual(['update 1 2']);
      expect(await said('DELETE FROM items WHERE id > 3')).toEqual(['delete 4 5']);
    });

    it('names the operation, the table and the time', async () => {
      const before = Date.now();
      const [change] = await suite.listener.changesOf(() => run('INSERT INTO items VALUES (9)'));
      expect(change).toEqual({ op: 'insert', table: 'items', keys: [9], at: expect.any(String) });
      expect(change?.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      expect(Math.abs(Date.parse(change!.at) - before)).toBeLessThan(60_000);
    });

    it('sends the time of the statement, not the time at which its transaction began', async () => {
      const changes = await suite.listener.changesOf(() =>
        run('BEGIN; UPDATE items SET id = id; SELECT pg_sleep(0.01); UPDATE items SET id = id; COMMIT'),
      );
      const [first, second] = changes.map(({ at }) => at);
      expect(first! < second!).toBe(true);
    });

    it('announces the old and the new key if an update changes it', async () => {
      expect(await said('UPDATE items SET id = 30 WHERE id = 3')).toEqual(['update 3 30']);
      expect(await said('UPDATE items SET id = id + 1 WHERE id = 2')).toEqual(['update 2 3']);
    });

    it('announces a TRUNCATE, of an empty table too', async () => {
      expect(await said('TRUNCATE items')).toEqual(['truncate *']);
      expect(await said('TRUNCATE items')).toEqual(['truncate *']);
    });

    it('announces an upsert as an insert and an update', async () => {
      const upsert = "INSERT INTO items VALUES (1, 'x'), (7, 'x') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name";
      expect((await said(upsert)).toSorted()).toEqual(['insert 7', 'update 1']);
      expect(await said(upsert)).toEqual(['update 1 7']);
      expect(await said('INSERT INTO items VALUES (1), (8) ON CONFLICT DO NOTHING')).toEqual(['insert 8']);
    });

    itFrom(15, 'announces each part of a MERGE', async () => {
      const merge = `MERGE INTO items USING (VALUES (1, 'x'), (2, NULL), (9, 'y')) AS s (id, name) ON s.id = items.id
        WHEN MATCHED AND s.name IS NULL THEN DELETE
        WHEN MATCHED THEN UPDATE SET name = s.name
        WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.name)`;
      expect((await said(merge)).toSorted()).toEqual(['delete 2', 'insert 9', 'update 1']);
    });

    it('announces what a foreign key cascades to', async () => {
      await run('DROP TABLE IF EXISTS owners CASCADE; CREATE TABLE owners (id integer PRIMARY KEY)');
      await run('INSERT INTO owners VALUES (1)');
      await run(
        'ALTER TABLE items ADD owner integer REFERENCES owners ON DELETE CASCADE; UPDATE items SET owner = 1 WHERE id < 3',
      );
      expect(await said('DELETE FROM owners')).toEqual(['delete 1 2']);
    });

    it('announces nothing for a statement that changes no row', async () => {
      expect(await said('UPDATE items SET id = 0 WHERE false; DELETE FROM items WHERE id = 99')).toEqual([]);
      expect(await said('INSERT INTO items SELECT 1 WHERE false')).toEqual([]);
    });

    it('announces nothing that is rolled back', async () => {
      expect(await said('BEGIN; DELETE FROM items; ROLLBACK')).toEqual([]);
    });

    it('announces each of several statements in a transaction', async () => {
      const sql = 'BEGIN; INSERT INTO items VALUES (4); UPDATE items SET id = id; DELETE FROM items; COMMIT';
      expect(await said(sql)).toEqual(['insert 4', 'update 1 2 3 4', 'delete 1 2 3 4']);
    });
  });

  describe('with the option on', () => {
    it.each([
      [['insert'], ['insert 1']],
      [
        ['update', 'truncate'],
        ['update 1', 'truncate *'],
      ],
      [['delete'], ['delete 1']],
      [['truncate'], ['truncate *']],
    ] as const)('announces only %p', async (on, expected) => {
      await given('id integer', { on });
      expect(
        await said('INSERT INTO items VALUES (1); UPDATE items SET id = 1; DELETE FROM items; TRUNCATE items'),
      ).toEqual(expected);
    });
  });

  describe('with columns', () => {
    beforeEach(async () => {
      await given('id integer, name text, price numeric, doc json', { columns: ['price', 'doc'] }, [
        `(1, 'a', 1, '{}'), (2, 'b', 2, NULL), (3, 'c', NULL, '{}')`,
      ]);
    });

    it.each([
      ['another column', "name = name || '!'", []],
      ['no column', 'price = price', []],
      ['one of them in all rows', 'price = coalesce(price, 0) + 1', ['update 1 2 3']],
      ['one of them in one row', 'price = CASE id WHEN 2 THEN 9 ELSE price END', ['update 2']],
      ['one that has no operator =', `doc = CASE id WHEN 1 THEN '[]' ELSE doc END`, ['update 1']],
      ['one to null', 'price = NULL', ['update 1 2']],
      ['one from null', 'price = coalesce(price, 1)', ['update 3']],
      ['the key', 'id = id + 10', ['update 1 2 3 11 12 13']],
    ])('announces an update of %s as it should', async (_, assignment, expected) => {
      expect(await said(`UPDATE items SET ${assignment}`)).toEqual(expected);
    });

    it('announces keys that change places together with their values', async () => {
      expect(await said('UPDATE items SET id = 3 - id WHERE id < 3')).toEqual(['update 1 2']);
    });

    it('announces nothing when keys with equal values change places', async () => {
      await run("UPDATE items SET price = 1, doc = '{}'");
      expect(await said('UPDATE items SET id = 3 - id WHERE id < 3')).toEqual([]);
    });

    it('sees a change between rows that share their key', async () => {
      await run('INSERT INTO items VALUES (1, NULL, 5, NULL)');
      expect(await said('UPDATE items SET price = 6 - price WHERE id = 1')).toEqual(['update 1']);
    });

    it('announces inserts and deletes regardless of the columns', async () => {
      expect(await said('INSERT INTO items VALUES (4); DELETE FROM items WHERE id = 4')).toEqual([
        'insert 4',
        'delete 4',
      ]);
    });
  });

  describe('with a list of keys', () => {
    it('sends objects with the names of the columns, and null if there is no value', async () => {
      await given('a integer, "B ""x""" text', { key: ['B "x"', 'a'] });
      expect(await said(`INSERT INTO items VALUES (1, 'one'), (NULL, NULL)`)).toEqual([
        'insert {"B \\"x\\"":"one","a":1} {"B \\"x\\"":null,"a":null}',
      ]);
      expect(await said(`UPDATE items SET a = 2 WHERE a = 1`)).toEqual([
        'update {"B \\"x\\"":"one","a":1} {"B \\"x\\"":"one","a":2}',
      ]);
    });

    it('sends an object for a list of one, too', async () => {
      await given('id integer', { key: ['id'] });
      expect(await said('INSERT INTO items VALUES (1)')).toEqual(['insert {"id":1}']);
    });
  });

  describe('with include', () => {
    beforeEach(() => given('id integer, name text', { include: ['name'] }, [`(1, 'a'), (2, 'b')`]));

    it('sends the columns as they are after the change', async () => {
      expect(await said("INSERT INTO items VALUES (3, 'c')")).toEqual(['insert {"id":3,"name":"c"}']);
      expect(await said("UPDATE items SET name = 'B' WHERE id = 2")).toEqual(['update {"id":2,"name":"B"}']);
      expect(await said('DELETE FROM items WHERE id = 2')).toEqual(['delete {"id":2,"name":"B"}']);
    });

    it('sends the columns as they were for a key that is gone', async () => {
      expect(await said("UPDATE items SET id = 7, name = 'A' WHERE id = 1")).toEqual([
        'update {"id":1,"name":"a"} {"id":7,"name":"A"}',
      ]);
    });

    it('sends what rows that share their key have in common once', async () => {
      await run("INSERT INTO items VALUES (2, 'b')");
      expect(await said("UPDATE items SET name = 'B' WHERE id = 2")).toEqual(['update {"id":2,"name":"B"}']);
      expect(await said("UPDATE items SET id = 3, name = 'c' WHERE id = 2")).toEqual([
        'update {"id":2,"name":"B"} {"id":3,"name":"c"}',
      ]);
    });

    it('combines with the option columns', async () => {
      await given('id integer, name text, price numeric', { include: ['name'], columns: ['price'] }, [`(1, 'a', 1)`]);
      expect(await said("UPDATE items SET name = 'b'")).toEqual([]);
      expect(await said('UPDATE items SET price = 2')).toEqual(['update {"id":1,"name":"b"}']);
    });
  });

  describe('of any name', () => {
    it('reads names of schemas, case, dots and quotes as they are written', async () => {
      await run(`DROP SCHEMA IF EXISTS "Sh.op" CASCADE; CREATE SCHEMA "Sh.op";
        CREATE TABLE "Sh.op"."Or""der's $notify$" ("I d\\" integer)`);
      const table = { schema: 'Sh.op', name: `Or"der's $notify$` };
      const trigger = notifyTrigger({ table, channel: 'item_changes', key: 'I d\\' });
      await run(trigger.up);
      const [change] = await suite.listener.changesOf(() => run(`INSERT INTO "Sh.op"."Or""der's $notify$" VALUES (1)`));
      expect(change).toMatchObject({ table: `Sh.op.Or"der's $notify$`, keys: [1] });
      await run(trigger.down);
      await run('DROP SCHEMA "Sh.op" CASCADE');
    });

    it('accepts names with a line break in them', async () => {
      await given('"i\n  d" integer, "na\nme" text', { key: 'i\n  d', include: ['na\nme'], columns: ['na\nme'] });
      expect(await said("INSERT INTO items VALUES (1, 'a'); UPDATE items SET \"na\nme\" = 'b'")).toEqual([
        'insert {"i\\n  d":1,"na\\nme":"a"}',
        'update {"i\\n  d":1,"na\\nme":"b"}',
      ]);
    });

    it('finds a table in another schema by its qualified name', async () => {
      await run('CREATE SCHEMA shop; CREATE TABLE shop.items (id integer)');
      await run(notifyTrigger({ ...ITEM_TRIGGER, table: 'shop.items' }).up);
      const [change] = await suite.listener.changesOf(() => run('INSERT INTO shop.items VALUES (1)'));
      expect(change?.table).toBe('shop.items');
    });

    it('accepts columns that are named as its own variables', async () => {
      const names = ['key', 'keys', 'part', 'head', 'room', 'tail', 'r', 'o', 'n', 'k', 'c1', 'is_new', 'watched'];
      await given(names.map((name) => `"${name}" integer DEFAULT 1`).join(', '), {
        key: names.slice(0, 7),
        include: names.slice(7),
        columns: names,
        name: 'changed_rows',
      });
      const entry = `{${names.map((name) => `"${name}":1`).join(',')}}`;
      expect(await said('INSERT INTO items DEFAULT VALUES')).toEqual([`insert ${entry}`]);
      expect(await said('UPDATE items SET c1 = 2')).toEqual([`update ${entry.replace('"c1":1', '"c1":2')}`]);
    });
  });

  it('goes on when a column changes its type in the middle of a session', async () => {
    await given('id integer, name text', { columns: ['name'] });
    expect(
      await said(`INSERT INTO items VALUES (1); UPDATE items SET name = 'x'; ALTER TABLE items ALTER id TYPE bigint;
        INSERT INTO items VALUES (2); UPDATE items SET name = 'y'`),
    ).toEqual(['insert 1', 'update 1', 'insert 2', 'update 1 2']);
  });
});
