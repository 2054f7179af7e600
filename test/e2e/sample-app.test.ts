import { beforeEach, describe, expect, it } from '@jest/globals';
import type { INestApplication, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { AppModule } from '../../sample-app/app.module.js';
import { migrations } from '../../sample-app/database/migrations.js';
import { triggers } from '../../sample-app/database/triggers.js';
import { appSuite } from '../support/app/app-suite.js';
import { CapturingLogger } from '../support/capturing-logger.js';
import { createTestCluster } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';
import { shortly, TableListener } from '../support/table-listener.js';

interface Shop {
  readonly app: INestApplication;
  readonly url: string;
}

interface StreamEvent {
  readonly type: string;
  readonly data: unknown;
}

interface OrderStream {
  readonly events: Recorder<StreamEvent>;
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>;
}

const suite = appSuite();
let database: TestDatabase;

beforeEach(async () => {
  database = await suite.createDatabase();
  suite.cleanup(expectNoConnection);
  const { DATABASE_URL } = process.env;
  suite.cleanup(() => {
    if (DATABASE_URL === undefined) delete process.env.DATABASE_URL;
    else process.env.DATABASE_URL = DATABASE_URL;
  });
  process.env.DATABASE_URL = database.url;
});

async function expectNoConnection(): Promise<void> {
  const left = 'SELECT application_name FROM pg_stat_activity WHERE datname = $1 AND application_name <> $2';
  const connections = (): Promise<unknown[]> =>
    database.query(left, [database.name, 'test-admin']).then(({ rows }) => rows);
  await eventually(connections, ({ length }) => length === 0);
}

async function openShop(logger: LoggerService | false = false): Promise<Shop> {
  const app = await NestFactory.create(AppModule, { logger, abortOnError: false });
  const shop: Shop = { app, url: '' };
  suite.use(app);
  await app.listen(0, '127.0.0.1');
  return Object.assign(shop, { url: await app.getUrl() });
}

async function productsOf({ url }: Shop): Promise<{ id: number; name: string; price: number }[]> {
  return (await fetch(`${url}/products`)).json() as Promise<{ id: number; name: string; price: number }[]>;
}

async function post({ url }: Shop, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${url}/orders`, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** Resolves when the server has answered: it has subscribed the stream by then. */
async function openStream({ url }: Shop, path = 'orders/stream'): Promise<OrderStream> {
  const response = await fetch(`${url}/${path}`);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const events = new Recorder<StreamEvent>();
  return { events, ended: readEvents(response, events) };
}

async function readEvents({ body }: Response, events: Recorder<StreamEvent>): Promise<void> {
  const decoder = new TextDecoder();
  let unread = '';
  for await (const chunk of body ?? []) {
    const blocks = (unread + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n\n');
    unread = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]));
      const data = fields.get('data');
      if (data !== undefined) events.push({ type: fields.get('event') ?? 'message', data: JSON.parse(data) });
    }
  }
}

describe('the sample app', () => {
  it('stores an order with its job, packs it, and shows both on the stream', async () => {
    const shop = await openShop();
    const { events } = await openStream(shop);

    const response = await post(shop, { region: 'eu', amount: 42 });

    expect(response.status).toBe(201);
    const order = await response.json();
    expect(order).toEqual({ id: 1, region: 'eu', amount: 42, status: 'new', createdAt: expect.any(String) });
    const data = { op: 'insert', id: 1, region: 'eu', amount: 42, status: 'new' };
    const packed = { ...data, op: 'update', status: 'shipped' };
    expect(await events.until(2)).toEqual([data, packed].map((each) => ({ type: 'message', data: each })));
    const jobs = await database.query('SELECT kind, order_id, finished_at FROM jobs');
    expect(jobs.rows).toEqual([{ kind: 'pack', order_id: 1, finished_at: expect.any(Date) }]);
    const orders = await fetch(`${shop.url}/orders`);
    expect(await orders.json()).toEqual([{ ...(order as object), status: 'shipped' }]);
  });

  it('sends every committed insert and update to its streams, and nothing else', async () => {
    const shop = await openShop();
    const { events } = await openStream(shop);

    await post(shop, { region: 'eu', amount: 1 });
    await events.until(2);
    await database.query('BEGIN; UPDATE orders SET amount = 2; ROLLBACK');
    await database.query(`UPDATE orders SET status = 'cancelled'`);
    await database.query('DELETE FROM orders');
    await post(shop, { region: 'us', amount: 3 });

    const seen = (await events.until(5)).map(({ data }) => data);
    expect(seen).toEqual([
      { op: 'insert', id: 1, region: 'eu', amount: 1, status: 'new' },
      { op: 'update', id: 1, region: 'eu', amount: 1, status: 'shipped' },
      { op: 'update', id: 1, region: 'eu', amount: 1, status: 'cancelled' },
      { op: 'insert', id: 2, region: 'us', amount: 3, status: 'new' },
      { op: 'update', id: 2, region: 'us', amount: 3, status: 'shipped' },
    ]);
  });

  it('neither stores nor announces an order whose job cannot be stored', async () => {
    const shop = await openShop();
    const { events } = await openStream(shop);
    await database.query('ALTER TABLE jobs ADD CONSTRAINT none CHECK (false)');
    expect((await post(shop, { region: 'eu', amount: 1 })).status).toBe(500);
    await database.query('ALTER TABLE jobs DROP CONSTRAINT none');

    await post(shop, { region: 'us', amount: 2 });

    expect((await events.until(1))[0]).toMatchObject({ data: { region: 'us' } });
    expect((await database.query('SELECT region FROM orders')).rows).toEqual([{ region: 'us' }]);
  });

  it('sends clients who watch the orders to the list if too many have changed to name each', async () => {
    const shop = await openShop();
    const { events } = await openStream(shop);
    await database.query(`INSERT INTO orders (region, amount) SELECT 'eu', 1 FROM generate_series(1, 1001)`);
    expect(await events.until(1)).toEqual([{ type: 'gap', data: { reason: 'bulk' } }]);

    await database.query('UPDATE orders SET amount = 2 WHERE id <= 3');
    const seen = (await events.until(4)).slice(1).map(({ data }) => data);
    const updated = (id: number): object => ({ op: 'update', id, region: 'eu', amount: 2, status: 'new' });
    expect(seen).toHaveLength(3);
    expect(seen).toEqual(expect.arrayContaining([updated(1), updated(2), updated(3)]));
  });

  it('notifies the packing worker in the transaction that stores the job', async () => {
    const shop = await openShop();
    const listener = suite.use(await TableListener.start(database.url, 'job_queue'));
    await database.query(`
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON jobs
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`); // At the commit.
    const refused = await listener.payloadsOf(async () => {
      expect((await post(shop, { region: 'eu', amount: 1 })).status).toBe(500);
    });
    expect(refused).toEqual([]);

    await database.query('DROP TRIGGER refuse ON jobs');
    const stored = await listener.payloadsOf(async () => {
      expect((await post(shop, { region: 'us', amount: 2 })).status).toBe(201);
    });
    expect(stored).toEqual(['']);
  });

  it('answers bad input with 400 and what is wrong with it', async () => {
    const shop = await openShop();
    const region = expect.stringContaining('region');
    const amount = expect.stringContaining('amount');
    const cases: [unknown, unknown[]][] = [
      [{}, [region, amount]],
      [[], [region, amount]],
      [{ region: 'EU', amount: 42 }, [region]],
      [{ region: ['eu'], amount: 42 }, [region]],
      [{ region: 'eu' }, [amount]],
      [{ region: 'eu', amount: '42' }, [amount]],
      [{ region: 'eu', amount: 0 }, [amount]],
      [{ region: 'eu', amount: 4.2 }, [amount]],
      [{ region: 'eu', amount: 1e9 }, [amount]],
    ];
    for (const [body, message] of cases) {
      const response = await post(shop, body);
      expect([body, response.status, await response.json()]).toMatchObject([body, 400, { message }]);
    }
    expect((await database.query('SELECT FROM orders')).rowCount).toBe(0);
  });

  it('starts twice at once on an empty database, and each instance shows the orders of the other', async () => {
    const [one, other] = await Promise.all([openShop(), openShop()]);
    const applied = await database.query('SELECT name FROM schema_migrations ORDER BY name');
    expect(applied.rows).toEqual(migrations.map(({ name }) => ({ name })));

    const { events } = await openStream(other);
    await post(one, { region: 'eu', amount: 42 });

    expect((await events.until(1))[0]).toMatchObject({ data: { region: 'eu', amount: 42 } });
  });

  it('starts again on a database that it has used before', async () => {
    const first = await openShop();
    await post(first, { region: 'eu', amount: 42 });
    await first.app.close();
    const orders = await fetch(`${(await openShop()).url}/orders`);
    expect(await orders.json()).toMatchObject([{ region: 'eu', amount: 42 }]);
  });

  it('takes over a database whose triggers were written by hand', async () => {
    await (await openShop()).app.close();
    const byHand = (name: string, table: string, channel: string): string => `
      CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('${channel}', '{"op":"update","id":1}'); RETURN NULL; END $$;
      CREATE TRIGGER ${name} AFTER INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${name}();`;
    await database.query(`
      ${triggers.map((trigger) => notifyTrigger(trigger).down).join('\n')}
      DELETE FROM schema_migrations WHERE name > '005';
      INSERT INTO schema_migrations (name) VALUES ('002-order-events');
      ${byHand('notify_order_event', 'orders', 'order_events')}
      ${byHand('notify_product_change', 'products', 'product_changes')}
      ${byHand('wake_workers', 'jobs', 'job_queue')}`);

    const logger = new CapturingLogger();
    const shop = await openShop(logger);

    const { events } = await openStream(shop);
    await post(shop, { region: 'eu', amount: 42 });
    await database.query('UPDATE products SET price = 15 WHERE id = 1');
    await eventually(
      () => productsOf(shop),
      (all) => all.some(({ price }) => price === 15),
    );
    expect((await events.until(2)).map(({ data }) => data)).toEqual([
      { op: 'insert', id: 1, region: 'eu', amount: 42, status: 'new' },
      { op: 'update', id: 1, region: 'eu', amount: 42, status: 'shipped' },
    ]);
    expect([...logger.texts('warn'), ...logger.texts('error')]).toEqual([]);
    const functions = await database.query(`SELECT proname FROM pg_proc WHERE prorettype = 'trigger'::regtype
      AND pronamespace = 'public'::regnamespace ORDER BY proname`);
    const names = ['orders_notify_order_events', 'products_notify_product_changes'];
    expect(functions.rows).toEqual(names.map((proname) => ({ proname })));
  });

  it('warns at its start of a trigger that was changed', async () => {
    await (await openShop()).app.close();
    await database.query('DROP TRIGGER products_notify_product_changes_delete ON products');
    const logger = new CapturingLogger();
    await openShop(logger);
    expect(logger.texts('warn')).toEqual([
      expect.stringContaining('Trigger products_notify_product_changes_delete is missing.'),
    ]);
  });

  it('is healthy while it listens, and sends its streams a gap when they may have missed something', async () => {
    const cluster = await createTestCluster();
    suite.cleanup(() => cluster.remove());
    process.env.DATABASE_URL = cluster.url();
    const shop = await openShop();
    const { events } = await openStream(shop);
    const health = (): Promise<Response> => fetch(`${shop.url}/health`);
    const channels = { wanted: 3, acknowledged: 3 };
    const up = { status: 'up', listener: { state: 'listening', since: expect.any(String), channels } };
    expect(await (await health()).json()).toEqual(up);

    await cluster.stop();
    const response = await eventually(health, ({ status }) => status === 503);
    const listener = { state: 'reconnecting', since: expect.any(String), channels: { wanted: 3, acknowledged: 0 } };
    expect(await response.json()).toEqual({ status: 'down', listener });

    await cluster.start();
    expect(await events.until(1)).toEqual([{ type: 'gap', data: { reason: 'reconnect' } }]);
    const recovered = await eventually(health, ({ status }) => status === 200);
    expect(await recovered.json()).toEqual(up);
    expect((await post(shop, { region: 'eu', amount: 42 })).status).toBe(201);
    expect((await events.until(2))[1]).toMatchObject({ type: 'message', data: { region: 'eu', amount: 42 } });
  });

  it('answers with its products from memory, and takes over every change that matches the schema', async () => {
    const shop = await openShop();
    const products = (): Promise<unknown> => productsOf(shop);
    const [beans, grinder, kettle] = [
      { id: 1, name: 'Coffee beans', price: 14 },
      { id: 2, name: 'Grinder', price: 89 },
      { id: 3, name: 'Kettle', price: 42 },
    ];
    expect(await products()).toEqual([beans, grinder, kettle]);

    await database.query('ALTER TABLE products DISABLE TRIGGER USER');
    await database.query('UPDATE products SET price = 1 WHERE id = 2');
    await database.query('ALTER TABLE products ENABLE TRIGGER USER');
    const change = { op: 'update', table: 'products', keys: ['2'], at: new Date() }; // No number.
    await database.query(`SELECT pg_notify('product_changes', $1)`, [JSON.stringify(change)]);
    await database.query('UPDATE products SET price = 15 WHERE id = 1');
    const changed = await eventually(products, (all) => JSON.stringify(all).includes('15'));
    expect(changed).toEqual([{ ...beans, price: 15 }, grinder, kettle]);

    await database.query('DELETE FROM products WHERE id = 3');
    await eventually(products, (all) => !JSON.stringify(all).includes('Kettle'));
  });

  it('takes over a change of many products from one notification, and reads all again if it names none', async () => {
    const shop = await openShop();
    const products = (holds: (prices: number[]) => boolean): Promise<unknown> =>
      eventually(
        () => productsOf(shop),
        (all) => holds(all.map(({ price }) => price)),
      );
    const listener = suite.use(await TableListener.start(database.url, 'product_changes'));
    const sent = async (sql: string): Promise<string[]> => shortly(await listener.changesOf(() => database.query(sql)));
    await sent(`INSERT INTO products (name, price) SELECT 'Mug ' || n, 7 FROM generate_series(1, 500) AS n`);
    await products(({ length }) => length === 503);

    const [update, ...others] = await sent('UPDATE products SET price = 8');
    expect(others).toEqual([]);
    expect(update).toMatch(/^update 1 2 3 4 .* 502 503$/);
    await products((prices) => prices.length === 503 && prices.every((price) => price === 8));

    const insert = `INSERT INTO products (name, price) SELECT 'Cup', 9 FROM generate_series(1, 1001)`;
    expect(await sent(insert)).toEqual(['insert * (1001)']);
    await products((prices) => prices.filter((price) => price === 9).length === 1001);

    expect(await sent('TRUNCATE products')).toEqual(['truncate *']);
    await products(({ length }) => length === 0);
  });

  it('reads its products again when it may have missed a change', async () => {
    const shop = await openShop();
    await database.query(`
      BEGIN;
      ALTER TABLE products DISABLE TRIGGER USER;
      UPDATE products SET price = 1 WHERE id = 2;
      COMMIT;
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'nest-pg-notify listener'`);
    const changed = await eventually(
      () => productsOf(shop),
      (all) => JSON.stringify(all).includes('"price":1}'),
    );
    expect(changed).toContainEqual({ id: 2, name: 'Grinder', price: 1 });
  });

  it('has each job done by one of its instances', async () => {
    await Promise.all([openShop(), openShop()]);
    await database.query(`
      CREATE TABLE packed (order_id int PRIMARY KEY);
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO packed VALUES (NEW.order_id); RETURN NULL; END';
      CREATE TRIGGER note AFTER UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION note();
      WITH added AS (INSERT INTO orders (region, amount) SELECT 'eu', 1 FROM generate_series(1, 200) RETURNING id)
      INSERT INTO jobs (kind, order_id) SELECT 'pack', id FROM added;
      NOTIFY job_queue`);
    const left = async (): Promise<unknown[]> =>
      (await database.query(`SELECT FROM orders WHERE status <> 'shipped'`)).rows;
    await eventually(left, ({ length }) => length === 0);
    expect((await database.query('SELECT FROM packed')).rowCount).toBe(200);
  });

  it('keeps the summary on its dashboard up to date', async () => {
    const shop = await openShop();
    const { events, ended } = await openStream(shop, 'orders/summary');
    const shows = (data: object): Promise<unknown> =>
      events.until((seen) => JSON.stringify(seen.at(-1)?.data) === JSON.stringify(data));
    await shows({ orders: 0, revenue: 0, waiting: 0, shipped: 0 });
    await post(shop, { region: 'eu', amount: 42 });
    await post(shop, { region: 'us', amount: 8 });
    await shows({ orders: 2, revenue: 50, waiting: 0, shipped: 2 });
    await database.query(`UPDATE orders SET status = 'cancelled' WHERE amount = 8`);
    await shows({ orders: 2, revenue: 42, waiting: 0, shipped: 1 });
    await shop.app.close();
    await expect(ended).resolves.toBeUndefined();
  });

  it('shows its page', async () => {
    const { url } = await openShop();
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await response.text()).toContain('<!doctype html>');
  });

  it('closes while a stream is open', async () => {
    const shop = await openShop();
    const { ended } = await openStream(shop);
    await shop.app.close();
    await expect(ended).resolves.toBeUndefined();
  });
});
