import { describe, expect, it } from '@jest/globals';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { MAX_PAYLOAD_BYTES } from '../../lib/channel/payload-codec.js';
import { ITEM_TRIGGER, triggerSuite } from '../support/trigger-suite.js';

describe('what a trigger sends', () => {
  const suite = triggerSuite();
  const { run, said, given } = suite;
  const keysOf = (payloads: readonly string[]): unknown[] =>
    payloads.flatMap((payload) => (JSON.parse(payload) as { keys: unknown[] }).keys);

  it('is cut into as few payloads as PostgreSQL allows, each key in one of them', async () => {
    await given('id text');
    const payloads = await suite.listener.payloadsOf(() =>
      run("INSERT INTO items SELECT lpad(g::text, 98, 'ü') FROM generate_series(1, 900) AS g"),
    );
    const sizes = payloads.map((payload) => Buffer.byteLength(payload));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES);
    // No two neighbours would have fitted into one.
    expect(payloads.length).toBeGreaterThan(10);
    for (const size of sizes.slice(0, -1)) expect(size).toBeGreaterThan(MAX_PAYLOAD_BYTES - 210);
    const keys = keysOf(payloads);
    expect(keys).toHaveLength(900);
    expect(new Set(keys).size).toBe(900);
  });

  it('fills a payload to the last byte, and announces a key that is one byte longer without keys', async () => {
    await given('id text');
    const [probe] = await suite.listener.payloadsOf(() => run("INSERT INTO items VALUES ('')"));
    const room = MAX_PAYLOAD_BYTES - Buffer.byteLength(probe!);
    const [full] = await suite.listener.payloadsOf(() => run(`INSERT INTO items VALUES (repeat('x', ${room}))`));
    expect(Buffer.byteLength(full!)).toBe(MAX_PAYLOAD_BYTES);
    expect(await said(`INSERT INTO items VALUES (repeat('x', ${room + 1})), ('short')`)).toEqual(['insert * (2)']);
    // The escapes of JSON count, too.
    expect(await said(`INSERT INTO items VALUES (repeat('"', ${Math.ceil(room / 2)}) || '"')`)).toEqual([
      'insert * (1)',
    ]);
  });

  it.each(['statement', 'row'] as const)('announces keys far beyond the limit, at level %s', async (level) => {
    await given('id text, name text', { level, columns: ['name'] });
    expect(await said("INSERT INTO items VALUES (repeat('x', 1000000))")).toEqual(['insert * (1)']);
    expect(await said("UPDATE items SET name = 'x'")).toEqual(['update * (1)']);
    expect(await said("UPDATE items SET id = id || 'y'")).toEqual(['update * (1)']);
    expect(await said("UPDATE items SET id = 'z'")).toEqual(['update * (1)']);
    expect(await said('DELETE FROM items')).toEqual(['delete z']);
  });

  it('sends the old and the new key of a row apart if they do not fit together', async () => {
    await given('id text', { level: 'row' });
    await run("INSERT INTO items VALUES (repeat('x', 5000))");
    const changes = await suite.listener.changesOf(() => run("UPDATE items SET id = repeat('y', 5000)"));
    expect(changes.map(({ op, keys }) => [op, keys])).toEqual([
      ['update', ['x'.repeat(5_000)]],
      ['update', ['y'.repeat(5_000)]],
    ]);
  });

  it('holds the keys up to maxKeys, and above that only how many rows have changed', async () => {
    await given('id integer', { maxKeys: 3 });
    expect(await said('INSERT INTO items VALUES (1), (2), (3)')).toEqual(['insert 1 2 3']);
    expect(await said('INSERT INTO items VALUES (4), (5), (6), (7)')).toEqual(['insert * (4)']);
    expect(await said('UPDATE items SET id = id WHERE id < 4')).toEqual(['update 1 2 3']);
    expect(await said('UPDATE items SET id = -id WHERE id < 3')).toEqual(['update * (2)']);
    expect(await said('DELETE FROM items')).toEqual(['delete * (7)']);
  });

  it('counts distinct keys, not rows', async () => {
    await given('id integer', { maxKeys: 1 });
    expect(await said('INSERT INTO items SELECT 1 FROM generate_series(1, 5000)')).toEqual(['insert 1']);
  });

  it('is one notification for an update of 50,000 rows, or as many as its keys need', async () => {
    await given('id integer PRIMARY KEY, name text');
    expect(await said('INSERT INTO items SELECT g FROM generate_series(1, 50000) AS g')).toEqual(['insert * (50000)']);
    expect(await said("UPDATE items SET name = 'x'")).toEqual(['update * (50000)']);
    await run(notifyTrigger({ ...ITEM_TRIGGER, maxKeys: 50_000 }).up);
    const payloads = await suite.listener.payloadsOf(() => run("UPDATE items SET name = 'y'"));
    const keys = keysOf(payloads);
    expect(new Set(keys).size).toBe(50_000);
    expect(keys).toHaveLength(50_000);
    const bytes = Buffer.byteLength(keys.join(','));
    expect(payloads.length).toBeLessThanOrEqual(Math.ceil(bytes / (MAX_PAYLOAD_BYTES - 120)));
  });

  it('compares a bulk update quickly, also if the first update of the session was of one row', async () => {
    await given('id integer PRIMARY KEY, name text, seen integer', { columns: ['name'] });
    await run('INSERT INTO items SELECT g FROM generate_series(1, 50000) AS g');
    const sql = `SET statement_timeout = '20s'; UPDATE items SET name = 'x' WHERE id = 1; UPDATE items SET seen = 1;
      UPDATE items SET name = 'y' WHERE id > 49998; UPDATE items SET name = 'z'; RESET statement_timeout`;
    expect(await said(sql)).toEqual(['update 1', 'update 49999 50000', 'update * (50000)']);
  });

  describe('of types', () => {
    it.each([
      ['smallint', '7', 7],
      ['integer', '-2147483648', -2147483648],
      ['bigint', '7', '7'],
      ['bigint', '9007199254740993', '9007199254740993'],
      ['numeric', '12345678901234567890.10', '12345678901234567890.10'],
      ['numeric', `'NaN'`, 'NaN'],
      ['exact', '9007199254740993', '9007199254740993'],
      ['double precision', '0.30000000000000004', 0.30000000000000004],
      ['boolean', 'true', true],
      ['uuid', `'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
      ['text', `E'a"b\\\\c\\n\\u0001é😀'`, 'a"b\\c\n\u0001é😀'],
      ['char(3)', `'a'`, 'a  '],
      ['date', `'2026-02-01'`, '2026-02-01'],
      ['timestamptz', `'2026-02-01 12:00+01'`, '2026-02-01T11:00:00+00:00'],
      ['timestamp', `'infinity'`, 'infinity'],
      ['tstzrange', `'[2026-02-01 12:00+01,)'`, '["2026-02-01 11:00:00+00",)'],
      ['interval', `'1 day 2 hours'`, 'P1DT2H'],
      ['bytea', `'\\xdeadbeef'`, '\\xdeadbeef'],
      ['oid', '7', '7'],
      ['integer[]', `'{1,2}'`, [1, 2]],
      ['bigint[]', `'{9007199254740993}'`, [Number('9007199254740993')]],
      ['json', `'{"a": [1]}'`, { a: [1] }],
      ['jsonb', `'{"a": [1]}'`, { a: [1] }],
      ['mood', `'so ''so'''`, "so 'so'"],
      ['point', `'(1,2)'`, '(1,2)'],
      ['xml', `'<a/>'`, '<a/>'],
      ['inet', `'10.0.0.1'`, '10.0.0.1'],
    ])(
      'sends a key of %s %s as pg reads it, or as text, whatever the settings of the session',
      async (type, value, expected) => {
        await run('DROP TYPE IF EXISTS mood CASCADE; DROP DOMAIN IF EXISTS exact, almost CASCADE');
        await run(
          `CREATE TYPE mood AS ENUM ('so ''so'''); CREATE DOMAIN almost AS bigint; CREATE DOMAIN exact AS almost`,
        );
        await given(`id ${type}, name text`, { columns: ['name'] });
        const settings = `SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard';
        SET bytea_output = 'escape'; SET extra_float_digits = -10`;
        const changes = await suite.listener.changesOf(() =>
          run(
            `INSERT INTO items VALUES (${value}); ${settings}; UPDATE items SET name = 'x'; DELETE FROM items; RESET ALL`,
          ),
        );
        expect(changes.map(({ op, keys }) => [op, keys])).toEqual(
          ['insert', 'update', 'delete'].map((op) => [op, [expected]]),
        );
      },
    );

    it('sends null as null', async () => {
      await given('id bigint');
      expect(await said('INSERT INTO items VALUES (NULL)')).toEqual(['insert null']);
    });
  });
});
