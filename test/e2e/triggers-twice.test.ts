import { beforeEach, describe, expect, it } from '@jest/globals';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { ITEM_TRIGGER, triggerSuite } from '../support/trigger-suite.js';

describe('a trigger whose changes another one announces as well', () => {
  const suite = triggerSuite();
  const { run, said } = suite;

  /** Runs what the warning says, and expects it to help. */
  const expectRemedy = async (options: PgTriggerOptions, announced: string): Promise<void> => {
    const { state, warnings } = await checkTrigger(suite.database, options);
    expect(state).toBe('current');
    const twice = warnings.filter((warning) => warning.startsWith('Announced twice: '));
    expect(twice).toEqual([expect.stringContaining(`Announced twice: ${announced}`)]);
    await run(/Drop them: (.*)$/.exec(twice[0]!)![1]!);
    expect((await checkTrigger(suite.database, options)).warnings.join('\n')).not.toContain('Announced twice');
  };

  beforeEach(async () => {
    await run(`DROP TABLE IF EXISTS items, items_low, items_high CASCADE;
      CREATE TABLE items (id integer, name text) PARTITION BY RANGE (id);
      CREATE TABLE items_low (id integer, name text);
      CREATE TABLE items_high PARTITION OF items FOR VALUES FROM (10) TO (100) PARTITION BY RANGE (id);
      CREATE TABLE items_mid PARTITION OF items_high FOR VALUES FROM (10) TO (50)`);
  });

  const attach = (): Promise<unknown> =>
    run('ALTER TABLE items ATTACH PARTITION items_low FOR VALUES FROM (0) TO (10)');

  it('is warned of for a partition that was attached with a row trigger of its own', async () => {
    const options: PgTriggerOptions = { ...ITEM_TRIGGER, level: 'row' };
    await run(notifyTrigger({ ...options, table: 'items_low' }).up);
    await run(notifyTrigger(options).up);
    await attach();
    expect(await said('INSERT INTO items VALUES (1), (11)')).toEqual(['insert 1', 'insert 1', 'insert 11']);
    await expectRemedy(options, 'INSERT, UPDATE, DELETE of items_low, which has');
    expect(await said('INSERT INTO items VALUES (2)')).toEqual(['insert 2']);
  });

  it('is warned of for a row trigger on a partition of a table whose trigger is of level statement', async () => {
    await attach();
    await run(notifyTrigger({ ...ITEM_TRIGGER, on: ['insert', 'delete'] }).up);
    await run(notifyTrigger({ ...ITEM_TRIGGER, table: 'items_high', level: 'row' }).up);
    expect(await said('INSERT INTO items VALUES (1), (11)')).toEqual(['insert 11', 'insert 1 11']);
    await expectRemedy({ ...ITEM_TRIGGER, on: ['insert', 'delete'] }, 'INSERT, DELETE of items_high, which has');
    expect(await said('INSERT INTO items VALUES (2), (12)')).toEqual(['insert 2 12']);
  });

  it('is warned of for a statement trigger on a partition of a table whose trigger is of level row', async () => {
    await attach();
    await run(notifyTrigger({ ...ITEM_TRIGGER, level: 'row' }).up);
    await run(notifyTrigger({ ...ITEM_TRIGGER, table: 'items_mid', on: ['update'] }).up);
    await run('INSERT INTO items VALUES (11)');
    expect(await said("UPDATE items_mid SET name = 'x'")).toEqual(['update 11', 'update 11']);
    await expectRemedy({ ...ITEM_TRIGGER, level: 'row' }, 'UPDATE of items_mid, which has');
    expect(await said("UPDATE items_mid SET name = 'x'")).toEqual(['update 11']);
  });

  it('is warned of for a row trigger on a table that inherits', async () => {
    await run('CREATE TABLE parent (id integer, name text); CREATE TABLE heir () INHERITS (parent)');
    try {
      const options: PgTriggerOptions = { ...ITEM_TRIGGER, table: 'parent' };
      await run(notifyTrigger(options).up);
      await run(notifyTrigger({ ...options, table: 'heir', level: 'row' }).up);
      await run('INSERT INTO heir VALUES (1)');
      expect(await said('DELETE FROM parent')).toEqual(['delete 1', 'delete 1']);
      await expectRemedy(options, 'UPDATE, DELETE of heir, which has');
    } finally {
      await run('DROP TABLE heir, parent');
    }
  });

  it('is warned of for triggers that were left behind under another name', async () => {
    const { on, ...options }: PgTriggerOptions = { ...ITEM_TRIGGER, table: 'items_low', on: ['insert'] };
    await run(notifyTrigger({ ...options, name: 'old "name"', on }).up);
    await run(notifyTrigger(options).up);
    expect(await said('INSERT INTO items_low VALUES (1)')).toEqual(['insert 1', 'insert 1']);
    await expectRemedy(options, 'INSERT of items_low, which has other triggers for this channel');
    expect(await said('INSERT INTO items_low VALUES (2)')).toEqual(['insert 2']);
  });

  it.each<readonly [string, PgTriggerOptions]>([
    ['another channel', { ...ITEM_TRIGGER, channel: 'others' }],
    ['other operations', { ...ITEM_TRIGGER, on: ['delete'] }],
    ['other columns', { ...ITEM_TRIGGER, key: 'name', on: ['insert'] }],
  ])('is not warned of for a trigger of the same table that is for %s', async (_, other) => {
    const options: PgTriggerOptions = { ...ITEM_TRIGGER, table: 'items_low', on: ['insert'] };
    await run(notifyTrigger({ ...other, table: 'items_low', name: 'other' }).up);
    await run(notifyTrigger(options).up);
    expect((await checkTrigger(suite.database, options)).warnings).toEqual([]);
  });

  it('is not warned of for statement triggers of partitions, nor for one that is switched off', async () => {
    await attach();
    await run(notifyTrigger(ITEM_TRIGGER).up);
    for (const table of ['items_high', 'items_mid']) await run(notifyTrigger({ ...ITEM_TRIGGER, table }).up);
    await run(notifyTrigger({ ...ITEM_TRIGGER, table: 'items_low', level: 'row' }).up);
    await run('ALTER TABLE items_low DISABLE TRIGGER ALL');
    expect(await said('INSERT INTO items VALUES (1), (11); TRUNCATE items')).toEqual([
      'insert 1 11',
      'truncate *', // It fires the triggers of partitions, as nothing else does.
      'truncate *',
      'truncate *',
    ]);
    const { warnings } = await checkTrigger(suite.database, ITEM_TRIGGER);
    expect(warnings).toEqual([expect.stringMatching(/^Not announced: .* straight into items_low\./)]);
  });

  it('is warned of for five tables by name, and the others are counted', async () => {
    const options: PgTriggerOptions = { ...ITEM_TRIGGER, level: 'row', on: ['insert'] };
    for (let n = 50; n < 57; n++) {
      await run(`CREATE TABLE items_${n} PARTITION OF items_high FOR VALUES FROM (${n}) TO (${n + 1})`);
      await run(notifyTrigger({ ...options, table: `items_${n}` }).up);
    }
    await run(notifyTrigger(options).up);
    const { warnings } = await checkTrigger(suite.database, options);
    expect(warnings).toHaveLength(6);
    expect(warnings[4]).toContain('INSERT of items_54, which has');
    expect(warnings[5]).toBe('Announced twice: the changes of 2 more tables, in the same way.');
  });
});
