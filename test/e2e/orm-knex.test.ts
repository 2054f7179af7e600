import createKnex from 'knex';
import type { Knex } from 'knex';
import { fromKnex } from 'nest-pg-notify';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

/** A transaction in a transaction is a savepoint. */
function transactionOf(trx: Knex.Transaction): TestTransaction {
  return {
    executor: fromKnex(trx),
    mistakes: [trx],
    savepoint: async (work) => trx.transaction(async (inner) => work(transactionOf(inner))),
  };
}

transactionSuite(
  'Knex',
  ({ url }) => {
    const knex = createKnex({ client: 'pg', connection: url });
    return {
      transaction: async (work) => knex.transaction(async (trx) => work(transactionOf(trx))),
      close: async () => knex.destroy(),
    };
  },
  { advice: 'write fromKnex(trx).' },
);
