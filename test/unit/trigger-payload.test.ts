import { describe, expect, it } from '@jest/globals';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { definePgChannel } from 'nest-pg-notify';
import { pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { PgTableChange } from 'nest-pg-notify/triggers';
import { z } from 'zod';

const CHANGE: PgTableChange<number> = {
  op: 'update',
  table: 'orders',
  keys: [1, 2],
  at: '2026-02-01T11:00:00.123456Z',
};
const check = async (schema: StandardSchemaV1, value: unknown): Promise<StandardSchemaV1.Result<unknown>> =>
  schema['~standard'].validate(value);

describe('the schema of what a trigger sends', () => {
  it.each([
    CHANGE,
    { ...CHANGE, keys: [] },
    { ...CHANGE, keys: [{ a: 1 }, null, 'x'] },
    { ...CHANGE, op: 'truncate', keys: null },
    { ...CHANGE, op: 'insert', keys: null, count: 50_000 },
    { ...CHANGE, op: 'delete', more: 'of a later version' },
  ])('takes %p, and leaves it as it is', async (change) => {
    const result = await check(pgTableChangeSchema(), change);
    expect(result).toEqual({ value: change });
  });

  it.each([
    [null, []],
    ['text', []],
    [[], ['op', 'table', 'keys', 'at']],
    [{ ...CHANGE, op: 'INSERT' }, ['op']],
    [{ ...CHANGE, op: 'toString' }, ['op']],
    [{ ...CHANGE, table: 1 }, ['table']],
    [{ ...CHANGE, keys: undefined }, ['keys']],
    [{ ...CHANGE, keys: { 0: 1 } }, ['keys']],
    [{ ...CHANGE, count: -1 }, ['count']],
    [{ ...CHANGE, at: 'yesterday' }, ['at']],
  ])('refuses %p, and says where', async (value, paths) => {
    const { issues = [] } = await check(pgTableChangeSchema(), value);
    expect(issues.length).toBeGreaterThan(0);
    expect(issues.flatMap(({ path = [] }) => path)).toEqual(paths);
    for (const { message } of issues) expect(message).toMatch(/(must be .*|is an object)\.$/);
  });

  it('answers at once, without a schema of the keys or with one that does', () => {
    expect(pgTableChangeSchema()['~standard'].validate(CHANGE)).not.toBeInstanceOf(Promise);
    expect(pgTableChangeSchema(z.number())['~standard'].validate(CHANGE)).not.toBeInstanceOf(Promise);
  });

  it('checks and transforms each key with the schema of the keys', async () => {
    const schema = pgTableChangeSchema(z.string().transform(Number));
    expect(await check(schema, { ...CHANGE, keys: ['1', '2'] })).toEqual({ value: CHANGE });
    expect(await check(schema, { ...CHANGE, keys: null })).toEqual({ value: { ...CHANGE, keys: null } });
    const { issues = [] } = await check(schema, { ...CHANGE, keys: ['1', 2] });
    expect(issues).toEqual([expect.objectContaining({ path: ['keys', 1], message: expect.any(String) })]);
  });

  it('says where in a key that is an object, and waits for a schema that does', async () => {
    const schema = pgTableChangeSchema(z.object({ id: z.number().refine(async (id) => Promise.resolve(id > 0)) }));
    const { issues = [] } = await check(schema, { ...CHANGE, keys: [{ id: 1 }, { id: 0 }] });
    expect(issues).toEqual([expect.objectContaining({ path: ['keys', 1, 'id'] })]);
    expect(await check(schema, { ...CHANGE, keys: [{ id: 1 }] })).toEqual({ value: { ...CHANGE, keys: [{ id: 1 }] } });
  });

  it('says which key it is if the schema of the keys does not say more', async () => {
    const issue = { message: 'No.' };
    const own: StandardSchemaV1 = { '~standard': { version: 1, vendor: 'own', validate: () => ({ issues: [issue] }) } };
    expect(await check(pgTableChangeSchema(own), CHANGE)).toEqual({
      issues: [
        { message: 'No.', path: ['keys', 0] },
        { message: 'No.', path: ['keys', 1] },
      ],
    });
  });

  it('is one that a channel takes', () => {
    expect(definePgChannel('order_changes', { schema: pgTableChangeSchema<number>() }).schema).toBeDefined();
  });
});
