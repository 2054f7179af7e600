import { Client, Pool } from 'pg';
import type { ClientBase } from 'pg';
import { transactionSuite } from '../support/transaction-suite.js';
import type { TestTransaction } from '../support/transaction-suite.js';

/** A client has no nested transactions of its own. */
function transactionOf(client: ClientBase): TestTransaction {
  return {
    executor: client,
    savepoint: async (work) => {
      await client.query('SAVEPOINT inner_work');
      await work(transactionOf(client)).catch(async (error: unknown) => {
        await client.query('ROLLBACK TO SAVEPOINT inner_work');
        throw error;
      });
      await client.query('RELEASE SAVEPOINT inner_work');
    },
  };
}

async function transaction(client: ClientBase, work: (transaction: TestTransaction) => Promise<void>): Promise<void> {
  await client.query('BEGIN');
  try {
    await work(transactionOf(client));
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

transactionSuite('a client of pg', async ({ url }) => {
  const client = new Client({ connectionString: url });
  await client.connect();
  return { transaction: async (work) => transaction(client, work), close: async () => client.end() };
});

transactionSuite('a client of a pool of pg', ({ url }) => {
  const pool = new Pool({ connectionString: url });
  return {
    transaction: async (work) => {
      const client = await pool.connect();
      try {
        await transaction(client, work);
      } finally {
        client.release();
      }
    },
    close: async () => pool.end(),
  };
});
