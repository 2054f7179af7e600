import { DataSource } from 'typeorm';
import type { EntityManager, QueryRunner } from 'typeorm';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

async function connect(url: string): Promise<DataSource> {
  return new DataSource({ type: 'postgres', url }).initialize();
}

/** A transaction in a transaction is a savepoint. */
function transactionOfManager(manager: EntityManager): TestTransaction {
  return {
    executor: manager,
    savepoint: async (work) => manager.transaction(async (inner) => work(transactionOfManager(inner))),
  };
}

transactionSuite('an EntityManager of TypeORM', async ({ url }) => {
  const dataSource = await connect(url);
  return {
    transaction: async (work) => dataSource.transaction(async (manager) => work(transactionOfManager(manager))),
    close: async () => dataSource.destroy(),
  };
});

async function transaction(runner: QueryRunner, work: (transaction: TestTransaction) => Promise<void>): Promise<void> {
  await runner.startTransaction(); // The second time, a savepoint.
  try {
    await work({ executor: runner, savepoint: async (inner) => transaction(runner, inner) });
    await runner.commitTransaction();
  } catch (error) {
    await runner.rollbackTransaction();
    throw error;
  }
}

transactionSuite('a QueryRunner of TypeORM', async ({ url }) => {
  const dataSource = await connect(url);
  return {
    transaction: async (work) => {
      const runner = dataSource.createQueryRunner();
      try {
        await transaction(runner, work);
      } finally {
        await runner.release();
      }
    },
    close: async () => dataSource.destroy(),
  };
});
