import { MikroORM } from '@mikro-orm/postgresql';
import type { SqlEntityManager } from '@mikro-orm/postgresql';
import { fromKysely } from 'nest-pg-notify';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

/** A transaction in a transaction is a savepoint. */
function transactionOf(em: SqlEntityManager): TestTransaction {
  return {
    executor: fromKysely(em.getKysely()),
    mistakes: [em, { em }],
    savepoint: async (work) => em.transactional(async (inner) => work(transactionOf(inner))),
  };
}

transactionSuite(
  'MikroORM 7',
  async ({ url }) => {
    const orm = await MikroORM.init({ clientUrl: url, entities: [], discovery: { warnWhenNoEntities: false } });
    return {
      transaction: async (work) => orm.em.fork().transactional(async (em) => work(transactionOf(em))),
      close: async () => orm.close(),
    };
  },
  { advice: 'write fromKysely(em.getKysely()), with the em of em.transactional(async (em) => …).' },
);
