import { MikroORM } from '@mikro-orm/postgresql';
import type { Knex, SqlEntityManager } from '@mikro-orm/postgresql';
import { fromKnex } from 'nest-pg-notify';
import { transactionSuite } from '../../support/transaction-suite.js';
import type { TestTransaction } from '../../support/transaction-suite.js';

/** A transaction in a transaction is a savepoint. */
function transactionOf(em: SqlEntityManager): TestTransaction {
  return {
    // eslint-disable-next-line typescript/no-unnecessary-type-assertion -- It is necessary where the package is installed.
    executor: fromKnex(em.getTransactionContext<Knex.Transaction>()!),
    mistakes: [em, { em }],
    savepoint: async (work) => em.transactional(async (inner) => work(transactionOf(inner))),
  };
}

transactionSuite(
  'MikroORM 6',
  async ({ url }) => {
    const orm = await MikroORM.init({ clientUrl: url, entities: [], discovery: { warnWhenNoEntities: false } });
    return {
      transaction: async (work) => orm.em.fork().transactional(async (em) => work(transactionOf(em))),
      close: async () => orm.close(),
    };
  },
  { advice: 'write fromKnex(em.getTransactionContext()), with the em of em.transactional(async (em) => …).' },
);
