import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');

/** The executor of each library that the page shows in one line, and the test that runs it. */
const LINES: readonly (readonly [file: string, line: string])[] = [
  ['e2e/orm-postgres-js.test.ts', '(text, values) => tx.unsafe(text, values)'],
  ['neighbours/mikro-orm-7.test.ts', 'fromKysely(em.getKysely())'],
  ['neighbours/mikro-orm-6/mikro-orm-6.test.ts', 'fromKnex(em.getTransactionContext<Knex.Transaction>()!)'],
  ['neighbours/objection.test.ts', 'fromKnex(trx)'],
  ['neighbours/sequelize.test.ts', '(text, bind) => sequelize.query(text, { bind, transaction })'],
  ['neighbours/pg-promise.test.ts', '(text, values) => t.query({ text, values })'],
  ['neighbours/slonik.test.ts', '(text, values) => tx.query({ ...sql.unsafe``, sql: text, values })'],
];

describe('docs/transactions.md', () => {
  it.each(LINES)('shows the executor that %s runs', async (file, line) => {
    expect(await readFile(join(ROOT, 'test', file), 'utf8')).toContain(line);
    const page = await readFile(join(ROOT, 'docs/transactions.md'), 'utf8');
    const shown = page.split('\n').filter((text) => !text.startsWith('|')); // In an example, not only in the table.
    expect(shown.some((text) => text.includes(`executor: ${line} `) || text.endsWith(`PgExecutor = ${line};`))).toBe(
      true,
    );
  });

  it('shows the recipe for postgres.js as it is tested', async () => {
    const recipe = await readFile(join(ROOT, 'test/recipes/transaction-postgres-js.ts'), 'utf8');
    expect(await readFile(join(ROOT, 'docs/transactions.md'), 'utf8')).toContain(`\`\`\`ts\n${recipe}\`\`\`\n`);
  });
});
