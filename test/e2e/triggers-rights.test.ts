import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import { Client } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { rejection } from '../support/failures.js';
import { shortly, TableListener } from '../support/table-listener.js';
import { ITEM_TRIGGER } from '../support/trigger-suite.js';

const { up } = notifyTrigger(ITEM_TRIGGER);

// A managed PostgreSQL gives nobody a superuser.
describe('a trigger among roles that are no superusers', () => {
  const suite = appSuite();
  let listener: TableListener;
  let [owner, other, granted, writer]: string[] = [];

  beforeAll(async () => {
    listener = suite.use(await TableListener.start(suite.database.url, 'item_changes'));
    [owner, other, granted, writer] = ['owner', 'other', 'granted', 'writer'].map((r) => `${r}_${suite.database.name}`);
    await query(`CREATE ROLE ${owner}; CREATE ROLE ${other}; CREATE ROLE ${granted}; CREATE ROLE ${writer};
      CREATE SCHEMA shop AUTHORIZATION ${owner}; GRANT USAGE ON SCHEMA shop TO PUBLIC`);
    suite.cleanup(async () => {
      for (const role of [writer, granted, other, owner]) {
        await query(`DROP OWNED BY ${role} CASCADE; DROP ROLE IF EXISTS ${role}`);
      }
    });
  });

  beforeEach(() => as(owner!, 'CREATE TABLE shop.items (id integer, name text)'));
  afterEach(() => query(`DROP TABLE shop.items CASCADE; DROP FUNCTION IF EXISTS shop.items_notify_item_changes()`));

  const query = (sql: string): Promise<unknown> => suite.database.query(sql);
  const options = { ...ITEM_TRIGGER, table: 'shop.items' };
  const inSchema = notifyTrigger(options).up;

  /** Runs SQL in one transaction, as a role that has not logged in itself. */
  async function as(role: string, sql: string): Promise<void> {
    const client = new Client({ connectionString: suite.database.url });
    await client.connect();
    try {
      await client.query(`SET ROLE ${role}; BEGIN`);
      await client.query(sql);
      await client.query('COMMIT');
    } finally {
      await client.end();
    }
  }

  const said = async (role: string, sql: string): Promise<string[]> =>
    shortly(await listener.changesOf(() => as(role, sql)));

  it('is refused to a role that has privileges on the table and does not own it, and leaves nothing behind', async () => {
    await query(`GRANT ALL ON shop.items TO ${granted}; GRANT ALL ON SCHEMA shop TO ${granted}`);
    expect(await rejection(as(granted!, inSchema))).toMatchObject({
      code: '42501',
      message: 'must be owner of relation items',
    });
    expect(await checkTrigger(suite.database, options)).toMatchObject({ state: 'missing' });
  });

  it('is refused to the owner of the table who may not create in its schema, and leaves nothing behind', async () => {
    await query(`CREATE TABLE public.items (id integer); ALTER TABLE public.items OWNER TO ${owner};
      REVOKE CREATE ON SCHEMA public FROM PUBLIC`);
    try {
      expect(await rejection(as(owner!, up))).toMatchObject({
        code: '42501',
        message: 'permission denied for schema public',
      });
      expect(await checkTrigger(suite.database, ITEM_TRIGGER)).toMatchObject({ state: 'missing' });
    } finally {
      await query('DROP TABLE public.items');
    }
  });

  it('is made by an owner who may not execute set_config()', async () => {
    const setConfig = 'EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean)';
    await query(`REVOKE ${setConfig} FROM PUBLIC`);
    try {
      await as(owner!, inSchema);
      expect(await checkTrigger(suite.database, options)).toMatchObject({ state: 'current' });
    } finally {
      await query(`GRANT ${setConfig} TO PUBLIC`);
    }
  });

  it('is made, checked and removed by a role that is a member of the owner', async () => {
    await query(`GRANT ${owner} TO ${granted}`);
    await as(granted!, inSchema);
    await as(granted!, inSchema);
    expect(await checkTrigger(suite.database, options)).toEqual({ state: 'current', problems: [], warnings: [] });
    // Its function belongs to the role that has run up, and the owner of the table may not replace that.
    expect(await rejection(as(owner!, inSchema))).toMatchObject({ code: '42501' });
    await as(granted!, notifyTrigger(options).down);
    expect(await checkTrigger(suite.database, options)).toMatchObject({ state: 'missing' });
    await query(`REVOKE ${owner} FROM ${granted}`);
  });

  it('is current and announces the same after REASSIGN OWNED and the end of its owner', async () => {
    await as(owner!, inSchema);
    await query(`REASSIGN OWNED BY ${owner} TO ${other}; DROP OWNED BY ${owner}; DROP ROLE ${owner}`);
    try {
      expect(await checkTrigger(suite.database, options)).toEqual({ state: 'current', problems: [], warnings: [] });
      expect(await said(other!, "INSERT INTO shop.items VALUES (1, 'a')")).toEqual(['insert 1']);
      await as(other!, inSchema);
      expect(await checkTrigger(suite.database, options)).toMatchObject({ state: 'current' });
    } finally {
      await query(`CREATE ROLE ${owner}; REASSIGN OWNED BY ${other} TO ${owner}`);
    }
  });

  it('announces what a SECURITY DEFINER function writes for a role without rights, whatever its search path', async () => {
    await as(owner!, inSchema);
    await query(`CREATE FUNCTION shop.add(integer) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = shop
      AS 'INSERT INTO items VALUES ($1)'; ALTER FUNCTION shop.add(integer) OWNER TO ${owner}`);
    try {
      expect(await rejection(as(writer!, 'INSERT INTO shop.items VALUES (1)'))).toMatchObject({ code: '42501' });
      expect(await said(writer!, 'SELECT shop.add(1)')).toEqual(['insert 1']);
    } finally {
      await query('DROP FUNCTION shop.add(integer)');
    }
  });

  it('is outdated as a SECURITY DEFINER function, with which roles write that may not notify', async () => {
    await as(owner!, inSchema);
    await query(`GRANT INSERT ON shop.items TO ${writer}; GRANT EXECUTE ON FUNCTION pg_notify(text, text) TO ${owner};
      REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC`);
    try {
      const write = 'INSERT INTO shop.items VALUES (1)';
      expect(await rejection(as(writer!, write))).toMatchObject({ code: '42501' });
      await as(owner!, 'ALTER FUNCTION shop.items_notify_item_changes() SECURITY DEFINER');
      expect(await said(writer!, write)).toEqual(['insert 1']);
      expect(await checkTrigger(suite.database, options)).toMatchObject({
        state: 'outdated',
        problems: [expect.stringMatching(/^Function items_notify_item_changes was changed by hand/)],
      });
    } finally {
      await query(`GRANT EXECUTE ON FUNCTION pg_notify(text, text) TO PUBLIC;
        REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM ${owner}`);
    }
  });
});
