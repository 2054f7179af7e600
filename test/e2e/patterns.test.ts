import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { PgNotifyService } from 'nest-pg-notify';
import { eventLog, PgEvents } from 'nest-pg-notify/events';
import { Pool } from 'pg';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { Payments } from '../recipes/patterns/billing.js';
import { DashboardController } from '../recipes/patterns/dashboard.controller.js';
import { OrderEvents } from '../recipes/patterns/order-log.js';
import { Orders } from '../recipes/patterns/orders.js';
import { ProductCache, ProductChanges } from '../recipes/patterns/product-cache.js';
import { appSuite } from '../support/app/app-suite.js';
import { eventually, Recorder } from '../support/recorder.js';

describe('the shop of docs/patterns.md', () => {
  const suite = appSuite();
  let app: INestApplication;
  const printed = new Recorder<unknown>();

  beforeAll(async () => {
    const page = new MarkdownPage(await readFile(join(import.meta.dirname, '../../docs/patterns.md'), 'utf8'));
    const tables = page.codeBlocks.find(({ info }) => info[0] === 'sql')!;
    await suite.database.query(tables.code);
    await suite.database.query(eventLog().up);
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

  it('evicts a product that has changed', async () => {
    const cache = app.get(ProductCache);
    cache.prices.set(7, 100).set(8, 200);
    await app.get(PgNotifyService).notify(ProductChanges, { id: 7 });
    await eventually(
      () => [...cache.prices.keys()],
      (keys) => keys.length === 1,
    );
    expect([...cache.prices.keys()]).toEqual([8]);
  });
});
