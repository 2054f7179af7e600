import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { WsAdapter } from '@nestjs/platform-ws';
import { TerminusModule } from '@nestjs/terminus';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { getPgNotifyToken } from 'nest-pg-notify';
import type { PgNotifyService } from 'nest-pg-notify';
import { Pool } from 'pg';
import { WebSocket } from 'ws';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { DeliveryLog } from '../recipes/channels/delivery-log.js';
import { JobQueue } from '../recipes/channels/job-queue.js';
import { Shipping } from '../recipes/channels/shipping.js';
import { ProductCache, ProductChanges } from '../recipes/gaps/product-cache.js';
import { CustomerSummaries } from '../recipes/live-queries/customer-summaries.js';
import { Dashboard, OrderEvents } from '../recipes/live-queries/dashboard.js';
import { DashboardController } from '../recipes/live-queries/dashboard.controller.js';
import { DashboardGateway } from '../recipes/live-queries/dashboard.gateway.js';
import { Catalogue, Clicks, PriceChanges } from '../recipes/handlers/catalogue.js';
import { HealthController } from '../recipes/operations/health.controller.js';
import { Announcer } from '../recipes/publishing/announcer.js';
import { Labels } from '../recipes/wake-ups/labels.js';
import { Packer } from '../recipes/wake-ups/packer.js';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost } from '../support/app/status.js';
import { eventually, Recorder } from '../support/recorder.js';

/** The shop's table, as docs/patterns.md has it. */
const ORDERS =
  'CREATE TABLE IF NOT EXISTS orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text NOT NULL)';

const suite = appSuite({ proxy: 'listener', options: QUICK });

/** The SQL that a page shows; of several blocks the first. */
async function sqlOf(path: string): Promise<string> {
  const { codeBlocks } = new MarkdownPage(await readFile(join(import.meta.dirname, '../..', path), 'utf8'));
  return codeBlocks.find(({ info }) => info[0] === 'sql')!.code;
}

function providePool() {
  const pool = new Pool({ connectionString: suite.database.url });
  suite.cleanup(() => pool.end());
  return { provide: Pool, useValue: pool };
}

describe('docs/channels.md', () => {
  it('has a channel with a type, and one with a schema that makes a Date of a text', async () => {
    const { app } = await suite.start({ providers: [Shipping, DeliveryLog] });
    const [shipping, log] = [app.get(Shipping), app.get(DeliveryLog)];
    const streamed = new Recorder<unknown>();
    shipping.shipments().subscribe(({ payload }) => streamed.push(payload));
    await Promise.all([shipping.ship(7), log.announce(7)]);
    await eventually(
      () => [shipping.shown.length, log.lines.length],
      ([shown, lines]) => shown === 1 && lines === 1,
    );
    expect(shipping.shown).toEqual([{ orderId: 7, status: 'shipped' }]);
    expect(await streamed.until(1)).toEqual(shipping.shown);
    expect(log.lines).toEqual([`7 in ${new Date().getUTCFullYear()}`]);
  });

  it('has SQL that sends an id beyond 2^53 as text, with all of its digits', async () => {
    const { service } = await suite.start();
    const received = new Recorder<unknown>();
    service.listen('parcels').subscribe(({ payload }) => received.push(payload));
    await service.ready();
    await suite.database.query('CREATE TABLE parcels (id bigint); INSERT INTO parcels VALUES (9007199254740993)');
    await suite.database.query(await sqlOf('docs/channels.md'));
    expect(await received.until(1)).toEqual([{ id: '9007199254740993' }]);
  });

  it('has a channel that sends wake-ups once which wait together', async () => {
    const { service } = await suite.start();
    const received = new Recorder<string>();
    for (const channel of [JobQueue.name, 'fence']) {
      service.listen(channel).subscribe(() => received.push(channel));
    }
    await service.ready();
    await Promise.all(Array.from({ length: 50 }, () => service.notify(JobQueue)));
    await service.notify('fence');
    await received.until((channels) => channels.includes('fence'));
    // One may have been on its way already when the others were called, and these waited for its end.
    const wakeUps = received.items.filter((channel) => channel === JobQueue.name);
    expect(wakeUps.length).toBeGreaterThan(0);
    expect(wakeUps.length).toBeLessThan(3);
  });
});

describe('docs/gaps.md', () => {
  it('has a cache that knows each price again after it was away', async () => {
    await suite.database.query('CREATE TABLE products (id int PRIMARY KEY, price int)');
    await suite.database.query('INSERT INTO products VALUES (7, 70), (8, 80)');
    const subject = await suite.start({ providers: [ProductCache, providePool()] });
    const cache = subject.app.get(ProductCache);
    const priceOf = (id: number, price: number): Promise<unknown> =>
      eventually(
        () => cache.price(id),
        (known) => known === price,
      );
    await priceOf(7, 70);
    await suite.database.query('UPDATE products SET price = 71 WHERE id = 7');
    const change = { op: 'update', table: 'products', keys: [7], at: new Date().toISOString() } as const;
    await subject.service.notify(ProductChanges, change); // What a trigger sends.
    await priceOf(7, 71);
    const lost = untilLost(subject);
    suite.proxy.reset();
    await suite.database.query('UPDATE products SET price = 81 WHERE id = 8'); // Nobody is told of it.
    await lost;
    expect(await priceOf(8, 81)).toBe(81);
  });
});

describe('docs/wake-ups.md', () => {
  beforeAll(async () => {
    await suite.database.query(await sqlOf('docs/wake-ups.md'));
  });

  it('has a worker that prints a label for each job, tries again what fails, and gives it up in the end', async () => {
    const subject = await suite.start({ providers: [Packer, Labels, providePool()] });
    const labels = subject.app.get(Labels);
    const print = labels.print.bind(labels);
    labels.print = async (orderId, signal) => {
      if (orderId === 2) throw new Error('out of paper');
      await print(orderId, signal);
    };
    await suite.database.query("INSERT INTO jobs (order_id) VALUES (1), (2), (3); SELECT pg_notify('job_queue', '')");
    const { rows } = await eventually(
      () => suite.database.query('SELECT order_id, state, attempts, error FROM jobs ORDER BY id'),
      ({ rows: jobs }) => jobs.every(({ state }) => state === 'done' || state === 'failed'),
    );
    expect(rows).toEqual([
      { order_id: 1, state: 'done', attempts: 1, error: null },
      { order_id: 2, state: 'failed', attempts: 5, error: 'Error: out of paper' },
      { order_id: 3, state: 'done', attempts: 1, error: null },
    ]);
    expect(labels.printed).toEqual([1, 3]);
  });

  it('has a worker that gives up a job whose process died at each attempt, and prints one that had attempts left', async () => {
    await suite.database.query(
      `INSERT INTO jobs (order_id, state, attempts, taken_at)
       SELECT 10 + attempts, 'taken', attempts, now() - interval '6 minutes' FROM unnest('{4, 5}'::int[]) AS attempts`,
    );
    const { app } = await suite.start({ providers: [Packer, Labels, providePool()] });
    const { rows } = await eventually(
      () => suite.database.query('SELECT order_id, state, error FROM jobs WHERE order_id > 10 ORDER BY id'),
      ({ rows: jobs }) => jobs.every(({ state }) => state !== 'taken'),
    );
    const error = 'The last attempt has not ended: its process may have died of this job.';
    expect(rows).toEqual([
      { order_id: 14, state: 'done', error: null },
      { order_id: 15, state: 'failed', error },
    ]);
    expect(app.get(Labels).printed).toEqual([14]);
  });

  it('has a worker that leaves alone a job that another worker has claimed meanwhile', async () => {
    const labels = new Labels();
    labels.print = async (orderId) => {
      await suite.database.query('UPDATE jobs SET attempts = attempts + 1 WHERE order_id = $1', [orderId]);
      if (orderId === 21) throw new Error('paused for too long'); // Neither its success nor its failure counts.
    };
    await suite.database.query('INSERT INTO jobs (order_id) VALUES (20), (21)');
    const { service } = await suite.start({
      providers: [Packer, { provide: Labels, useValue: labels }, providePool()],
    });
    await eventually(
      () => service.stats().handlers[0]!,
      ({ delivered, running }) => delivered >= 3 && running === 0,
    );
    const { rows } = await suite.database.query(
      'SELECT order_id, state, attempts, error FROM jobs WHERE order_id >= 20 ORDER BY id',
    );
    expect(rows).toEqual([
      { order_id: 20, state: 'taken', attempts: 2, error: null },
      { order_id: 21, state: 'taken', attempts: 2, error: null },
    ]);
  });
});

describe('docs/live-queries.md', () => {
  it('has a dashboard that shows orders as they come, and a summary for each customer', async () => {
    await suite.database.query(ORDERS);
    const { app, service } = await suite.start({
      controllers: [DashboardController],
      providers: [Dashboard, CustomerSummaries, providePool()],
    });
    const shown = new Recorder<unknown>();
    app
      .get(DashboardController)
      .summary()
      .subscribe(({ data }) => shown.push(data));
    const ofAnn = new Recorder<unknown>();
    app.get(CustomerSummaries).summaryOf('Ann').subscribe(ofAnn.push);
    await Promise.all([shown.until(1), ofAnn.until(1)]);
    await suite.database.query("INSERT INTO orders (customer) VALUES ('Ann'), ('Bob')");
    await service.notify(OrderEvents, { id: 1, customer: 'Ann' });
    await Promise.all([shown.until(2), ofAnn.until(2)]);
    expect(shown.items.at(-1)).toEqual({ value: { orders: 2, customers: 2 }, stale: false });
    expect(ofAnn.items).toEqual([{ orders: 0 }, { orders: 1 }]);
    expect(app.get(CustomerSummaries).summaryOf('Ann')).toBe(app.get(CustomerSummaries).summaryOf('Ann'));
  });
});

describe('the gateway of docs/live-queries.md', () => {
  it('sends each value to a client that asks for them, until it leaves', async () => {
    await suite.database.query(ORDERS);
    await suite.database.query('TRUNCATE orders');
    const { app, service } = await suite.create({ providers: [Dashboard, DashboardGateway, providePool()] });
    app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    const client = new WebSocket(`ws://127.0.0.1:${port}/live`);
    suite.cleanup(() => client.terminate());
    const received = new Recorder<unknown>();
    client.on('message', (data: Buffer) => received.push(JSON.parse(data.toString())));
    await once(client, 'open');
    client.send('{ "event": "summary" }');
    await received.until(1);
    await suite.database.query("INSERT INTO orders (customer) VALUES ('Ann')");
    await service.notify(OrderEvents, { id: 1, customer: 'Ann' });
    await received.until(2);
    expect(received.items).toEqual([
      { event: 'summary', data: { value: { orders: 0, customers: 0 }, stale: false } },
      { event: 'summary', data: { value: { orders: 1, customers: 1 }, stale: false } },
    ]);
    client.close();
    await eventually(
      () => service.status.channels.wanted,
      (wanted) => wanted === 0,
    );
  });
});

describe('docs/publishing.md', () => {
  it('has calls, and SQL, that each deliver what they are given', async () => {
    const { app, service } = await suite.start({ providers: [Announcer] });
    const received = new Recorder<number>();
    service.listen<{ id: number }>('stock_changes').subscribe(({ payload }) => received.push(payload.id));
    await service.ready();
    const announcer = app.get(Announcer);
    await announcer.announce(1);
    await announcer.announceAll([2, 3]);
    announcer.mention(4);
    await announcer.announceWithRetry(5);
    expect(await received.until(5)).toEqual([1, 2, 3, 4, 5]);
    await suite.database.query(await sqlOf('docs/publishing.md'));
    expect((await received.until(6)).at(-1)).toBe(7);
  });
});

describe('docs/handlers.md', () => {
  it('has handlers that take notifications one by one, the newest only, and together', async () => {
    const { app, service } = await suite.start({ providers: [Catalogue] });
    const catalogue = app.get(Catalogue);
    await service.notifyMany(PriceChanges, [
      { productId: 1, price: 10 },
      { productId: 1, price: 11 },
    ]);
    await service.notifyMany(Clicks, [{ page: '/a' }, { page: '/b' }]);
    await eventually(
      () => catalogue.log.length,
      (lines) => lines === 3,
    );
    expect(catalogue.log).toEqual([
      expect.stringMatching(/^Catalogue\.note: 1 at 2/),
      expect.stringMatching(/^Catalogue\.note: 1 at 2/),
      '2 clicks',
    ]);
    expect([...catalogue.prices]).toEqual([[1, 11]]);
  });
});

describe('docs/operations.md', () => {
  it('has a health check that is up while the application listens', async () => {
    const { app } = await suite.create({ imports: [TerminusModule], controllers: [HealthController] });
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ status: 'ok', info: { notifications: { status: 'up' } } });
  });
});

describe('docs/options.md', () => {
  it('has an application that listens on two databases, and one that has a stream injected', async () => {
    const analytics = await suite.createDatabase();
    process.env['DATABASE_URL'] = suite.database.url; // They are read when the module is loaded.
    process.env['ANALYTICS_URL'] = analytics.url;
    const shown = jest.spyOn(console, 'log').mockReturnValue();
    suite.cleanup(() => shown.mockRestore());
    const { AppModule } = await import('../recipes/options/several-databases.js');
    const { OrdersController, OrdersModule } = await import('../recipes/options/orders.module.js');
    const { app, service } = await suite.createOf({ imports: [AppModule, OrdersModule] });
    await app.init();
    const orders = new Recorder<unknown>();
    app
      .get(OrdersController)
      .stream()
      .subscribe(({ data }) => orders.push(data));
    await service.ready();
    await service.notify('order_events', { id: 1 });
    expect(await orders.until(1)).toEqual([{ id: 1 }]);
    expect(shown).not.toHaveBeenCalled();
    await app.get<PgNotifyService>(getPgNotifyToken('analytics')).notify('rollups');
    await eventually(
      () => shown.mock.calls,
      (calls) => calls.length === 1,
    );
    expect(shown).toHaveBeenCalledWith('listening');
  });
});
