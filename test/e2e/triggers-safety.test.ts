import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { appSuite } from '../support/app/app-suite.js';
import { shortly, TableListener } from '../support/table-listener.js';

const OPTIONS: PgTriggerOptions = { table: 'items', channel: 'item_changes', key: 'id' };
const LEVELS = ['statement', 'row'] as const;

describe('a trigger', () => {
  const suite = appSuite();
  let listener: TableListener;
  let writer: Client;
  const notices: string[] = [];
  const run = (sql: string): Promise<unknown> => writer.query(sql);
  const said = async (sql: string): Promise<string[]> => shortly(await listener.changesOf(() => run(sql)));
  const given = async (columns: string, options: Partial<PgTriggerOptions> = {}): Promise<void> => {
    await suite.database.query(`DROP TABLE IF EXISTS items CASCADE; CREATE TABLE items (${columns})`);
    await suite.database.query(notifyTrigger({ ...OPTIONS, ...options }).up);
  };

  beforeAll(async () => {
    listener = suite.use(await TableListener.start(suite.database.url, 'item_changes'));
    writer = new Client({ connectionString: suite.database.url });
    writer.on('notice', ({ message }) => notices.push(message ?? ''));
    await writer.connect();
    suite.cleanup(() => writer.end());
  });

  beforeEach(() => {
    notices.length = 0;
  });

  it('is made without a notice, the first time too, and keeps back none of other statements', async () => {
    await suite.database.query('DROP TABLE IF EXISTS items CASCADE; CREATE TABLE items (id integer, level text)');
    const { up } = notifyTrigger({ ...OPTIONS, include: ['level'] });
    await run(`BEGIN; ${up} DROP TABLE IF EXISTS others; COMMIT`);
    expect(notices).toEqual(['table "others" does not exist, skipping']);
    notices.length = 0;
    await run(up);
    await run(notifyTrigger({ ...OPTIONS, on: ['insert'] }).up);
    await run(up);
    expect(notices).toEqual([]);
  });

  it('needs room for the rows of a statement in temporary files, beyond work_mem', async () => {
    await given('id integer, name text');
    const write = `INSERT INTO items SELECT generate_series(1, 50000), repeat('x', 100)`;
    await run(`SET work_mem = '64kB'; SET temp_file_limit = '1MB'; CREATE TEMP TABLE plain (LIKE items)`);
    await run(write.replace('items', 'plain'));
    await expect(run(write)).rejects.toMatchObject({ code: '53400' });
    await run('RESET temp_file_limit');
    expect(await said(write)).toEqual(['insert * (50000)']);
    await run('RESET work_mem');
  });

  it('leaves the level of messages as it is, where it shows errors only, too', async () => {
    await given('id integer');
    for (const level of ['error', 'debug1']) {
      await run(`SET client_min_messages = ${level}`);
      await run(notifyTrigger(OPTIONS).up);
      expect((await writer.query('SHOW client_min_messages')).rows).toEqual([{ client_min_messages: level }]);
    }
    await run('RESET client_min_messages');
  });

  it.each(LEVELS)(
    'lets a write succeed when a column that it reads is gone, and announces that rows have changed (level %s)',
    async (level) => {
      await given('id integer, name text', { level });
      await run('INSERT INTO items VALUES (1); ALTER TABLE items RENAME id TO number');
      expect(await said("UPDATE items SET name = 'x'")).toEqual(['update *']);
      expect(await said('INSERT INTO items VALUES (2)')).toEqual(['insert *']);
      expect(notices).toContain(
        'Trigger items_notify_item_changes_insert cannot tell which rows have changed (SQLSTATE 42703), and says only that some have.',
      );
      expect((await checkTrigger(suite.database, { ...OPTIONS, level })).problems).toEqual([
        expect.stringContaining('Table items has no column id'),
      ]);
    },
  );

  it.each(LEVELS)(
    'lets a write succeed, and what else its transaction sends, when a key cannot be made JSON (level %s)',
    async (level) => {
      await suite.database.query(`CREATE TYPE odd AS ENUM ('a');
      CREATE FUNCTION odd_json(odd) RETURNS json LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
      CREATE CAST (odd AS json) WITH FUNCTION odd_json(odd)`);
      try {
        await given('id odd, plain integer', { level });
        await suite.database.query(notifyTrigger({ ...OPTIONS, key: 'plain', name: 'plain' }).up);
        expect(await said("BEGIN; INSERT INTO items VALUES ('a', 1); DELETE FROM items; COMMIT")).toEqual(
          expect.arrayContaining(['insert *', 'insert 1', 'delete *', 'delete 1']),
        );
      } finally {
        await suite.database.query('DROP TYPE odd CASCADE');
      }
    },
  );

  it('lets a write succeed when PostgreSQL cannot take apart the JSON of a key', async () => {
    await given('id json');
    expect(await said(`INSERT INTO items VALUES ('"\\u0000"'), ('1e9999')`)).toEqual([
      expect.stringMatching(/^insert /),
    ]);
  });

  it('lets a role write that has rights on the table alone', async () => {
    await given('id integer, name text', { columns: ['name'] });
    const role = `writer_of_${suite.database.name}`;
    await suite.database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x';
      REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO ${role};
      REVOKE EXECUTE ON FUNCTION items_notify_item_changes FROM PUBLIC;
      GRANT INSERT, SELECT (id), UPDATE (name), DELETE ON items TO ${role}`);
    try {
      expect(
        await said(`SET ROLE ${role}; INSERT INTO items VALUES (1); UPDATE items SET name = 'x' WHERE id = 1;
          DELETE FROM items WHERE id = 1; RESET ROLE`),
      ).toEqual(['insert 1', 'update 1', 'delete 1']);
      expect(notices).toEqual([]);
      // Who may only connect can ask for the check, too.
      const { state } = await checkTrigger(
        async (text, values) => {
          await run(`SET ROLE ${role}`);
          const answer = await writer.query(text, values);
          await run('RESET ROLE');
          return answer;
        },
        { ...OPTIONS, columns: ['name'] },
      );
      expect(state).toBe('current');
    } finally {
      await suite.database.query(
        `RESET ROLE; DROP OWNED BY ${role}; DROP ROLE ${role}; GRANT ALL ON SCHEMA public TO PUBLIC`,
      );
    }
  });

  it.each([
    'to_char(timestamp, text)',
    'clock_timestamp()',
    'timezone(text, timestamptz)',
    'octet_length(text)',
    'cardinality(anyarray)',
    'to_json(anyelement)',
  ])('lets a role write that may not run %s', async (name) => {
    await given('id integer');
    const role = `hardened_of_${suite.database.name}`;
    await suite.database.query(`CREATE ROLE ${role}; GRANT INSERT, TRUNCATE ON items TO ${role};
      REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC`);
    try {
      const before = Date.now();
      const changes = await listener.changesOf(() => run(`SET ROLE ${role}; INSERT INTO items VALUES (1); RESET ROLE`));
      expect(changes).toEqual([{ op: 'insert', table: 'items', keys: null, at: expect.stringMatching(/^[^ ]+Z$/) }]);
      expect(Math.abs(Date.parse(changes[0]!.at) - before)).toBeLessThan(60_000);
      expect(notices).toEqual([expect.stringContaining('(SQLSTATE 42501)')]);
    } finally {
      await run('RESET ROLE');
      await suite.database.query(
        `GRANT EXECUTE ON FUNCTION ${name} TO PUBLIC; DROP OWNED BY ${role}; DROP ROLE ${role}`,
      );
    }
  });

  it('fails the write of a role that may not run pg_notify, while the check finds nothing wrong with the trigger', async () => {
    await given('id integer');
    const role = `muted_of_${suite.database.name}`;
    await suite.database.query(`CREATE ROLE ${role}; GRANT INSERT ON items TO ${role};
      REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC`);
    try {
      await expect(run(`SET ROLE ${role}; INSERT INTO items VALUES (1)`)).rejects.toThrow(
        'permission denied for function pg_notify',
      );
      expect(notices).toEqual([expect.stringContaining('(SQLSTATE 42501)')]);
      expect(await checkTrigger(suite.database, OPTIONS)).toEqual({ state: 'current', problems: [], warnings: [] });
    } finally {
      await run('RESET ROLE');
      await suite.database.query(
        `GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO PUBLIC; DROP OWNED BY ${role}; DROP ROLE ${role}`,
      );
    }
  });

  it.each(LEVELS)('calls no function that somebody else has put into the search path (level %s)', async (level) => {
    await suite.database.query(`DROP SCHEMA IF EXISTS evil CASCADE; CREATE SCHEMA evil;
      CREATE FUNCTION evil.pg_notify(text, text) RETURNS void LANGUAGE sql AS $$ SELECT pg_catalog.pg_notify('item_changes', 'evil') $$;
      CREATE FUNCTION evil.to_json(anyelement) RETURNS json LANGUAGE sql AS $$ SELECT '"evil"'::json $$;
      CREATE FUNCTION evil.octet_length(text) RETURNS integer LANGUAGE sql AS $$ SELECT 0 $$;
      CREATE FUNCTION evil.cat(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
      CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.cat);
      CREATE TABLE evil.changed_rows (id integer); CREATE TABLE evil.old_rows (id integer);`);
    await given('id integer, name text', { level, columns: ['name'] });
    await run(`SET search_path = evil, pg_catalog, public; CREATE TEMP TABLE IF NOT EXISTS changed_rows (id integer);
      CREATE TEMP TABLE IF NOT EXISTS unnest (id integer);
      CREATE DOMAIN pg_temp.text AS varchar CHECK (VALUE = 'evil'); CREATE DOMAIN pg_temp.record AS varchar`);
    try {
      expect(await said(`INSERT INTO public.items VALUES (1); UPDATE public.items SET name = 'x'`)).toEqual([
        'insert 1',
        'update 1',
      ]);
    } finally {
      await run(
        'RESET search_path; DROP TABLE pg_temp.changed_rows, pg_temp.unnest; DROP DOMAIN pg_temp.text, pg_temp.record',
      );
    }
  });

  it.each(LEVELS)(
    'announces keys with standard_conforming_strings off, for the migration and for the writer (level %s)',
    async (level) => {
      const odd = `it's a \\'"table"\\`;
      const quoted = `"${odd.replaceAll('"', '""')}"`;
      const options: PgTriggerOptions = { table: { name: odd }, channel: `ch'an\\nel`, key: [odd, 'id'], level };
      await listener.listen(`ch'an\\nel`);
      await run('SET standard_conforming_strings = off; SET backslash_quote = off');
      try {
        await run(`CREATE TABLE ${quoted} (${quoted} text, id integer)`);
        await run(notifyTrigger(options).up);
        const [change] = await listener.changesOf(() => run(`INSERT INTO ${quoted} VALUES ('a', 1)`));
        expect(change).toMatchObject({ table: odd, keys: [{ [odd]: 'a', id: 1 }] });
        expect((await checkTrigger(writer, options)).state).toBe('current');
        await run(notifyTrigger(options).down);
      } finally {
        await run(`RESET ALL; DROP TABLE ${quoted}`);
      }
    },
  );

  it('sends nothing for the writes of a session that is a replica, in which triggers do not fire', async () => {
    await given('id integer');
    expect(await said('SET session_replication_role = replica; INSERT INTO items VALUES (1); RESET ALL')).toEqual([]);
    await run('ALTER TABLE items ENABLE ALWAYS TRIGGER items_notify_item_changes_insert');
    expect(await said('SET session_replication_role = replica; INSERT INTO items VALUES (2); RESET ALL')).toEqual([
      'insert 2',
    ]);
  });
});

describe.each([
  ['LATIN1', 'ü'],
  ['SQL_ASCII', 'ü'],
  ['EUC_JP', '日'],
])('a trigger in a database of the encoding %s', (encoding, letter) => {
  const suite = appSuite({ encoding });
  let listener: TableListener;
  let writer: Client;

  beforeAll(async () => {
    listener = suite.use(await TableListener.start(suite.database.url, 'item_changes'));
    writer = new Client({ connectionString: suite.database.url });
    await writer.connect();
    suite.cleanup(() => writer.end());
  });

  it.each(LEVELS)('keeps to the limit in bytes, and announces every key (level %s)', async (level) => {
    await writer.query(
      `DROP TABLE IF EXISTS "tä${letter}"; CREATE TABLE "tä${letter}" (id text)`.replaceAll('ä', letter),
    );
    const table = `t${letter}${letter}`;
    const options: PgTriggerOptions = { table, channel: 'item_changes', key: 'id', level };
    await writer.query(notifyTrigger(options).up);
    expect((await checkTrigger(writer, options)).state).toBe('current');
    const changes = await listener.changesOf<string>(() =>
      writer.query(`INSERT INTO "${table}" SELECT repeat($1, n) FROM generate_series(1, 120) AS n`, [letter]),
    );
    expect(changes[0]?.table).toBe(table);
    const keys = changes.flatMap((change) => change.keys ?? []);
    expect(keys.toSorted()).toEqual(Array.from({ length: 120 }, (_, n) => letter.repeat(n + 1)));
    const long = await listener.changesOf(() =>
      writer.query(`INSERT INTO "${table}" VALUES (repeat($1, 7999))`, [letter]),
    );
    expect(shortly(long)).toEqual(['insert * (1)']);
  });
});
