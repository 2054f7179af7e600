import { beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { ITEM_TRIGGER, triggerSuite } from '../support/trigger-suite.js';
import { itFrom } from '../support/version-gate.js';

describe('the check of a trigger, by what its table is', () => {
  const suite = triggerSuite();
  const { run, said } = suite;

  beforeEach(() => run('DROP TABLE IF EXISTS items CASCADE; CREATE TABLE items (id integer, name text)'));

  for (const level of ['statement', 'row'] as const)
    itFrom(18, `reports a virtual column and its effect at level ${level}`, async () => {
      await run('ALTER TABLE items ADD twice integer GENERATED ALWAYS AS (id * 2) VIRTUAL');
      const options: PgTriggerOptions = { ...ITEM_TRIGGER, key: 'twice', level };
      await run(notifyTrigger(options).up);
      const byRow = level === 'row';
      expect(await said('INSERT INTO items VALUES (1)')).toEqual([byRow ? 'insert null' : 'insert *']);
      const effect = byRow
        ? 'row triggers see as null'
        : 'no statement trigger can read: changes are announced without keys';
      expect(await checkTrigger(suite.database, options)).toEqual({
        state: 'outdated',
        problems: [`Column twice is a virtual generated one, which ${effect}. Name a stored column, and run up.`],
        warnings: [],
      });
    });

  it.each(['view', 'materialized view'])('reports that a %s cannot have a trigger', async (kind) => {
    await run(`CREATE ${kind} some_items AS SELECT id FROM items`);
    const options: PgTriggerOptions = { ...ITEM_TRIGGER, table: 'some_items' };
    await expect(run(notifyTrigger(options).up)).rejects.toThrow(/view|cannot have triggers/);
    expect(await checkTrigger(suite.database, options)).toEqual({
      state: 'missing',
      problems: [
        `some_items is a ${kind}, which cannot have this trigger. Give the option table a table that the ${kind} reads.`,
      ],
      warnings: [],
    });
  });

  it('finds the temporary table of its own session', async () => {
    const client = new Client({ connectionString: suite.database.url });
    await client.connect();
    try {
      const options: PgTriggerOptions = { ...ITEM_TRIGGER, table: { schema: 'pg_temp', name: 'passing' } };
      await client.query('CREATE TEMP TABLE passing (id integer)');
      expect((await checkTrigger(client, options)).problems).toEqual([expect.stringContaining('has no trigger')]);
      await client.query(notifyTrigger(options).up);
      expect(await checkTrigger(client, options)).toEqual({ state: 'current', problems: [], warnings: [] });
      expect((await checkTrigger(suite.database, options)).problems).toEqual([
        expect.stringContaining('There is no table'),
      ]);
    } finally {
      await client.end();
    }
  });

  it('warns of a table that was given another name, whose triggers call the function of the new one', async () => {
    const { up, down } = notifyTrigger({ ...ITEM_TRIGGER, on: ['insert'] });
    const options: PgTriggerOptions = { ...ITEM_TRIGGER, on: ['insert'] };
    await run(`DROP TABLE IF EXISTS "Old items"; ${up}`);
    await run(`ALTER TABLE items RENAME TO "Old items"; CREATE TABLE items (id integer); ${up}`);
    expect(await said('INSERT INTO "Old items" VALUES (1)')).toEqual(['insert 1']);
    const { state, warnings } = await checkTrigger(suite.database, options);
    expect(state).toBe('current');
    expect(warnings).toEqual([
      'Trigger items_notify_item_changes_insert of "Old items" calls the function items_notify_item_changes, too, and announces changes of "Old items" as those of items. Drop it: DROP TRIGGER "items_notify_item_changes_insert" ON "Old items";',
    ]);
    await run(/DROP TRIGGER .*;$/.exec(warnings[0]!)![0]);
    expect(await checkTrigger(suite.database, options)).toEqual({ state: 'current', problems: [], warnings: [] });
    await run(`${down}; DROP TABLE "Old items"`);
  });

  it('names a partitioned table that was given another name, not its partitions, whose triggers go with it', async () => {
    const options: PgTriggerOptions = { ...ITEM_TRIGGER, level: 'row', on: ['insert'] };
    const { up } = notifyTrigger(options);
    await run(`DROP TABLE items; CREATE TABLE items (id integer) PARTITION BY RANGE (id);
      CREATE TABLE items_low PARTITION OF items FOR VALUES FROM (0) TO (10)`);
    await run(`${up}; ALTER TABLE items RENAME TO old_items; CREATE TABLE items (id integer); ${up}`);
    expect((await checkTrigger(suite.database, options)).warnings).toEqual([
      expect.stringMatching(/^Trigger items_notify_item_changes_insert of old_items calls/),
    ]);
    await run('DROP TABLE old_items');
  });

  it('ignores a function of its name that takes arguments', async () => {
    await run(`${notifyTrigger(ITEM_TRIGGER).up}; CREATE FUNCTION items_notify_item_changes(integer) RETURNS integer
      LANGUAGE sql AS 'SELECT 1'`);
    expect(await checkTrigger(suite.database, ITEM_TRIGGER)).toEqual({ state: 'current', problems: [], warnings: [] });
    await run('DROP FUNCTION items_notify_item_changes(integer)');
  });
});
