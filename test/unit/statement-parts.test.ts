import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fromKnex } from 'nest-pg-notify';
import { execute } from '../../lib/executor/pg-executor.js';
import { statementParts } from '../../lib/executor/statement-parts.js';

/** The text in which each place that takes a value is written as a number in braces. */
const taken = (text: string): string =>
  statementParts(text, ['one', 'two'])
    .map((part) => (typeof part === 'string' ? part : `{${String(part.value)}}`))
    .join('');

describe('the parts of a statement', () => {
  it.each([
    ['SELECT $1', 'SELECT {one}'],
    ['SELECT $2::text, $1, $2', 'SELECT {two}::text, {one}, {two}'],
    ['$1', '{one}'],
    ['SELECT 1', 'SELECT 1'],
    ['', ''],
    ['f($1)+($2)', 'f({one})+({two})'],
  ])('have a value at each placeholder of %s', (text, expected) => expect(taken(text)).toBe(expected));

  it.each([
    `'$1'`,
    `'it''s $1'`,
    `'a backslash \\' `,
    String.raw`E'it\'s $1'`,
    String.raw`e'$1 \\'`,
    `"a column $1"`,
    `"a ""quoted"" $1"`,
    'column$1',
    '_$1',
    'größe$1',
    '-- $1',
    '/* $1 */',
    "/* it's $1 /* and $2 */ $1 */",
    '$$ $1 $$',
    '$tag$ $1 $$ $2 $other$ $tag$',
  ])('have no place for a value if there is only %s', (text) => {
    expect(taken(text)).toBe(text);
    expect(taken(`${text}\n$1`)).toBe(`${text}\n{one}`);
  });

  it('are the statement, put together', () => {
    const pieces = fc.constantFrom(
      "'",
      '"',
      '$1',
      '$2',
      '$$',
      '$a$',
      '--',
      '/*',
      '*/',
      '\\',
      "E'",
      'x',
      ' ',
      '\n',
      '?',
    );
    fc.assert(
      fc.property(fc.array(pieces), (list) => {
        const values = [{ is: '$1' }, { is: '$2' }];
        const parts = statementParts(list.join(''), values);
        const text = parts.map((part) => (typeof part === 'string' ? part : (part.value as { is: string }).is));
        expect(text.join('')).toBe(list.join(''));
      }),
    );
  });
});

describe('a statement for Knex', () => {
  const sent = async (text: string): Promise<unknown> =>
    execute(fromKnex({ raw: async (statement, bindings) => Promise.resolve([statement, bindings]) }), text, ['a', 'b']);

  it('has question marks for its values, in their order, and others escaped', async () => {
    expect(await sent(`SELECT $2, $1, $2, '$1?' ?? $1`)).toEqual([
      `SELECT  ?,  ?,  ?, '$1\\?' \\?\\?  ?`,
      ['b', 'a', 'b', 'a'],
    ]);
  });

  it('is refused if Knex would take away a backslash', async () => {
    const error = { kind: 'configuration', message: expect.stringContaining('pass that text as a value') };
    await expect(sent(String.raw`SELECT '\?'`)).rejects.toMatchObject(error);
  });
});
