import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { Pool } from 'pg';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { assertTriggers } from '../recipes/triggers/assert-triggers.js';
import { ProductCache } from '../recipes/triggers/product-cache.js';
import { productTrigger } from '../recipes/triggers/product-changes.js';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { eventually } from '../support/recorder.js';

describe('docs/triggers.md', () => {
  const suite = appSuite();
  let subject: TestApp;
  let page: string;

  beforeAll(async () => {
    page = await readFile(join(import.meta.dirname, '../../docs/triggers.md'), 'utf8');
    await suite.database.query('CREATE TABLE products (id integer PRIMARY KEY, name text, price numeric)');
    await suite.database.query("INSERT INTO products VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (9, 'i', 9)");
    await suite.database.query(notifyTrigger(productTrigger).up);
    subject = await suite.start({ providers: [ProductCache] });
  });

  it('shows the SQL that the options make', () => {
    const { up, down } = notifyTrigger(productTrigger);
    expect(page).toContain(`\`\`\`sql\n${up}\`\`\`\n`);
    expect(page).toContain(`\`\`\`sql\n${down}\`\`\`\n`);
  });

  it('shows the migrations that test/neighbours runs', async () => {
    const tested = await readFile(join(import.meta.dirname, '../neighbours/migration-tools.test.ts'), 'utf8');
    const fragments = new MarkdownPage(page).codeBlocks.filter(({ info }) => info.includes('fragment'));
    expect(fragments).toHaveLength(2);
    for (const { code } of fragments) expect(tested).toContain(code);
  });

  it('keeps a cache true with what its trigger announces', async () => {
    const cache = subject.app.get(ProductCache);
    const fill = (...ids: readonly number[]): void => ids.forEach((id) => cache.keep(id, {}));
    const sizeIs = (wanted: number): Promise<number> =>
      eventually(
        () => cache.size,
        (size) => size === wanted,
      );
    fill(9);
    await suite.database.query("UPDATE products SET name = 'z' WHERE id = 9");
    await sizeIs(0); // By the gap of the start, at the latest by what follows it.
    fill(1, 2, 3);
    await suite.database.query("UPDATE products SET name = 'A' WHERE id = 1");
    await sizeIs(2);
    await suite.database.query('TRUNCATE products');
    await sizeIs(0);
    expect(subject.logger.texts('error')).toEqual([]);
  });

  it('shows a check that an application can make at its start', async () => {
    const warned: string[] = [];
    const pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    await assertTriggers(pool, (text) => void warned.push(text));
    expect(warned).toEqual([]);
  });
});
