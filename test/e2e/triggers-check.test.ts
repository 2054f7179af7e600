import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { PgNotifyError } from 'nest-pg-notify';
import type { PgExecutor } from 'nest-pg-notify';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerCheck, PgTriggerOptions } from 'nest-pg-notify/triggers';
import { appSuite } from '../support/app/app-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';
import { shortly, TableListener } from '../support/table-listener.js';

const OPTIONS: PgTriggerOptions = { table: 'items', channel: 'it"em\\s', key: 'id', columns: ['name'] };
const NAME = 'items_notify_it"em\\s';
const QUOTED = '"items_notify_it""em\\s"';

describe('the life of a trigger', () => {
  const suite = appSuite();
  let listener: TableListener;
  const { up, down } = notifyTrigger(OPTIONS);
  const run = (sql: string): ReturnType<TestDatabase['query']> => suite.database.query(sql);
  const check = (options: Partial<PgTriggerOptions> = {}): Promise<PgTriggerCheck> =>
    checkTrigger(suite.database, { ...OPTIONS, ...options });
  const objects = async (): Promise<unknown[]> => {
    const { rows } = await suite.database
      .query(`SELECT tgname::text AS name FROM pg_trigger WHERE tgrelid = 'items'::regclass
      UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1`);
    return rows.map(({ name }) => name as unknown);
  };

  beforeAll(async () => {
    listener = suite.use(await TableListener.start(suite.database.url, 'it"em\\s'));
  });

  beforeEach(async () => {
    await run('DROP TABLE IF EXISTS items CASCADE; CREATE TABLE items (id integer, name text)');
    await run(down);
  });

  it('is missing at first, and current after up, however often that runs', async () => {
    expect(await check()).toEqual({
      state: 'missing',
      problems: [`Table items has no trigger ${NAME}. Run the SQL that notifyTrigger() returns as up, in a migration.`],
      warnings: [],
    });
    await run(up);
    const after = await objects();
    await run(`BEGIN; ${up} COMMIT`);
    await run(up);
    expect(await objects()).toEqual(after);
    expect(await check()).toEqual({ state: 'current', problems: [], warnings: [] });
    const changes = await listener.changesOf(() => run('INSERT INTO items VALUES (1)'));
    expect(shortly(changes)).toEqual(['insert 1']);
  });

  it('is current after two ups at once, each with its lock on the table before any other', async () => {
    await run(up);
    // Holds both back where they replace the function: then each has what it locks before.
    const holder = new Client({ connectionString: suite.database.url });
    await holder.connect();
    suite.cleanup(() => holder.end());
    await holder.query('BEGIN');
    await holder.query('SELECT FROM pg_proc WHERE proname = $1 FOR UPDATE', [NAME]);
    const ups = Promise.allSettled([run(up), run(up)]);
    await eventually(
      () => run(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = '${suite.database.name}'`),
      ({ rowCount }) => rowCount === 2,
    );
    await holder.query('COMMIT');
    expect((await ups).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(await check()).toEqual({ state: 'current', problems: [], warnings: [] });
  });

  it('is gone after down, however often that runs, and without its table', async () => {
    await run(up);
    await run(down);
    expect(await objects()).toEqual([]);
    await run(down);
    expect((await check()).state).toBe('missing');
    await run('DROP TABLE items');
    await run(down);
    expect(await check()).toMatchObject({
      state: 'missing',
      problems: [expect.stringContaining('There is no table items.')],
    });
  });

  it('is outdated when the options have changed, until up runs with them', async () => {
    await run(up);
    const options = { level: 'row', on: ['delete'], columns: undefined } as unknown as Partial<PgTriggerOptions>;
    const { state, problems } = await check(options);
    expect(state).toBe('outdated');
    expect(problems).toEqual([
      expect.stringContaining(`Function ${NAME} is of another version, or of other options.`),
      expect.stringContaining(`Trigger ${NAME}_delete is of another version`),
      ...['insert', 'truncate', 'update'].map((operation) =>
        expect.stringMatching(new RegExp(`_${operation} calls the function .* Run the SQL .* as up`)),
      ),
    ]);
    await run(notifyTrigger({ ...OPTIONS, ...options }).up);
    expect(await objects()).toEqual([NAME, `${NAME}_delete`]);
    expect((await check(options)).state).toBe('current');
    expect((await check()).state).toBe('outdated');
  });

  it.each([
    [
      'a function that was edited',
      `CREATE OR REPLACE FUNCTION ${QUOTED}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
      /was changed by hand/,
    ],
    ['a search path that was reset', `ALTER FUNCTION ${QUOTED}() RESET search_path`, /was changed by hand/],
    ['another right to run', `ALTER FUNCTION ${QUOTED}() SECURITY DEFINER`, /was changed by hand/],
    ['a trigger that was dropped', `DROP TRIGGER "items_notify_it""em\\s_update" ON items`, /_update is missing/],
    [
      'a trigger that was made by hand',
      `DROP TRIGGER "items_notify_it""em\\s_truncate" ON items;
       CREATE TRIGGER "items_notify_it""em\\s_truncate" AFTER TRUNCATE ON items EXECUTE FUNCTION ${QUOTED}()`,
      /_truncate is of another version, or was made by hand/,
    ],
    [
      'a trigger that was renamed',
      `ALTER TRIGGER "items_notify_it""em\\s_insert" ON items RENAME TO mine`,
      /_insert is missing[^]*mine calls the function .* Drop it: DROP TRIGGER "mine" ON "public"\."items";/,
    ],
    [
      'a function that is gone with its triggers',
      `DROP FUNCTION ${QUOTED}() CASCADE; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE TRIGGER "items_notify_it""em\\s_insert" AFTER INSERT ON items EXECUTE FUNCTION f()`,
      /Function .* is missing/,
    ],
    ['a key that was renamed', 'ALTER TABLE items RENAME id TO number', /Table items has no column id/],
    ['a column that was dropped', 'ALTER TABLE items DROP name', /Table items has no column name/],
  ])('is outdated for %s', async (_, sql, problem) => {
    await run(up);
    await run(sql);
    const { state, problems } = await check();
    expect(state).toBe('outdated');
    expect(problems.join('\n')).toMatch(problem);
    await run('DROP FUNCTION IF EXISTS f() CASCADE');
  });

  it('is current again once a renamed trigger is dropped, as the check says, and up has run', async () => {
    await run(up);
    await run(`ALTER TRIGGER "items_notify_it""em\\s_update" ON items RENAME TO "mi""ne"`);
    await run(up);
    const { problems } = await check();
    expect(problems).toHaveLength(1);
    await run(/DROP TRIGGER .*;$/.exec(problems[0]!)![0]);
    expect((await check()).state).toBe('current');
    await run(down);
    expect(await objects()).toEqual([]);
  });

  // All of these keep the comment of the trigger.
  it.each([
    [
      'a condition',
      '_update',
      'AFTER UPDATE ON items REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows',
      'WHEN (false)',
      '',
    ],
    ['another function', '_truncate', 'AFTER TRUNCATE ON items', '', 'f()'],
    ['a time before the write, which loses the row', '_insert', 'BEFORE INSERT ON items FOR EACH ROW', '', ''],
    ['another operation', '_truncate', 'AFTER DELETE ON items', '', ''],
    ['no transition table', '_insert', 'AFTER INSERT ON items', '', ''],
    ['other names of its transition tables', '_delete', 'AFTER DELETE ON items REFERENCING OLD TABLE AS o', '', ''],
    ['a list of columns', '_update', 'AFTER UPDATE OF name ON items', '', ''],
    ['an argument', '_truncate', 'AFTER TRUNCATE ON items', '', `${QUOTED}('x')`],
  ])('is outdated for a trigger that was replaced by one with %s', async (_, suffix, event, condition, call) => {
    await run(`CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; ${up}`);
    await run(`CREATE OR REPLACE TRIGGER "items_notify_it""em\\s${suffix}" ${event} ${condition}
      EXECUTE FUNCTION ${call || `${QUOTED}()`}`);
    expect(await check()).toMatchObject({
      state: 'outdated',
      problems: [expect.stringContaining(`Trigger ${NAME}${suffix} was changed by hand.`)],
    });
    await run(`${up}; DROP FUNCTION f`);
    expect((await check()).state).toBe('current');
  });

  it.each(['', 'WHEN (false)', 'WHEN (OLD.name <> NEW.name)'])(
    'is outdated for a trigger of level row and columns that was replaced by one with the condition %p',
    async (condition) => {
      const options: PgTriggerOptions = { ...OPTIONS, level: 'row', columns: ['Ab', 'name', 'é'] };
      await run(`ALTER TABLE items ADD "é" text, ADD "Ab" text; ${notifyTrigger(options).up}`);
      expect((await check(options)).state).toBe('current');
      await run(`CREATE OR REPLACE TRIGGER "items_notify_it""em\\s_update" AFTER UPDATE ON items FOR EACH ROW ${condition}
        EXECUTE FUNCTION ${QUOTED}()`);
      expect((await check(options)).problems).toEqual([expect.stringContaining('_update was changed by hand.')]);
    },
  );

  it.each([
    'DISABLE TRIGGER ALL',
    'DISABLE TRIGGER "items_notify_it""em\\s_insert"',
    'ENABLE REPLICA TRIGGER "items_notify_it""em\\s_insert"',
  ])('is disabled after %s, until up runs', async (action) => {
    await run(up);
    await run(`ALTER TABLE items ${action}`);
    const { state, problems } = await check();
    expect(state).toBe('disabled');
    expect(problems[problems.length - 1]).toMatch(/is switched off\. Run ALTER TABLE/);
    await run(up);
    expect((await check()).state).toBe('current');
  });

  it('is current with triggers that fire always', async () => {
    await run(`${up}; ALTER TABLE items ENABLE ALWAYS TRIGGER "items_notify_it""em\\s_insert"`);
    expect((await check()).state).toBe('current');
  });

  it('refuses a table that lacks a column, at up', async () => {
    await expect(run(notifyTrigger({ ...OPTIONS, key: 'nr' }).up)).rejects.toThrow('column "nr" does not exist');
    expect(await objects()).toEqual([]);
  });

  it('stands beside another trigger of the same table', async () => {
    await run(up);
    await run(notifyTrigger({ ...OPTIONS, channel: 'others' }).up);
    expect((await check()).state).toBe('current');
    expect((await check({ channel: 'others' })).state).toBe('current');
    await run(notifyTrigger({ ...OPTIONS, channel: 'others' }).down);
    expect((await check()).state).toBe('current');
  });

  it.each<readonly [string, (query: TestDatabase['query']) => PgExecutor]>([
    ['an object that answers as pg does', (query) => ({ query })],
    ['a function', (query) => query],
    ['an ORM that answers with the rows', (query) => async (text, values) => (await query(text, values)).rows],
    [
      'an ORM that answers with rows and metadata',
      (query) => async (text, values) => [(await query(text, values)).rows, {}],
    ],
  ])('can be checked through %s', async (_, executor) => {
    await run(up);
    const { state } = await checkTrigger(
      executor((text, values) => suite.database.query(text, values)),
      OPTIONS,
    );
    expect(state).toBe('current');
  });

  it.each([[undefined], ['rows'], [{ rows: 3 }], [[1]], [[]], [[{ count: 1 }]]])(
    'refuses the answer %p of an executor',
    async (answer) => {
      await expect(checkTrigger(() => Promise.resolve(answer), OPTIONS)).rejects.toThrow(
        /^The executor has answered .* Pass one that returns/,
      );
    },
  );

  it('refuses what is not an executor, and passes on what an executor rejects with', async () => {
    await expect(checkTrigger({} as PgExecutor, OPTIONS)).rejects.toBeInstanceOf(PgNotifyError);
    await expect(checkTrigger(() => Promise.reject(new Error('gone')), OPTIONS)).rejects.toThrow('gone');
  });
});
