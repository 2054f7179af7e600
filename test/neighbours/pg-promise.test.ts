import pgPromise from 'pg-promise';
import type { ITask } from 'pg-promise';
import type { PgExecutor } from 'nest-pg-notify';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction, TransactionSuiteOptions } from '../support/transaction-suite.js';

const pgp = pgPromise();

/** A transaction in a transaction is a savepoint. */
function transactionOf(t: ITask<object>, executorOf: (t: ITask<object>) => PgExecutor): TestTransaction {
  return {
    executor: executorOf(t),
    savepoint: async (work) => t.tx(async (inner) => work(transactionOf(inner, executorOf))),
  };
}

function suite(
  name: string,
  executorOf: (t: ITask<object>) => PgExecutor,
  options: TransactionSuiteOptions = {},
): void {
  transactionSuite(
    name,
    ({ url }) => {
      const db = pgp({ connectionString: url }, name);
      return {
        transaction: async (work) => db.tx(async (t) => work(transactionOf(t, executorOf))),
        close: async () => db.$pool.end(),
      };
    },
    options,
  );
}

suite('pg-promise', (t) => (text, values) => t.query({ text, values }));
suite('pg-promise, as it is', (t) => t, { findsPlaceholders: true }); // It writes the values into the text.
