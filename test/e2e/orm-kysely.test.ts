import { CamelCasePlugin, Kysely, PostgresDialect, sql } from 'kysely';
import type { ControlledTransaction, Transaction } from 'kysely';
import { fromKysely } from 'nest-pg-notify';
import { Pool } from 'pg';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

function connect(url: string): Kysely<unknown> {
  const dialect = new PostgresDialect({ pool: new Pool({ connectionString: url }) });
  return new Kysely({ dialect, plugins: [new CamelCasePlugin()] }); // A plugin sees every statement and every answer.
}

function transactionOf(tx: Transaction<unknown>): TestTransaction {
  return {
    executor: fromKysely(tx),
    mistakes: [tx],
    savepoint: async (work) => {
      await sql`SAVEPOINT inner_work`.execute(tx);
      await work(transactionOf(tx)).catch(async (error: unknown) => {
        await sql`ROLLBACK TO SAVEPOINT inner_work`.execute(tx);
        throw error;
      });
      await sql`RELEASE SAVEPOINT inner_work`.execute(tx);
    },
  };
}

transactionSuite(
  'Kysely',
  ({ url }) => {
    const db = connect(url);
    return {
      transaction: async (work) => db.transaction().execute(async (tx) => work(transactionOf(tx))),
      close: async () => db.destroy(),
    };
  },
  { advice: 'write fromKysely(tx).' },
);

function controlledTransactionOf(tx: ControlledTransaction<unknown>): TestTransaction {
  return {
    executor: fromKysely(tx),
    mistakes: [tx],
    savepoint: async (work) => {
      const inner = await tx.savepoint('inner_work').execute();
      await work({ ...controlledTransactionOf(tx), executor: fromKysely(inner) }).catch(async (error: unknown) => {
        await inner.rollbackToSavepoint('inner_work').execute();
        throw error;
      });
      await inner.releaseSavepoint('inner_work').execute();
    },
  };
}

transactionSuite(
  'Kysely, controlled',
  ({ url }) => {
    const db = connect(url);
    return {
      transaction: async (work) => {
        const tx = await db.startTransaction().execute();
        await work(controlledTransactionOf(tx)).catch(async (error: unknown) => {
          await tx.rollback().execute();
          throw error;
        });
        await tx.commit().execute();
      },
      close: async () => db.destroy(),
    };
  },
  { advice: 'write fromKysely(tx).' },
);
