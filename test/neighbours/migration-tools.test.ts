import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Migration, Migrator } from '@mikro-orm/migrations';
import { MikroORM } from '@mikro-orm/postgresql';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { runner } from 'node-pg-migrate';
import type { MigrationBuilder } from 'node-pg-migrate';
import { productTrigger } from '../recipes/triggers/product-changes.js';
import { migrationSuite } from '../support/migration-suite.js';

export class NotifyOfProducts extends Migration {
  up(): void {
    this.addSql(notifyTrigger(productTrigger).up);
  }

  override down(): void {
    this.addSql(notifyTrigger(productTrigger).down);
  }
}

migrationSuite('MikroORM', async ({ url }) => {
  const orm = await MikroORM.init({
    clientUrl: url,
    entities: [],
    discovery: { warnWhenNoEntities: false },
    logger: () => undefined,
    extensions: [Migrator],
    migrations: { migrationsList: [NotifyOfProducts], snapshot: false },
  });
  const migrator = orm.migrator;
  return { up: async () => migrator.up(), down: async () => migrator.down(), close: async () => orm.close() };
});

export function up(pgm: MigrationBuilder): void {
  pgm.sql(notifyTrigger(productTrigger).up);
}

export function down(pgm: MigrationBuilder): void {
  pgm.sql(notifyTrigger(productTrigger).down);
}

migrationSuite('node-pg-migrate', async ({ url }) => {
  const dir = await mkdtemp(join(tmpdir(), 'nest-pg-notify-migrations-'));
  await writeFile(join(dir, '1764400000000_notify-of-products.ts'), ''); // Its name is all that is read of it.
  const run = async (direction: 'up' | 'down') =>
    runner({
      databaseUrl: url,
      dir,
      direction,
      migrationsTable: 'migrations',
      log: () => undefined,
      migrationLoaderStrategies: [
        {
          extensions: ['.ts'],
          loader: async (filePaths) => [{ id: '1764400000000_notify-of-products', filePaths, actions: { up, down } }],
        },
      ],
    });
  return { up: async () => run('up'), down: async () => run('down'), close: async () => rm(dir, { recursive: true }) };
});
