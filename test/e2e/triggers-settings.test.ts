import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { appSuite } from '../support/app/app-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { shortly, TableListener } from '../support/table-listener.js';

const CHANNEL = 'it"em\\s';

const TRIGGERS: readonly PgTriggerOptions[] = (['statement', 'row'] as const).map((level) => ({
  table: { schema: 'shop', name: `Items ${level}` },
  channel: CHANNEL,
  key: ['id', 'Key'],
  columns: ['name'],
  include: ['name'],
  level,
}));

const WRITES = TRIGGERS.map(({ level }) => `"shop"."Items ${level}"`).map(
  (table) => `INSERT INTO ${table} VALUES (1, 'k', 'a'); UPDATE ${table} SET "Key" = 'l'; DELETE FROM ${table}`,
);

/** Settings that are neither on nor off nor one of a few words, as names and values. */
const OTHER_SETTINGS: readonly (readonly [string, string])[] = [
  ['search_path', 'evil, pg_catalog, public'],
  ['search_path', '"$user"'],
  ['search_path', ''],
  ['DateStyle', 'SQL, DMY'],
  ['TimeZone', 'Asia/Kathmandu'],
  ['extra_float_digits', '-15'],
  ['client_encoding', 'LATIN1'],
  ['client_encoding', 'SQL_ASCII'],
  ['lc_messages', 'C'],
  ['default_text_search_config', 'pg_catalog.german'],
  ['plpgsql.extra_errors', 'all'],
  ['plpgsql.extra_warnings', 'all'],
  ['plpgsql.variable_conflict', 'use_variable'],
  ['plpgsql.print_strict_params', 'on'],
  ['plpgsql.check_asserts', 'off'],
];

/** Every other value of every setting that a session may change and that has few; not of logging, not of one transaction. */
const SETTINGS_WITH_FEW_VALUES = `
  SELECT name, value FROM pg_settings CROSS JOIN LATERAL
    unnest(CASE vartype WHEN 'bool' THEN ARRAY['on', 'off'] ELSE enumvals END) AS value
  WHERE context IN ('user', 'superuser') AND vartype IN ('bool', 'enum') AND value <> setting
    AND name !~ '^(log|debug|transaction)_' AND name <> 'default_transaction_read_only' ORDER BY 1, 2`;

describe('a generated trigger, in sessions of all settings', () => {
  const suite = appSuite();
  let client: Client;
  let settings: readonly (readonly [string, string])[];

  /** Does the work once with each setting. */
  const withEach = async (work: (setting: string) => Promise<void>): Promise<void> => {
    for (const [name, value] of settings) {
      await client.query('SELECT pg_catalog.set_config($1, $2, false)', [name, value]);
      await work(`${name} = ${value}`);
      await client.query('RESET ALL');
    }
  };
  const runUp = (): Promise<unknown> => client.query(TRIGGERS.map((options) => notifyTrigger(options).up).join(''));
  const states = async (executor: Client | TestDatabase): Promise<readonly string[]> =>
    (await Promise.all(TRIGGERS.map((options) => checkTrigger(executor, options)))).map(({ state }) => state);

  beforeAll(async () => {
    const { database } = suite;
    await database.query(`CREATE SCHEMA shop; CREATE SCHEMA evil; CREATE DOMAIN evil.text AS varchar CHECK (VALUE = 'evil');
      CREATE DOMAIN evil.record AS varchar; CREATE DOMAIN evil.int4 AS varchar CHECK (VALUE = 'evil')`);
    for (const { level } of TRIGGERS) {
      await database.query(`CREATE TABLE shop."Items ${level}" (id integer, "Key" text, name text)`);
    }
    client = new Client({ connectionString: database.url });
    await client.connect();
    suite.cleanup(() => client.end());
    const { rows } = await client.query<{ name: string; value: string }>(SETTINGS_WITH_FEW_VALUES);
    settings = [...rows.map(({ name, value }) => [name, value] as const), ...OTHER_SETTINGS];
    expect(settings.length).toBeGreaterThan(80);
  });

  it('is current after up has run with any of the settings', async () => {
    const found: Record<string, readonly string[]> = {};
    await withEach(async (setting) => {
      await runUp();
      found[setting] = await states(suite.database);
    });
    expect(Object.entries(found).filter(([, each]) => each.join() !== 'current,current')).toEqual([]);
  });

  it('is current when the check runs with any of the settings', async () => {
    await runUp();
    const found: Record<string, readonly string[]> = {};
    await withEach(async (setting) => {
      found[setting] = await states(client).catch((error: unknown) => [String(error)]);
    });
    expect(Object.entries(found).filter(([, each]) => each.join() !== 'current,current')).toEqual([]);
  });

  it('announces the same when its table is written with any of the settings', async () => {
    await runUp();
    const listener = suite.use(await TableListener.start(suite.database.url, CHANNEL));
    const settingsByAnnounced = new Map<string, string[]>();
    await withEach(async (setting) => {
      const changes = await listener.changesOf(() => client.query(WRITES.join('; ')));
      const announced = shortly(changes).join('\n');
      settingsByAnnounced.set(announced, [...(settingsByAnnounced.get(announced) ?? []), setting]);
    });
    const ofReplica = 'session_replication_role = replica'; // Its triggers do not fire.
    expect([...settingsByAnnounced.values()].filter((each) => each.join() !== ofReplica)).toHaveLength(1);
  });
});
