import createKnex from 'knex';
import objection from 'objection';
import type { Transaction } from 'objection';
import { fromKnex } from 'nest-pg-notify';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

/** Its package is CommonJS whose names Node cannot find. */
const { transaction, Model } = objection;

/** A transaction in a transaction is a savepoint. */
function transactionOf(trx: Transaction): TestTransaction {
  return {
    executor: fromKnex(trx),
    mistakes: [trx, Model],
    savepoint: async (work) => transaction(trx, async (inner) => work(transactionOf(inner))),
  };
}

transactionSuite(
  'Objection',
  ({ url }) => {
    class Order extends Model {
      static override readonly tableName = 'orders';
    }
    const knex = createKnex({ client: 'pg', connection: url });
    const BoundOrder = Order.bindKnex(knex);
    return {
      transaction: async (work) => BoundOrder.transaction(async (trx) => work(transactionOf(trx))),
      close: async () => knex.destroy(),
    };
  },
  { advice: 'write fromKnex(trx).' },
);
