import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from '@jest/globals';
import { PgEvents } from 'nest-pg-notify/events';
import { Pool } from 'pg';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { appSuite } from '../support/app/app-suite.js';
import { eventually } from '../support/recorder.js';

const ROOT = join(import.meta.dirname, '../..');

describe('docs/events.md', () => {
  const suite = appSuite();

  it('shows the application that this file tests', async () => {
    const [page, recipe] = await Promise.all([
      readFile(join(ROOT, 'docs/events.md'), 'utf8'),
      readFile(join(ROOT, 'test/recipes/durable-events.ts'), 'utf8'),
    ]);
    expect(page).toContain(`\`\`\`ts\n${recipe}\`\`\`\n`);
  });

  it('shows an application that charges each committed order once, and adds them up', async () => {
    await suite.database.query(eventLog().up);
    await suite.database.query(`
      CREATE TABLE orders (id serial PRIMARY KEY, customer text, amount int);
      CREATE TABLE charges (customer text, amount int, key text UNIQUE);
      CREATE TABLE totals (customer text PRIMARY KEY, amount int)`);
    process.env['DATABASE_URL'] = suite.database.url;
    const { AppModule, Orders } = await import('../recipes/durable-events.js');
    const app = await (
      await Test.createTestingModule({ imports: [AppModule] }).compile()
    )
      .createNestApplication({ logger: false })
      .init();
    suite.cleanup(async () => {
      await app.close();
      await app.get(Pool).end();
    });
    const orders = app.get(Orders);
    await orders.place('Ann', 5);
    await expect(orders.place('Ann', 0)).rejects.toThrow('That is no order.');
    await orders.place('Bob', 7);
    await orders.place('Ann', 2);
    await eventually(
      () => app.get(PgEvents).consumers(),
      (states) => states.every(({ waiting, retrying }) => waiting + retrying === 0),
    );
    const { rows: totals } = await suite.database.query('SELECT customer, amount FROM totals ORDER BY customer');
    expect(totals).toEqual([
      { customer: 'Ann', amount: 7 },
      { customer: 'Bob', amount: 7 },
    ]);
    const { rows: charges } = await suite.database.query('SELECT amount FROM charges ORDER BY amount');
    expect(charges).toEqual([{ amount: 2 }, { amount: 5 }, { amount: 7 }]);
  });
});
