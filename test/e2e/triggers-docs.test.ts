import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import { checkTrigger, definePgChannel, notifyTrigger, pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { PgTableChange, PgTriggerOptions } from 'nest-pg-notify/triggers';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { eventually } from '../support/recorder.js';

// The examples of docs/triggers.md stand here as they are there, and are run.

const ProductChanges = definePgChannel('product_changes', { schema: pgTableChangeSchema<number>() });

const productTrigger: PgTriggerOptions = {
  table: 'products',
  channel: ProductChanges,
  key: 'id',
  columns: ['name', 'price'],
};

interface QueryRunner {
  query(text: string): Promise<unknown>;
}

class NotifyOfProducts {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(notifyTrigger(productTrigger).up);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(notifyTrigger(productTrigger).down);
  }
}

@Injectable()
class ProductCache {
  private readonly products = new Map<number, unknown>();

  @OnPgNotify(ProductChanges)
  evict({ keys }: PgTableChange<number>): void {
    if (keys === null)
      this.products.clear(); // too many to name, or a TRUNCATE
    else for (const id of keys) this.products.delete(id);
  }

  @OnPgGap(ProductChanges)
  forget(): void {
    this.products.clear();
  }

  // What follows is for the test.
  get size(): number {
    return this.products.size;
  }

  fill(...ids: readonly number[]): void {
    for (const id of ids) this.products.set(id, {});
  }
}

describe('docs/triggers.md', () => {
  const suite = appSuite();
  let subject: TestApp;
  let page: string;

  beforeAll(async () => {
    page = await readFile(join(import.meta.dirname, '../../docs/triggers.md'), 'utf8');
    await suite.database.query('CREATE TABLE products (id integer PRIMARY KEY, name text, price numeric)');
    await suite.database.query("INSERT INTO products VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (9, 'i', 9)");
    await new NotifyOfProducts().up(suite.database);
    subject = await suite.start({ providers: [ProductCache] });
  });

  it('shows the SQL that the options make', () => {
    const { up, down } = notifyTrigger(productTrigger);
    expect(page).toContain(`\`\`\`sql\n${up}\`\`\`\n`);
    expect(page).toContain(`\`\`\`sql\n${down}\`\`\`\n`);
  });

  it('shows examples that are run here', async () => {
    const flush = (code: string): string => code.replace(/^( |export )+/gm, '');
    const source = flush(await readFile(import.meta.filename, 'utf8'));
    const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => flush(code!).replace(/\}\n$/, ''));
    expect(blocks.length).toBeGreaterThan(3);
    for (const block of blocks) {
      expect(source).toContain(block.replaceAll(/^import .*\n+/gm, ''));
      expect(importsOf(source)).toEqual(expect.arrayContaining(importsOf(block)));
    }
    expect(blocks.flatMap(importsOf)).toContain("notifyTrigger from 'nest-pg-notify/triggers'");
  });

  it('keeps a cache true with what its trigger announces', async () => {
    const cache = subject.app.get(ProductCache);
    const sizeIs = (wanted: number): Promise<number> =>
      eventually(
        () => cache.size,
        (size) => size === wanted,
      );
    cache.fill(9);
    await suite.database.query("UPDATE products SET name = 'z' WHERE id = 9");
    await sizeIs(0); // By the gap of the start, at the latest by what follows it.
    cache.fill(1, 2, 3);
    await suite.database.query("UPDATE products SET name = 'A' WHERE id = 1");
    await sizeIs(2);
    await suite.database.query('TRUNCATE products');
    await sizeIs(0);
    expect(subject.logger.texts('error')).toEqual([]);
  });

  it('shows a check that an application can make at its start', async () => {
    const warn = (text: string): void => void warned.push(text);
    const warned: string[] = [];
    const pool = suite.database;
    const { state, problems, warnings } = await checkTrigger(pool, productTrigger);
    if (state !== 'current') throw new Error(problems.join('\n'));
    for (const warning of warnings) warn(warning);
    expect(warned).toEqual([]);
  });
});

/** Each name that code imports, with the module that it comes from. */
function importsOf(code: string): string[] {
  const statements = [...code.matchAll(/^import (?:type )?\{ (.*) \} from (.*);$/gm)];
  return statements.flatMap(([, names, module]) => names!.split(', ').map((name) => `${name} from ${module}`));
}
