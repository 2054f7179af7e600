import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { PgNotifyService } from 'nest-pg-notify';
import { PgEvents } from 'nest-pg-notify/events';
import { Pool } from 'pg';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { Payments } from '../recipes/patterns/billing.js';
import { DashboardController } from '../recipes/patterns/dashboard.controller.js';
import { OrderEvents } from '../recipes/patterns/order-log.js';
import { Orders } from '../recipes/patterns/orders.js';
import { ProductCache } from '../recipes/patterns/product-cache.js';
import { appSuite } from '../support/app/app-suite.js';
import { CommandLine } from '../support/command-line.js';
import { eventually, Recorder } from '../support/recorder.js';

/** The arguments of the commands of a page that print SQL for psql. */
function printingCommands({ codeBlocks }: MarkdownPage): string[][] {
  const lines = codeBlocks.filter(({ info }) => info[0] === 'sh').flatMap(({ code }) => code.split('\n'));
  return lines.flatMap((line) => {
    const command = /^npx nest-pg-notify (.+) \| psql /.exec(line)?.[1];
    return command === undefined ? [] : [command.split(' ')];
  });
}

describe('the shop of docs/patterns.md', () => {
  const suite = appSuite();
  let app: INestApplication;
  const printed = new Recorder<unknown>();

  beforeAll(async () => {
    const page = new MarkdownPage(await readFile(join(import.meta.dirname, '../../docs/patterns.md'), 'utf8'));
    const tables = page.codeBlocks.find(({ info }) => info[0] === 'sql')!;
    await suite.database.query(tables.code);
    for (const command of printingCommands(page)) {
      const { code, stdout, stderr } = await CommandLine.run(command);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      await suite.database.query(stdout);
    }
    jest.spyOn(console, 'log').mockImplementation(printed.push);
    process.env['DATABASE_URL'] = suite.database.url; // It is read when these modules are loaded.
    const { AppModule } = await import('../recipes/patterns/app.module.js');
    const { ShopModule } = await import('../recipes/patterns/shop.module.js');
    const module = await Test.createTestingModule({ imports: [AppModule, ShopModule] }).compile();
    app = module.createNestApplication({ logger: false });
    await app.listen(0, '127.0.0.1');
    suite.cleanup(async () => {
      await app.close();
      await app.get(Pool).end();
      jest.restoreAllMocks();
    });
  });

  it('prints, packs, counts and charges an order that is placed', async () => {
    const counts = new Recorder<number>();
    app
      .get(DashboardController)
      .count()
      .subscribe(({ data }) => counts.push(data.orders));
    await counts.until(1);
    for (const customer of ['Ann', 'Bob']) {
      const response = await fetch(`${await app.getUrl()}/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ customer }),
      });
      expect(response.status).toBe(201);
    }
    await printed.until(2);
    await eventually(
      () => counts.items.at(-1),
      (count) => count === 2,
    );
    await eventually(
      async () => (await suite.database.query('SELECT FROM jobs WHERE packed_at IS NOT NULL')).rowCount,
      (packed) => packed === 2,
    );
    await eventually(
      () => [...app.get(Payments).charged.values()].toSorted(),
      (charged) => charged.length === 2,
    );
    expect(printed.items).toEqual(['Order 1 of Ann', 'Order 2 of Bob']);
    expect([...app.get(Payments).charged.values()].toSorted()).toEqual(['Ann', 'Bob']);
    expect(await app.get(PgEvents).consumers()).toMatchObject([{ consumer: 'billing' }]);
  });

  it('sends nothing of an order that is rolled back', async () => {
    await expect(app.get(Orders).place(null as unknown as string)).rejects.toThrow('null value');
    await app.get(PgNotifyService).notify(OrderEvents, { id: 0, customer: 'the last one' });
    await printed.until(3);
    expect(printed.items.at(-1)).toBe('Order 0 of the last one');
  });

  it('evicts a product that somebody has changed by SQL, and each one after a TRUNCATE', async () => {
    const { prices } = app.get(ProductCache);
    const sizeIs = (wanted: number): Promise<number> =>
      eventually(
        () => prices.size,
        (size) => size === wanted,
      );
    prices.set(7, 20).set(8, 5);
    await suite.database.query('UPDATE products SET price = 21 WHERE id = 7');
    await sizeIs(1);
    expect([...prices.keys()]).toEqual([8]);
    await suite.database.query('TRUNCATE products');
    await sizeIs(0);
  });

  it('finds the next job by the index of those that are not packed', async () => {
    await suite.database.query(
      'INSERT INTO jobs (order_id, packed_at) SELECT n, now() FROM generate_series(1, 10000) AS n',
    );
    await suite.database.query('ANALYZE jobs');
    const { rows } = await suite.database.query<{ 'QUERY PLAN': string }>(
      'EXPLAIN SELECT id FROM jobs WHERE packed_at IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED',
    );
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('Index Scan using jobs_id_idx on jobs');
  });
});
