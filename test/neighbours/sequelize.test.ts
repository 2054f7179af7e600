import { Sequelize } from 'sequelize';
import type { Transaction } from 'sequelize';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

/** A transaction in a transaction is a savepoint. */
function transactionOf(sequelize: Sequelize, transaction: Transaction): TestTransaction {
  return {
    executor: (text, bind) => sequelize.query(text, { bind, transaction }),
    mistakes: [sequelize, transaction],
    savepoint: async (work) =>
      sequelize.transaction({ transaction }, async (inner) => work(transactionOf(sequelize, inner))),
  };
}

transactionSuite(
  'Sequelize',
  ({ url }) => {
    const sequelize = new Sequelize(url, { logging: false });
    return {
      transaction: async (work) => sequelize.transaction(async (tx) => work(transactionOf(sequelize, tx))),
      close: async () => sequelize.close(),
    };
  },
  { advice: 'write (text, bind) => sequelize.query(text, { bind, transaction }).', findsPlaceholders: true },
);
