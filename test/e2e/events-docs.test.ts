import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Test } from '@nestjs/testing';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { PgEvents } from 'nest-pg-notify/events';
import { Pool } from 'pg';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { appSuite } from '../support/app/app-suite.js';
import { eventually } from '../support/recorder.js';
import { tableFormsOf } from '../support/table-forms.js';

const ROOT = join(import.meta.dirname, '../..');

describe('docs/events.md', () => {
  const suite = appSuite();
  let page: string;
  /** Its blocks of SQL: the tables of its application, what the tables of the log look like, and others. */
  let sql: readonly string[];

  beforeAll(async () => {
    page = await readFile(join(ROOT, 'docs/events.md'), 'utf8');
    sql = new MarkdownPage(page).codeBlocks.filter(({ info }) => info[0] === 'sql').map(({ code }) => code);
  });

  /** The block that creates this table. */
  const tablesWith = (name: string): string => sql.find((code) => code.includes(`${name} (`))!;

  it('shows the application that this file tests', async () => {
    const recipe = await readFile(join(ROOT, 'test/recipes/durable-events.ts'), 'utf8');
    expect(page).toContain(`\`\`\`ts\n${recipe}\`\`\`\n`);
  });

  it('shows the tables of the log as the generated SQL makes them', async () => {
    const [shown, generated] = [await suite.createDatabase(), await suite.createDatabase()];
    await generated.query(eventLog().up);
    await shown.query(`CREATE SCHEMA nest_events; ${tablesWith('nest_events.event')}`);
    const forms = await tableFormsOf(shown, 'nest_events');
    expect(forms.map(({ name }) => name)).toEqual(['consumer', 'event', 'failure']);
    expect(forms).toEqual(await tableFormsOf(generated, 'nest_events'));
  });

  it('has the orders of docs/patterns.md', async () => {
    const patterns = await readFile(join(ROOT, 'docs/patterns.md'), 'utf8');
    const [orders] = /(?<=CREATE TABLE IF NOT EXISTS )orders \(.+\);/.exec(page)!;
    expect(patterns).toContain(`\nCREATE TABLE ${orders}\n`);
  });

  it('shows an application that charges each committed order once, and counts them', async () => {
    await suite.database.query(eventLog().up);
    await suite.database.query(tablesWith('totals'));
    process.env['DATABASE_URL'] = suite.database.url;
    const { AppModule } = await import('../recipes/durable-events.js');
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    const app = module.createNestApplication({ logger: false });
    await app.listen(0, '127.0.0.1');
    suite.cleanup(async () => {
      await app.close();
      await app.get(Pool).end();
    });
    const url = `${await app.getUrl()}/orders`;
    const place = async (customer: string): Promise<number> => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch(url, { method: 'POST', headers, body: JSON.stringify({ customer }) })).status;
    };
    for (const [customer, status] of [
      ['Ann', 201],
      ['Mallory', 500],
      ['Bob', 201],
      ['Ann', 201],
    ] as const) {
      expect(await place(customer)).toBe(status);
    }
    await eventually(
      () => app.get(PgEvents).consumers(),
      (states) => states.every(({ waiting, retrying }) => waiting + retrying === 0),
    );
    const { rows: totals } = await suite.database.query('SELECT customer, orders FROM totals ORDER BY customer');
    expect(totals).toEqual([
      { customer: 'Ann', orders: 2 },
      { customer: 'Bob', orders: 1 },
    ]);
    const { rows: charges } = await suite.database.query('SELECT customer FROM charges ORDER BY customer');
    expect(charges).toEqual([{ customer: 'Ann' }, { customer: 'Ann' }, { customer: 'Bob' }]);
    const { rows: orders } = await suite.database.query('SELECT customer FROM orders ORDER BY id');
    expect(orders).toEqual([{ customer: 'Ann' }, { customer: 'Bob' }, { customer: 'Ann' }]);
  });
});
