import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { drizzle } from 'drizzle-orm/node-postgres';
import createKnex from 'knex';
import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { Broker } from '../recipes/broker.js';
import { OutboxWorker } from '../recipes/outbox-worker.js';
import { Orders as DrizzleOrders } from '../recipes/transaction-drizzle.js';
import { Orders as KnexOrders } from '../recipes/transaction-knex.js';
import { Orders as KyselyOrders } from '../recipes/transaction-kysely.js';
import type { Database } from '../recipes/transaction-kysely.js';
import { Orders as PgOrders } from '../recipes/transaction-pg.js';
import { Order, Orders as TypeOrmOrders } from '../recipes/transaction-typeorm.js';
import { appSuite } from '../support/app/app-suite.js';
import { orderRecipeSuite } from '../support/order-recipe.js';
import { eventually } from '../support/recorder.js';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'docs/transactions.md');

describe('docs/transactions.md', () => {
  it.each([
    'order-events',
    'transaction-pg',
    'transaction-typeorm',
    'transaction-kysely',
    'transaction-knex',
    'transaction-drizzle',
    'nestjs-cls',
    'outbox-worker',
  ])('shows %s as it is tested', async (name) => {
    const recipe = await readFile(join(ROOT, `test/recipes/${name}.ts`), 'utf8');
    const page = await readFile(PAGE, 'utf8');
    expect(page).toContain(`\`\`\`ts\n${recipe}\`\`\`\n`);
  });
});

orderRecipeSuite('pg', ({ url }, service) => {
  const pool = new Pool({ connectionString: url });
  const orders = new PgOrders(pool, service);
  return { create: async (customer) => orders.create(customer), close: async () => pool.end() };
});

orderRecipeSuite('TypeORM', async ({ url }, service) => {
  const dataSource = await new DataSource({ type: 'postgres', url, entities: [Order] }).initialize();
  const orders = new TypeOrmOrders(dataSource, service);
  return { create: async (customer) => orders.create(customer), close: async () => dataSource.destroy() };
});

orderRecipeSuite('Kysely', ({ url }, service) => {
  const dialect = new PostgresDialect({ pool: new Pool({ connectionString: url }) });
  const db = new Kysely<Database>({ dialect });
  const orders = new KyselyOrders(db, service);
  return { create: async (customer) => orders.create(customer), close: async () => db.destroy() };
});

orderRecipeSuite('Knex', ({ url }, service) => {
  const knex = createKnex({ client: 'pg', connection: url });
  const orders = new KnexOrders(knex, service);
  return { create: async (customer) => orders.create(customer), close: async () => knex.destroy() };
});

orderRecipeSuite('Drizzle', ({ url }, service) => {
  const pool = new Pool({ connectionString: url });
  const orders = new DrizzleOrders(drizzle(pool), service);
  return { create: async (customer) => orders.create(customer), close: async () => pool.end() };
});

describe('the recipe for an outbox', () => {
  let pool: Pool;
  afterAll(async () => pool.end()); // Before the database is dropped.

  const suite = appSuite();

  beforeAll(async () => {
    pool = new Pool({ connectionString: suite.database.url });
    const page = await readFile(PAGE, 'utf8');
    await pool.query(/CREATE TABLE outbox[^;]+;/.exec(page)![0]);
  });

  it('publishes what was written before it listened and what is committed later, also when the broker fails', async () => {
    await pool.query(`INSERT INTO outbox (topic, body) VALUES ('orders', '{"id": 1}')`);
    const broker = new Broker();
    broker.failures = 1;
    const providers = [OutboxWorker, { provide: Pool, useValue: pool }, { provide: Broker, useValue: broker }];
    const { service } = await suite.start({ providers });
    await broker.published.until(1);
    const client = await pool.connect();
    await client.query('BEGIN');
    for (const id of [2, 3]) {
      await client.query('INSERT INTO outbox (topic, body) VALUES ($1, $2)', ['orders', { id }]);
      await service.notify('outbox', undefined, { executor: client });
    }
    await client.query('COMMIT');
    client.release();
    expect(await broker.published.until(3)).toEqual(
      [1, 2, 3].map((id) => ({ topic: 'orders', body: { id }, id: `${id}` })),
    );
    await eventually(
      async () => (await pool.query('SELECT FROM outbox')).rowCount,
      (count) => count === 0,
    );
  });
});
