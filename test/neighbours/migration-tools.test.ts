import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { Migration, Migrator } from '@mikro-orm/migrations';
import { MikroORM } from '@mikro-orm/postgresql';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { runner } from 'node-pg-migrate';
import type { MigrationBuilder } from 'node-pg-migrate';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { productTrigger } from '../recipes/triggers/product-changes.js';
import { migrationSuite } from '../support/migration-suite.js';
import { openTerminal } from '../support/terminal.js';

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

migrationSuite('drizzle-kit', async ({ url }) => {
  const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-drizzle-kit-'));
  const config = { dialect: 'postgresql', schema: './schema.ts', out: './drizzle', dbCredentials: { url } };
  await writeFile(join(folder, 'drizzle.config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'schema.ts'), 'export {};');
  const terminal = await openTerminal(folder, {
    'drizzle-kit': [join(import.meta.dirname, 'node_modules/drizzle-kit/bin.cjs')],
  });
  const run = async (script: string): Promise<void> => expect(await terminal(script)).toMatchObject({ code: 0 });
  const { codeBlocks } = new MarkdownPage(await readFile(join(import.meta.dirname, '../../docs/triggers.md'), 'utf8'));
  await run('npx drizzle-kit generate --custom --name first'); // That of the page is the second one.
  await run(codeBlocks.find(({ code }) => code.includes('npx drizzle-kit'))!.code);
  return { up: () => run('npx drizzle-kit migrate'), close: () => rm(folder, { recursive: true }) };
});
