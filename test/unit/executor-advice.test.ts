import { describe, expect, it } from '@jest/globals';
import { checkExecutor, execute } from '../../lib/executor/pg-executor.js';
import type { PgExecutor } from '../../lib/executor/pg-executor.js';
import { publishManyWith, publishWith } from '../../lib/publisher/transactional-publish.js';
import { failureOf } from '../support/failures.js';

const method = (): undefined => undefined;
const withMethods = (...names: string[]): object => Object.fromEntries(names.map((name) => [name, method]));
const functionWith = (...names: string[]): object => Object.assign(() => undefined, withMethods(...names));

const FROM_KYSELY = 'write fromKysely(em.getKysely()), with the em of em.transactional(async (em) => …).';
const FROM_KNEX = 'write fromKnex(em.getTransactionContext()), with the em of em.transactional(async (em) => …).';
const POSTGRES_JS = 'write (text, values) => tx.unsafe(text, values), with the tx of sql.begin(async (tx) => …).';
const SEQUELIZE = 'write (text, bind) => sequelize.query(text, { bind, transaction }).';
const SLONIK = 'write (text, values) => tx.query({ ...sql.unsafe``, sql: text, values }).';

describe('checkExecutor()', () => {
  // The objects of the libraries themselves are tried in test/e2e/orm-*.test.ts and test/neighbours.
  it.each<readonly [string, object, string]>([
    ['a promise', Promise.resolve(), 'await the promise first.'],
    ['Prisma', withMethods('$queryRawUnsafe'), 'write fromPrisma(tx).'],
    ['the EntityManager of MikroORM 7', withMethods('execute', 'getTransactionContext', 'getKysely'), FROM_KYSELY],
    ['the EntityManager of MikroORM 6', withMethods('execute', 'getTransactionContext', 'getKnex'), FROM_KNEX],
    ['MikroORM 7', { em: withMethods('execute', 'getTransactionContext') }, FROM_KYSELY],
    ['Kysely', withMethods('executeQuery'), 'write fromKysely(tx).'],
    ['Sequelize', withMethods('query', 'getQueryInterface', 'transaction'), SEQUELIZE],
    [
      'a transaction of Sequelize',
      { ...withMethods('commit', 'rollback'), sequelize: withMethods('query') },
      SEQUELIZE,
    ],
    ['slonik', withMethods('query', 'oneFirst', 'maybeOneFirst'), SLONIK],
    ['the sql of postgres.js', functionWith('unsafe', 'begin', 'array'), POSTGRES_JS],
    ['the tx of postgres.js', functionWith('unsafe', 'savepoint', 'array'), POSTGRES_JS],
    ['Knex', functionWith('raw'), 'write fromKnex(trx).'],
    ['Drizzle', { query: {}, ...withMethods('execute') }, 'write fromDrizzle(tx, sql).'],
  ])('says what to write for %s', (_, value, advice) => {
    const message = `The option executor must be an object with a method query(text, values), such as a pg client or the EntityManager of TypeORM, or a function (text, values): ${advice}`;
    expect(() => checkExecutor('option executor', value as PgExecutor)).toThrow(
      expect.objectContaining({ kind: 'configuration', message }),
    );
  });

  it.each<readonly [string, object]>([
    ['an object with query() and methods of other libraries', withMethods('query', 'raw', 'execute', 'executeQuery')],
    ['a function', () => undefined],
    ['a function with unsafe() that begins no transactions', functionWith('unsafe')],
    ['pg-promise', withMethods('query', 'one', 'oneOrNone', 'tx')],
  ])('takes %s', (_, value) => {
    expect(checkExecutor('option executor', value as PgExecutor)).toBe(value);
  });
});

describe('an executor that returns no promise', () => {
  const forgetful = (() => undefined) as unknown as PgExecutor;
  const refusal = { kind: 'configuration', message: expect.stringContaining('must return that of its statement') };

  it.each([undefined, null, 1, { rows: [] }, []])('is refused for %p', async (answer) => {
    await expect(execute((() => answer) as unknown as PgExecutor, 'SELECT', [])).rejects.toMatchObject(refusal);
    const object = { query: () => answer } as unknown as PgExecutor;
    await expect(execute(object, 'SELECT', [])).rejects.toMatchObject(refusal);
  });

  it('is refused by notify() and notifyMany(), as of unknown outcome', async () => {
    expect(await failureOf(publishWith(forgetful, 'orders', '1'))).toMatchObject({ ...refusal, outcome: 'unknown' });
    expect(await publishManyWith(forgetful, 'orders', ['1', '2'])).toEqual([
      { index: 0, error: expect.objectContaining(refusal) },
      { index: 1, error: expect.objectContaining(refusal) },
    ]);
  });
});
