/** Never run: the compiler must accept every library's own types, and must see a mistake wherever one is announced. */
import { sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import type { PgTransaction } from 'drizzle-orm/pg-core';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Knex } from 'knex';
import type { ControlledTransaction, Kysely, Transaction } from 'kysely';
import { fromDrizzle, fromKnex, fromKysely, fromPrisma } from 'nest-pg-notify';
import type { PgExecutor, PgNotifyModuleOptions, PgNotifyService } from 'nest-pg-notify';
import type { Client, Pool, PoolClient } from 'pg';
import type { TransactionSql } from 'postgres';
import type { DataSource, EntityManager, QueryRunner, Repository } from 'typeorm';

interface Schema {
  readonly orders: { readonly id: number };
}

interface Row {
  readonly id: number;
}

declare const service: PgNotifyService;
declare const client: Client;
declare const pool: Pool;
declare const poolClient: PoolClient;
declare const dataSource: DataSource;
declare const entityManager: EntityManager;
declare const queryRunner: QueryRunner;
declare const repository: Repository<Row>;
declare const kysely: Kysely<Schema>;
declare const kyselyTransaction: Transaction<Schema>;
declare const controlled: ControlledTransaction<Schema, ['before']>;
declare const trx: Knex.Transaction<Row, Row[]>;
declare const knex: Knex;
declare const postgresJs: TransactionSql;
declare const drizzle: NodePgDatabase;
declare const drizzleOnPostgresJs: PostgresJsDatabase;
declare const drizzleTransaction: Parameters<Parameters<(typeof drizzle)['transaction']>[0]>[0];
// eslint-disable-next-line typescript/no-explicit-any -- A transaction of any driver and schema.
declare const anyDrizzleTransaction: PgTransaction<any, any, any>;

export const executors: readonly PgExecutor[] = [
  client,
  pool,
  poolClient,
  dataSource,
  entityManager,
  queryRunner,
  repository,
  async (text, values) => client.query(text, values),
  async (text: string, values: unknown[]) => client.query(text, values),
  (text, values) => postgresJs.unsafe(text, values),
  fromKysely(kysely),
  fromKysely(kyselyTransaction),
  fromKysely(controlled),
  fromKnex(knex),
  fromKnex(trx),
  fromDrizzle(drizzle, sql),
  fromDrizzle(drizzleOnPostgresJs, sql),
  fromDrizzle(drizzleTransaction, sql),
  fromDrizzle(anyDrizzleTransaction, sql),
];

// @ts-expect-error A transaction of Kysely needs fromKysely().
export const ofKysely: PgExecutor = kyselyTransaction;
// @ts-expect-error A transaction of Drizzle needs fromDrizzle().
export const ofDrizzle: PgExecutor = drizzleTransaction;
// @ts-expect-error Another library's.
fromPrisma(kyselyTransaction);
// @ts-expect-error Another library's.
fromKysely(trx);
// @ts-expect-error Another library's.
fromKnex(entityManager);
// @ts-expect-error The sql of Drizzle is forgotten.
fromDrizzle(drizzleTransaction);
// @ts-expect-error This is not the sql of Drizzle.
fromDrizzle(drizzleTransaction, trx);

export const options: readonly PgNotifyModuleOptions['publisher'][] = [
  { executor: () => client },
  { executor: () => undefined },
  { executor: (): PgExecutor | undefined => fromKnex(trx) },
  // @ts-expect-error It is asked at every call, and at once.
  { executor: client },
  // @ts-expect-error As above.
  { executor: async () => Promise.resolve(client) },
];

export async function use(): Promise<void> {
  await service.notify('orders', 1, { executor: client });
  await service.notify('orders', 1, { executor: false });
  await service.notify('orders', 1, { executor: undefined });
  // @ts-expect-error There is no switch to be on.
  await service.notify('orders', 1, { executor: true });
}
