import type { PgQueryable } from 'nest-pg-notify';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerCheck, PgTriggerOptions } from 'nest-pg-notify/triggers';
import type { TestDatabase } from './postgres.js';
import { shortly, TableListener } from './table-listener.js';

/** One kind of generated trigger, and the table that it watches. */
export interface TriggerKind {
  /** Describes the kind. */
  readonly name: string;
  readonly options: PgTriggerOptions;
  /** SQL that creates the table. */
  readonly table: string;
  /** SQL of writes, one statement each, that touch every branch of the trigger. */
  readonly writes: readonly string[];
}

const CHANNEL = 'item_changes';

/** `doc` is of a type without an operator `=`, which only a comparison of whole records can take. */
const COLUMNS = 'id integer, part bigint, name text, doc json';

const writesTo = (table: string): readonly string[] => [
  `INSERT INTO ${table} VALUES (1, 10, 'a', '{}'), (2, 20, 'b', NULL)`,
  `UPDATE ${table} SET name = name, doc = doc`,
  `UPDATE ${table} SET name = 'c' WHERE id = 1`,
  `UPDATE ${table} SET doc = '[1]' WHERE id = 2`,
  `UPDATE ${table} SET id = 3, part = 30 WHERE id = 1`,
  `DELETE FROM ${table} WHERE id = 2`,
  `TRUNCATE ${table}`,
];

const BOTH = [false, true] as const;

const ALL_OPTIONS: readonly TriggerKind[] = (['statement', 'row'] as const).flatMap((level) =>
  BOTH.flatMap((listed) =>
    BOTH.flatMap((watching) =>
      BOTH.map((including) => {
        const key = listed ? ['id', 'part'] : 'id';
        const features = [
          listed ? 'a list of keys' : 'one key',
          ...(watching ? ['columns'] : []),
          ...(including ? ['include'] : []),
        ];
        const table = `${level}_${[listed, watching, including].map(Number).join('')}`;
        return {
          name: `level ${level}, ${features.join(', ')}`,
          options: {
            table,
            channel: CHANNEL,
            key,
            level,
            ...(watching && { columns: ['name', 'doc'] }),
            ...(including && { include: ['name'] }),
          },
          table: `CREATE TABLE ${table} (${COLUMNS})`,
          writes: writesTo(table),
        };
      }),
    ),
  ),
);

const PARTITIONED: readonly TriggerKind[] = (['statement', 'row'] as const).map((level) => ({
  name: `level ${level} on a partitioned table`,
  options: { table: `parts_${level}`, channel: CHANNEL, key: 'id', level, columns: ['name', 'doc'] },
  table: `CREATE TABLE parts_${level} (${COLUMNS}) PARTITION BY RANGE (id);
    CREATE TABLE parts_${level}_low PARTITION OF parts_${level} FOR VALUES FROM (0) TO (3);
    CREATE TABLE parts_${level}_high PARTITION OF parts_${level} FOR VALUES FROM (3) TO (9)`,
  writes: writesTo(`parts_${level}`),
}));

const ODD = `it's a "col\\umn" $1 $notify$\n`;
const ODD_QUOTED = `"${ODD.replaceAll('"', '""')}"`;
const ODD_TABLE = { schema: 'Odd Shop', name: 'a."b"' };

const ODDLY_NAMED: readonly TriggerKind[] = (['statement', 'row'] as const).map((level) => ({
  name: `level ${level} with odd names`,
  options: {
    table: { ...ODD_TABLE, name: `${ODD_TABLE.name} ${level}` },
    channel: `it's "odd"\\`,
    key: [ODD, 'Id'],
    level,
    columns: ['Ä', 'select'],
    include: ['key'],
    name: `${level} $ 'trigger'`,
  },
  table: `CREATE SCHEMA IF NOT EXISTS "Odd Shop";
    CREATE TABLE "Odd Shop"."a.""b"" ${level}" (${ODD_QUOTED} text, "Id" integer, "Ä" json, "select" point, "key" text)`,
  writes: [
    `INSERT INTO "Odd Shop"."a.""b"" ${level}" VALUES ('a', 1, '{}', '(1,1)', 'k')`,
    `UPDATE "Odd Shop"."a.""b"" ${level}" SET "select" = '(2,2)'`,
    `UPDATE "Odd Shop"."a.""b"" ${level}" SET "key" = 'l'`,
  ],
}));

const SOME_OPERATIONS: readonly TriggerKind[] = [
  {
    name: 'inserts alone, at most five keys, of a name of its own',
    options: { table: 'inserts', channel: CHANNEL, key: 'id', on: ['insert'], maxKeys: 5, name: 'own_name' },
    table: `CREATE TABLE inserts (${COLUMNS})`,
    writes: ['INSERT INTO inserts SELECT generate_series(1, 5)', 'INSERT INTO inserts SELECT generate_series(1, 6)'],
  },
];

/** Every kind of trigger that `notifyTrigger()` generates, each for a table of its own. */
export const TRIGGER_KINDS: readonly TriggerKind[] = [
  ...ALL_OPTIONS,
  ...PARTITIONED,
  ...ODDLY_NAMED,
  ...SOME_OPERATIONS,
];

/** What runs scripts of several statements. */
interface QueryRunner {
  query(script: string): Promise<unknown>;
}

/** Creates the table of each kind. */
export async function createKindTables(database: QueryRunner): Promise<void> {
  for (const { table } of TRIGGER_KINDS) await database.query(table);
}

/** Creates the table of each kind and its trigger. */
export async function createKinds(database: QueryRunner): Promise<void> {
  await createKindTables(database);
  for (const { options } of TRIGGER_KINDS) await database.query(notifyTrigger(options).up);
}

/** Does the first write to each kind. */
export async function fillKinds(database: QueryRunner): Promise<void> {
  for (const { writes } of TRIGGER_KINDS) await database.query(writes[0]!);
}

export async function checkKinds(database: PgQueryable): Promise<readonly PgTriggerCheck[]> {
  const checks: PgTriggerCheck[] = [];
  for (const { options } of TRIGGER_KINDS) checks.push(await checkTrigger(database, options));
  return checks;
}

/** Returns what the trigger of each kind announces of its writes, in short; the first `done` of them were made before. */
export async function announcedByKinds(
  database: TestDatabase,
  done = 0,
): Promise<Readonly<Record<string, string[][]>>> {
  const channels = new Set(TRIGGER_KINDS.map(({ options }) => options.channel as string));
  const listener = await TableListener.start(database.url, ...channels);
  try {
    const announced: Record<string, string[][]> = {};
    for (const { name, writes } of TRIGGER_KINDS) {
      announced[name] = [];
      for (const write of writes.slice(done)) {
        announced[name].push(shortly(await listener.changesOf(() => database.query(write))));
      }
    }
    return announced;
  } finally {
    await listener.close();
  }
}
