import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { PgNotifyService } from 'nest-pg-notify';
import { PgEvents } from 'nest-pg-notify/events';
import { Client, Pool } from 'pg';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { Payments } from '../recipes/patterns/billing.js';
import { DashboardController } from '../recipes/patterns/dashboard.controller.js';
import { OrderEvents } from '../recipes/patterns/order-log.js';
import { Orders } from '../recipes/patterns/orders.js';
import { ProductCache } from '../recipes/patterns/product-cache.js';
import { appSuite } from '../support/app/app-suite.js';
import { CommandLine } from '../support/command-line.js';
import { deferred } from '../support/deferred.js';
import { eventually, Recorder } from '../support/recorder.js';

/** What the shop uses of its pool outside of transactions. */
interface Queries {
  query(text: string, values?: number[]): Promise<unknown>;
}

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
  let spy: { mockRestore: () => void } | undefined;

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

  /** Takes the place of the cache's reads until the end of the test. Returns a list that grows by the id of each of them. */
  const onRead = (answer: (id: number, read: () => Promise<unknown>) => Promise<unknown>): readonly number[] => {
    const ids: number[] = [];
    const pool: Queries = app.get(Pool);
    const query = pool.query.bind(pool);
    spy = jest.spyOn(pool, 'query').mockImplementation((text: string, values?: number[]) => {
      const send = (): Promise<unknown> => query(text, values);
      if (!text.startsWith('SELECT price ')) return send(); // Of the packer, or of the live query.
      ids.push(values![0]!);
      return answer(values![0]!, send);
    });
    return ids;
  };

  afterEach(() => spy?.mockRestore());

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

  it('answers with the price that somebody has set by SQL, after one read, and with none after a TRUNCATE', async () => {
    const cache = app.get(ProductCache);
    const ids = onRead((_id, read) => read());
    const ask = async (id: number) =>
      (await fetch(`${await app.getUrl()}/products/${id}`)).json() as Promise<{ price?: number }>;
    expect(await Promise.all([ask(7), ask(7), ask(8)])).toEqual([{ price: 20 }, { price: 20 }, { price: 5 }]);
    expect(await ask(7)).toEqual({ price: 20 });
    expect(ids).toEqual([7, 8]);
    await suite.database.query('UPDATE products SET price = 21 WHERE id = 7');
    await eventually(
      () => ask(7),
      ({ price }) => price === 21,
    );
    expect(await ask(8)).toEqual({ price: 5 });
    expect(ids).toEqual([7, 8, 7]);
    await suite.database.query('TRUNCATE products');
    await eventually(
      () => cache.price(7),
      (price) => price === undefined,
    );
    expect(await ask(8)).toEqual({});
  });

  it('does not keep a price that was read before a change and answered after its eviction', async () => {
    const cache = app.get(ProductCache);
    const handled = (): number =>
      app
        .get(PgNotifyService)
        .stats()
        .handlers.find(({ handler }) => handler === 'ProductCache.evict')!.delivered;
    /** Changes products by one statement, and waits until the cache was told. */
    const change = async (sql: string): Promise<void> => {
      const before = handled();
      await suite.database.query(sql);
      await eventually(handled, (now) => now > before);
    };
    await change("INSERT INTO products VALUES (9, 'Pot', 90)");
    const [wasRead, mayAnswer] = [deferred(), deferred()];
    onRead(async (_id, read) => {
      const answer = await read();
      wasRead.resolve();
      await mayAnswer.promise;
      return answer;
    });
    const overtaken = cache.price(9);
    await wasRead.promise;
    await change('UPDATE products SET price = 91 WHERE id = 9');
    mayAnswer.resolve();
    expect(await overtaken).toBe(90);
    expect(await cache.price(9)).toBe(91);
  });

  it('reads a price again after a read has failed', async () => {
    const cache = app.get(ProductCache);
    const ids = onRead((_id, read) => (ids.length === 1 ? Promise.reject(new Error('away')) : read()));
    await expect(cache.price(11)).rejects.toThrow('away');
    await suite.database.query("INSERT INTO products VALUES (11, 'Jug', 110)");
    await eventually(
      () => cache.price(11),
      (price) => price === 110,
    );
  });

  it('logs an error of an idle connection in the name of the pool, and goes on', () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
    spy = warn;
    const message = 'terminating connection due to administrator command';
    app.get(Pool).emit('error', new Error(message), new Client());
    expect(warn.mock.calls).toEqual([[message]]);
    expect(warn.mock.contexts).toMatchObject([{ context: 'Pool' }]);
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
