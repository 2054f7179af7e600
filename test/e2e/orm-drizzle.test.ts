import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { fromDrizzle } from 'nest-pg-notify';
import { Pool } from 'pg';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

type Transaction = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0];

/** A transaction in a transaction is a savepoint. */
function transactionOf(tx: Transaction): TestTransaction {
  return {
    executor: fromDrizzle(tx, sql),
    mistakes: [tx],
    savepoint: async (work) => tx.transaction(async (inner) => work(transactionOf(inner))),
  };
}

transactionSuite(
  'Drizzle',
  ({ url }) => {
    const pool = new Pool({ connectionString: url });
    const db = drizzle(pool);
    return {
      transaction: async (work) => db.transaction(async (tx) => work(transactionOf(tx))),
      close: async () => pool.end(),
    };
  },
  { advice: 'write fromDrizzle(tx, sql).' },
);
