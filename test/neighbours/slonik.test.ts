import { createPool, sql } from 'slonik';
import type { DatabaseTransactionConnection } from 'slonik';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

/** A transaction in a transaction is a savepoint. */
function transactionOf(tx: DatabaseTransactionConnection): TestTransaction {
  return {
    executor: (text, values) => tx.query({ ...sql.unsafe``, sql: text, values }),
    mistakes: [tx],
    savepoint: async (work) => tx.transaction(async (inner) => work(transactionOf(inner))),
  };
}

transactionSuite(
  'slonik',
  async ({ url }) => {
    const pool = await createPool(url);
    return {
      transaction: async (work) => pool.transaction(async (tx) => work(transactionOf(tx))),
      close: async () => pool.end(),
    };
  },
  { advice: 'write (text, values) => tx.query({ ...sql.unsafe``, sql: text, values }).' },
);
