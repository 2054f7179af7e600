import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import createKnex from 'knex';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { Pool } from 'pg';
import { DataSource } from 'typeorm';
import * as knexMigration from '../recipes/triggers/knex-migration.js';
import { productTrigger } from '../recipes/triggers/product-changes.js';
import { NotifyOfProducts1764400000000 } from '../recipes/triggers/typeorm-migration.js';
import { migrationSuite } from '../support/migration-suite.js';

migrationSuite('TypeORM', async ({ url }) => {
  const migrations = [NotifyOfProducts1764400000000];
  const dataSource = await new DataSource({ type: 'postgres', url, migrations }).initialize();
  return {
    up: async () => dataSource.runMigrations(),
    down: async () => dataSource.undoLastMigration(),
    close: async () => dataSource.destroy(),
  };
});

migrationSuite('Knex', async ({ url }) => {
  const knex = createKnex({ client: 'pg', connection: url });
  const migrationSource = {
    getMigrations: async () => ['notify-of-products'],
    getMigrationName: (name: string) => name,
    getMigration: async () => knexMigration,
  };
  return {
    up: async () => knex.migrate.latest({ migrationSource }),
    down: async () => knex.migrate.rollback({ migrationSource }),
    close: async () => knex.destroy(),
  };
});

migrationSuite('Drizzle', async ({ url }) => {
  const pool = new Pool({ connectionString: url });
  const migrationsFolder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-drizzle-'));
  const tag = '0000_notify-of-products';
  const entries = [{ idx: 0, version: '7', when: 1_764_400_000_000, tag, breakpoints: true }];
  await mkdir(join(migrationsFolder, 'meta'));
  await writeFile(
    join(migrationsFolder, 'meta/_journal.json'),
    JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
  );
  await writeFile(join(migrationsFolder, `${tag}.sql`), notifyTrigger(productTrigger).up);
  return {
    up: async () => migrate(drizzle(pool), { migrationsFolder }),
    close: async () => {
      await pool.end();
      await rm(migrationsFolder, { recursive: true });
    },
  };
});
