import { beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Client } from 'pg';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTableChange, PgTriggerOptions } from 'nest-pg-notify/triggers';
import { MAX_PAYLOAD_BYTES } from '../../lib/channel/payload-codec.js';
import { appSuite } from '../support/app/app-suite.js';
import { printedDefinitions, readBack } from '../support/printed-definitions.js';
import { TableListener } from '../support/table-listener.js';

const fits = (text: string): boolean => !text.includes('\0') && Buffer.byteLength(text) <= 63;
const name = fc
  .array(
    fc.oneof(
      fc.constantFrom('"', "'", '.', '\\', '$$', '$notify$', '%', ' ', 'A', 'key', 'é', '日', '😀', '--', ';', '\n'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.join(''))
  .filter(fits);

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('', '"', "'", '\\', '\u0001\u001f\u007f', '👩‍👩‍👧', '\u2028', '{"a":1}', 'null', ' '),
  fc.tuple(fc.constantFrom('x', '"', 'é', '\u0001'), fc.integer({ min: 1, max: 9_000 })).map(([c, n]) => c.repeat(n)),
);
/** Values as their texts; all of these types print in JSON what they print as text. */
const TYPES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  text: text.filter((value) => !value.includes('\0')),
  integer: fc.integer().map(String),
  bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  numeric: fc.oneof(
    fc.constantFrom('NaN', '0.00', '1.0', '1.00'),
    fc.bigInt().map((n) => `${n}.5`),
  ),
  uuid: fc.uuid(),
  bytea: fc.uint8Array({ maxLength: 40 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  boolean: fc.constantFrom('true', 'false'),
  date: fc
    .date({ min: new Date(0), noInvalidDate: true, max: new Date('2200-01-01') })
    .map((d) => d.toISOString().slice(0, 10)),
};

interface Row {
  readonly key: readonly (string | null)[];
  readonly value: string | null;
}
type Step =
  | { readonly what: 'insert'; readonly rows: readonly Row[] }
  | { readonly what: 'rekey' | 'change' | 'touch'; readonly pick: number; readonly row: Row }
  | { readonly what: 'delete'; readonly pick: number }
  | { readonly what: 'truncate' };

const table = fc
  .record({
    names: fc.uniqueArray(name, { minLength: 5, maxLength: 5 }),
    schema: fc.option(
      name.filter((n) => !n.startsWith('pg_') && n !== 'public'),
      { nil: undefined },
    ),
    channel: name,
    types: fc.array(fc.constantFrom(...Object.keys(TYPES)), { minLength: 1, maxLength: 2 }),
    level: fc.constantFrom<('statement' | 'row')[]>('statement', 'statement', 'row'),
    watch: fc.boolean(),
    include: fc.boolean(),
    listed: fc.boolean(),
    maxKeys: fc.constantFrom(2, 1_000),
    dumped: fc.boolean(),
  })
  .chain((made) => {
    const row = fc.record<Row>({
      key: fc.tuple(...made.types.map((type) => fc.option(TYPES[type]!, { freq: 9 }))),
      value: fc.option(fc.constantFrom('a', 'b', 'c')),
    });
    const pick = fc.integer({ min: 1, max: 7 });
    const step: fc.Arbitrary<Step> = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ what: fc.constant<'insert'>('insert'), rows: fc.array(row, { maxLength: 6 }) }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          what: fc.constantFrom<('rekey' | 'change' | 'touch')[]>('rekey', 'change', 'touch'),
          pick,
          row,
        }),
      },
      { weight: 2, arbitrary: fc.record({ what: fc.constant<'delete'>('delete'), pick }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant<'truncate'>('truncate') }) },
    );
    return fc.record({ made: fc.constant(made), steps: fc.array(step, { minLength: 3, maxLength: 8 }) });
  });

type Made = TableOf<typeof table>;
type TableOf<T> = T extends fc.Arbitrary<infer Case> ? Case : never;
type Snapshot = ReadonlyMap<number, { readonly key: string; readonly value: string | null }>;

/** A key as its texts, whatever form it has. */
const keyOf = (parts: readonly unknown[]): string =>
  JSON.stringify(parts.map((part) => (part === null ? null : String(part as string | number | boolean))));

describe('a random trigger', () => {
  const suite = appSuite();
  let listener: TableListener;
  let writer: Client;
  const warnings: string[] = [];

  beforeAll(async () => {
    listener = suite.use(await TableListener.start(suite.database.url));
    writer = new Client({ connectionString: suite.database.url });
    writer.on('notice', ({ message }) => warnings.push(message ?? ''));
    await writer.connect();
    suite.cleanup(() => writer.end());
    await writer.query('SET client_min_messages = warning');
  });

  it('announces all that random writes change, also when read back from a dump, in payloads that fit, and lets every write succeed', async () => {
    await fc.assert(
      fc.asyncProperty(table, async (random) => {
        const [tableName, ...columns] = random.made.names as [string, ...string[]];
        const run = new RandomTable(writer, listener, random.made, tableName, columns);
        await run.create();
        if (random.made.dumped) await run.dumpAndRestore();
        try {
          for (const step of random.steps) await run.take(step);
          expect(warnings).toEqual([]);
        } finally {
          await run.drop();
        }
      }),
      { numRuns: Number(process.env.TRIGGER_RUNS ?? 50), endOnFailure: true },
    );
  });
});

class RandomTable {
  private readonly options: PgTriggerOptions;
  private readonly key: readonly string[];
  private readonly value: string;
  private readonly id: string;

  constructor(
    private readonly writer: Client,
    private readonly listener: TableListener,
    private readonly made: Made['made'],
    tableName: string,
    columns: readonly string[],
  ) {
    this.key = columns.slice(0, made.types.length);
    [this.value, this.id] = columns.slice(2) as [string, string];
    const { schema, channel, level, watch, include, listed, maxKeys } = made;
    this.options = {
      table: schema === undefined ? { name: tableName } : { schema, name: tableName },
      channel,
      key: this.key.length === 1 && !listed ? this.key[0]! : this.key,
      level,
      ...(watch && { columns: [this.value] }),
      ...(include && { include: [this.value] }),
      ...(level === 'statement' && { maxKeys }),
    };
  }

  async create(): Promise<void> {
    const { schema, types, channel } = this.made;
    if (schema !== undefined) await this.writer.query(`CREATE SCHEMA ${this.q(schema)}`);
    const columns = this.key.map((column, i) => `${this.q(column)} ${types[i]}`);
    await this.writer.query(
      `CREATE TABLE ${this.table} (${columns.join(', ')}, ${this.q(this.value)} text, ${this.q(this.id)} serial)`,
    );
    await this.writer.query(notifyTrigger(this.options).up);
    await this.expectCurrent();
    await this.listener.listen(channel);
  }

  /** Replaces the trigger by what the server has printed of it. */
  async dumpAndRestore(): Promise<void> {
    const printed = await printedDefinitions(this.writer);
    await this.writer.query(notifyTrigger(this.options).down);
    await readBack(this.writer, printed);
    await this.writer.query('SET client_min_messages = warning'); // Which those two have reset.
    await this.expectCurrent();
  }

  private async expectCurrent(): Promise<void> {
    expect(await checkTrigger(this.writer, this.options)).toEqual({ state: 'current', problems: [], warnings: [] });
  }

  async drop(): Promise<void> {
    await this.writer.query(notifyTrigger(this.options).down);
    await this.writer.query(`DROP TABLE ${this.table}`);
    if (this.made.schema !== undefined) await this.writer.query(`DROP SCHEMA ${this.q(this.made.schema)}`);
  }

  async take(step: Step): Promise<void> {
    const before = await this.snapshot();
    const picked = 'pick' in step ? [...before.keys()].filter((id) => id % step.pick === 0) : [];
    const payloads = await this.listener.payloadsOf(() => this.write(step, picked));
    for (const payload of payloads) expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES);
    const changes = payloads.map((payload) => JSON.parse(payload) as PgTableChange);
    const op = ['rekey', 'change', 'touch'].includes(step.what) ? 'update' : step.what;
    expect(new Set(changes.map((change) => change.op))).toEqual(new Set(changes.length > 0 ? [op] : []));
    const after = await this.snapshot();
    if (op === 'truncate') expect(changes.map(({ keys }) => keys)).toEqual([null]);
    else this.compare(changes, before, after, picked);
  }

  private compare(
    changes: readonly PgTableChange[],
    before: Snapshot,
    after: Snapshot,
    picked: readonly number[],
  ): void {
    const ids = [...new Set([...before.keys(), ...after.keys()])];
    const touched = ids.filter((id) => picked.includes(id) || !before.has(id) || !after.has(id));
    const keysOf = (rows: readonly number[]): Set<string> =>
      new Set(rows.flatMap((id) => [before.get(id), after.get(id)].flatMap((row) => (row ? [row.key] : []))));
    const changed = touched.filter((id) => {
      const [old, now] = [before.get(id), after.get(id)];
      return !this.made.watch || !old || !now || old.key !== now.key || old.value !== now.value;
    });
    const expected = keysOf(changed);
    const possible = keysOf(touched);
    if (changes.some(({ keys }) => keys === null)) {
      const entries = new Set(
        touched.flatMap((id) => [before.get(id), after.get(id)].map((row) => JSON.stringify(row))),
      );
      const tooMany = this.made.level === 'statement' && entries.size > this.made.maxKeys;
      const longest = Math.max(...[...possible].map((key) => Buffer.byteLength(key)));
      if (!tooMany) expect(longest).toBeGreaterThan(6_500);
      if (this.made.level === 'statement') expect(changes).toHaveLength(1);
      return;
    }
    const announced = new Set(changes.flatMap(({ keys }) => keys!.map((key) => this.partsOf(key))));
    for (const key of expected) expect(announced).toContain(key);
    for (const key of announced) expect(possible).toContain(key);
    // Where rows share a key, an update of one may be announced as one of all.
    const unique = [before, after].every(
      (rows) => new Set([...rows.values()].map(({ key }) => key)).size === rows.size,
    );
    if (unique || !this.made.watch) expect(announced).toEqual(expected);
  }

  /** The key of an announced entry; what is included is checked against the names. */
  private partsOf(entry: unknown): string {
    if (typeof this.options.key === 'string' && !this.made.include) return keyOf([entry]);
    const object = entry as Readonly<Record<string, unknown>>;
    expect(Object.keys(object).toSorted()).toEqual(
      [...this.key, ...(this.made.include ? [this.value] : [])].toSorted(),
    );
    return keyOf(this.key.map((column) => object[column]));
  }

  private async write(step: Step, picked: readonly number[]): Promise<void> {
    const where = `WHERE ${this.q(this.id)} = ANY ($1)`;
    switch (step.what) {
      case 'truncate':
        return void (await this.writer.query(`TRUNCATE ${this.table}`));
      case 'delete':
        return void (await this.writer.query(`DELETE FROM ${this.table} ${where}`, [picked]));
      case 'touch':
        return void (await this.writer.query(`UPDATE ${this.table} SET ${this.set([this.value])} ${where}`, [picked]));
      case 'change':
        await this.writer.query(`UPDATE ${this.table} SET ${this.q(this.value)} = $2 ${where}`, [
          picked,
          step.row.value,
        ]);
        return;
      case 'rekey': {
        const assignments = this.key.map((column, i) => `${this.q(column)} = $${i + 2}`);
        await this.writer.query(`UPDATE ${this.table} SET ${assignments.join(', ')} ${where}`, [
          picked,
          ...step.row.key,
        ]);
        return;
      }
      case 'insert':
        await this.insert(step.rows);
    }
  }

  private async insert(rows: readonly Row[]): Promise<void> {
    const columns = [...this.key, this.value].map((column) => this.q(column));
    const types = [...this.made.types, 'text'];
    const arrays = types.map((type, i) => `$${i + 1}::text[]`);
    const values = types.map((_, i) => rows.map(({ key, value }) => (i < key.length ? key[i] : value)));
    const casts = types.map((type, i) => `c${i}::${type}`);
    await this.writer.query(
      `INSERT INTO ${this.table} (${columns.join(', ')}) SELECT ${casts.join(', ')}
       FROM unnest(${arrays.join(', ')}) AS u (${types.map((_, i) => `c${i}`).join(', ')})`,
      values,
    );
  }

  private set(columns: readonly string[]): string {
    return columns.map((column) => `${this.q(column)} = ${this.q(column)}`).join(', ');
  }

  private async snapshot(): Promise<Snapshot> {
    const texts = [...this.key, this.value].map((column) => `${this.q(column)}::text`);
    const { rows } = await this.writer.query<unknown[]>({
      text: `SELECT ${this.q(this.id)}, ${texts.join(', ')} FROM ${this.table}`,
      rowMode: 'array',
    });
    return new Map(
      rows.map(([id, ...parts]) => [
        Number(id),
        { key: keyOf(parts.slice(0, -1)), value: parts.at(-1) as string | null },
      ]),
    );
  }

  private get table(): string {
    const { schema = 'public', names } = this.made;
    return `${this.q(schema)}.${this.q(names[0]!)}`;
  }

  private q(identifier: string): string {
    return this.writer.escapeIdentifier(identifier);
  }
}
