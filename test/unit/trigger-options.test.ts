import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { definePgChannel, PgNotifyError } from 'nest-pg-notify';
import { checkTrigger, notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { dollarQuote, quoteIdentifier, quoteLiteral } from '../../lib/executor/sql-text.js';
import { planTrigger } from '../../lib/triggers/trigger-plan.js';

const OPTIONS: PgTriggerOptions = { table: 'orders', channel: 'order_changes', key: 'id' };

describe('the options of a trigger', () => {
  it.each([
    [undefined, /A trigger takes its options as an object, not undefined/],
    [{ table: undefined }, /option table .* must be a name/],
    [{ table: '' }, /option table/],
    [{ table: '"Order"' }, /without quotes, or as \{ schema, name \}/],
    [{ table: 'a.b.c' }, /a name with a dot in it as \{ schema, name \}/],
    [{ table: 'shop.' }, /option table/],
    [{ table: { schema: 'shop' } }, /option table\.name/],
    [{ table: { schema: '', name: 'a' } }, /option table\.schema/],
    [{ table: 'é'.repeat(32) }, /which has 64 bytes; at most 63 are allowed/],
    [{ key: undefined }, /option key .* must be a column's name, or a non-empty list of names/],
    [{ key: [] }, /option key/],
    [{ key: ['a', 'a'] }, /option key of a trigger names "a" twice/],
    [{ key: 'a\0' }, /NUL or half a surrogate pair/],
    [{ key: '\ud800' }, /NUL or half a surrogate pair/],
    [{ include: ['id'] }, /"id", which the key holds already; leave it out/],
    [{ include: [] }, /option include .* must be a non-empty list of names of columns, not \[\]/],
    [{ columns: 'name' }, /option columns .* must be a non-empty list of names of columns, not 'name'/],
    [{ columns: ['name'], on: ['insert'] }, /add 'update' to the option on/],
    [{ on: [] }, /option on .* a list of some of 'insert', 'update', 'delete', 'truncate'/],
    [{ on: ['INSERT'] }, /option on/],
    [{ on: 'insert' }, /option on/],
    [{ level: 'table' }, /option level .* must be one of 'statement', 'row', not 'table'/],
    [{ maxKeys: 0 }, /option maxKeys .* from 1 to 1000000/],
    [{ maxKeys: 1.5 }, /option maxKeys/],
    [{ maxKeys: 5, level: 'row' }, /option maxKeys .* is for the level 'statement'/],
    [{ name: 'x'.repeat(55) }, /which has 55 bytes; at most 54 are allowed/],
    [{ name: '' }, /option name/],
  ])('are refused as %p, with the remedy', async (options, message) => {
    const wrong = (options && { ...OPTIONS, ...options }) as PgTriggerOptions;
    expect(() => notifyTrigger(wrong)).toThrow(message);
    expect(() => notifyTrigger(wrong)).toThrow(PgNotifyError);
    await expect(checkTrigger(() => Promise.reject(new Error('It asked.')), wrong)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(message),
    });
  });

  it('are refused for a channel that PostgreSQL cannot carry', () => {
    expect(() => notifyTrigger({ ...OPTIONS, channel: 'x'.repeat(64) })).toThrow(
      /is 64 bytes long; PostgreSQL allows 63/,
    );
  });

  it('take a channel by its definition', () => {
    const channel = definePgChannel('order_changes');
    expect(notifyTrigger({ ...OPTIONS, channel })).toEqual(notifyTrigger(OPTIONS));
  });

  it('make the same SQL whatever the order of the operations', () => {
    expect(notifyTrigger({ ...OPTIONS, on: ['delete', 'insert', 'delete'] })).toEqual(
      notifyTrigger({ ...OPTIONS, on: ['insert', 'delete'] }),
    );
  });
});

describe('the name of a trigger', () => {
  const nameOf = (table: string, channel: string): string =>
    planTrigger({ ...OPTIONS, table: { name: table }, channel }).name;

  it('says the table and the channel', () => {
    expect(nameOf('orders', 'order_changes')).toBe('orders_notify_order_changes');
    expect(planTrigger({ ...OPTIONS, name: 'mine' }).name).toBe('mine');
  });

  it('differs from the name of any other pair', () => {
    const names = [
      nameOf('a_notify_b', 'c'),
      nameOf('a', 'b_notify_c'),
      nameOf('a_notify', 'x'),
      nameOf('a', 'notify_x'),
      nameOf('é'.repeat(30), 'a'),
      nameOf('é'.repeat(30), 'b'),
    ];
    expect(new Set(names).size).toBe(names.length);
  });

  it('leaves room for what is behind it, and cuts no character', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 63 })
      .filter((text) => Buffer.byteLength(text) < 64);
    fc.assert(
      fc.property(name, name, (table, channel) => {
        const found = nameOf(table, channel);
        expect(Buffer.byteLength(found)).toBeLessThanOrEqual(54);
        expect(found.isWellFormed()).toBe(true);
        expect(nameOf(table, channel)).toBe(found);
      }),
    );
  });
});

describe('a text in SQL', () => {
  it('is closed only by its own quotes', () => {
    const text = fc.string({ unit: fc.constantFrom('"', "'", '\\', '$', 'notify', '_1', 'a') });
    fc.assert(
      fc.property(text, (value) => {
        expect(quoteIdentifier(value)).toMatch(/^"([^"]|"")*"$/);
        expect(quoteLiteral(value)).toMatch(/^('([^'\\]|'')*'|E'([^'\\]|''|\\\\)*')$/);
        const [, tag, inner] = /^(\$\w+\$)([^]*)\1$/.exec(dollarQuote(value))!;
        expect(inner).toBe(value);
        expect(inner).not.toContain(tag);
      }),
    );
  });
});
