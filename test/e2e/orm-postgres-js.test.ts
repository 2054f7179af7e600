import { sql as sqlOfDrizzle } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/postgres-js';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { fromDrizzle } from 'nest-pg-notify';
import createSql from 'postgres';
import type { Sql, TransactionSql } from 'postgres';
import { Orders } from '../recipes/transaction-postgres-js.js';
import { orderRecipeSuite } from '../support/order-recipe.js';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

function transactionOf(sql: Sql, tx: TransactionSql): TestTransaction {
  return {
    executor: (text, values) => tx.unsafe(text, values),
    mistakes: [tx, sql],
    savepoint: async (work) => tx.savepoint(async (inner) => work(transactionOf(sql, inner))),
  };
}

transactionSuite(
  'postgres.js',
  ({ url }) => {
    const sql = createSql(url);
    return {
      transaction: async (work) => sql.begin(async (tx) => work(transactionOf(sql, tx))),
      close: async () => sql.end(),
    };
  },
  { advice: 'write (text, values) => tx.unsafe(text, values), with the tx of sql.begin(async (tx) => …).' },
);

type DrizzleTransaction = Parameters<Parameters<PostgresJsDatabase['transaction']>[0]>[0];

function drizzleTransactionOf(tx: DrizzleTransaction): TestTransaction {
  return {
    executor: fromDrizzle(tx, sqlOfDrizzle),
    savepoint: async (work) => tx.transaction(async (inner) => work(drizzleTransactionOf(inner))),
  };
}

transactionSuite('Drizzle on postgres.js', ({ url }) => {
  const sql = createSql(url);
  const db = drizzle(sql);
  return {
    transaction: async (work) => db.transaction(async (tx) => work(drizzleTransactionOf(tx))),
    close: async () => sql.end(),
  };
});

orderRecipeSuite('postgres.js', ({ url }, service) => {
  const sql = createSql(url);
  const orders = new Orders(sql, service);
  return { create: async (customer) => orders.create(customer), close: async () => sql.end() };
});
