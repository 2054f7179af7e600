import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkTrigger } from 'nest-pg-notify/triggers';
import { productTrigger } from '../recipes/triggers/product-changes.js';
import { createTestDatabase } from './postgres.js';
import type { TestDatabase } from './postgres.js';

/** A migration tool that has one migration: the trigger of docs/triggers.md. */
export interface MigrationTool {
  up(): Promise<unknown>;
  /** Left out by a tool that has no way back. */
  down?(): Promise<unknown>;
  close?(): Promise<unknown>;
}

/** Tests that a migration tool makes the trigger as it should be, and takes it back. */
export function migrationSuite(name: string, connect: (database: TestDatabase) => Promise<MigrationTool>): void {
  describe(`a migration of ${name}`, () => {
    let database: TestDatabase;
    let tool: MigrationTool;

    beforeAll(async () => {
      database = await createTestDatabase();
      await database.query('CREATE TABLE products (id integer PRIMARY KEY, name text, price numeric)');
      tool = await connect(database);
    });

    afterAll(async () => {
      await tool.close?.();
      await database.drop();
    });

    it('makes the trigger, and takes it back if the tool can', async () => {
      expect(await checkTrigger(database, productTrigger)).toMatchObject({ state: 'missing' });
      await tool.up();
      expect(await checkTrigger(database, productTrigger)).toMatchObject({ state: 'current', warnings: [] });
      if (!tool.down) return;
      await tool.down();
      expect(await checkTrigger(database, productTrigger)).toMatchObject({ state: 'missing' });
      const { rows } = await database.query("SELECT FROM pg_proc WHERE proname LIKE 'products_notify%'");
      expect(rows).toEqual([]);
    });
  });
}
