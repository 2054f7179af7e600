import { beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Server } from 'node:net';
import { promisify } from 'node:util';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { migrations } from '../../sample-app/database/migrations.js';
import { orderTrigger, productTrigger } from '../../sample-app/database/triggers.js';
import { appSuite } from '../support/app/app-suite.js';
import { CapturingLogger } from '../support/capturing-logger.js';
import { createTestCluster } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';
import { openShop, openOrders, post, setEnvironment } from '../support/shop.js';
import type { Shop } from '../support/shop.js';
import { shortly, TableListener } from '../support/table-listener.js';

const suite = appSuite();
let database: TestDatabase;

beforeEach(async () => {
  database = await suite.createDatabase();
  suite.cleanup(expectNoConnection);
  setEnvironment(suite, { DATABASE_URL: database.url });
});

async function expectNoConnection(): Promise<void> {
  const left = 'SELECT application_name FROM pg_stat_activity WHERE datname = $1 AND application_name <> $2';
  const connections = (): Promise<unknown[]> =>
    database.query(left, [database.name, 'test-admin']).then(({ rows }) => rows);
  await eventually(connections, ({ length }) => length === 0);
}

function server({ app }: Shop): Server {
  return app.getHttpServer() as Server;
}

async function productsOf({ url }: Shop): Promise<{ id: number; name: string; price: number }[]> {
  return (await fetch(`${url}/products`)).json() as Promise<{ id: number; name: string; price: number }[]>;
}

describe('the sample app', () => {
  it('stores an order with its job, packs it, and shows both on the stream', async () => {
    const shop = await openShop(suite);
    const { events } = await openOrders(shop);

    const response = await post(shop, 'orders', { region: 'eu', amount: 42 });

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
    const shop = await openShop(suite);
    const { events } = await openOrders(shop);

    await post(shop, 'orders', { region: 'eu', amount: 1 });
    await events.until(2);
    await database.query('BEGIN; UPDATE orders SET amount = 2; ROLLBACK');
    await database.query(`UPDATE orders SET status = 'cancelled'`);
    await database.query('DELETE FROM orders');
    await post(shop, 'orders', { region: 'us', amount: 3 });

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
    const shop = await openShop(suite);
    const { events } = await openOrders(shop);
    await database.query('ALTER TABLE jobs ADD CONSTRAINT none CHECK (false)');
    expect((await post(shop, 'orders', { region: 'eu', amount: 1 })).status).toBe(500);
    await database.query('ALTER TABLE jobs DROP CONSTRAINT none');

    await post(shop, 'orders', { region: 'us', amount: 2 });

    expect((await events.until(1))[0]).toMatchObject({ data: { region: 'us' } });
    expect((await database.query('SELECT region FROM orders')).rows).toEqual([{ region: 'us' }]);
  });

  it('sends clients who watch the orders to the list if too many have changed to name each', async () => {
    const shop = await openShop(suite);
    const { events } = await openOrders(shop);
    await database.query(`INSERT INTO orders (region, amount) SELECT 'eu', 1 FROM generate_series(1, 1001)`);
    expect(await events.until(1)).toEqual([{ type: 'gap', data: { reason: 'bulk' } }]);

    await database.query('UPDATE orders SET amount = 2 WHERE id <= 3');
    const seen = (await events.until(4)).slice(1).map(({ data }) => data);
    const updated = (id: number): object => ({ op: 'update', id, region: 'eu', amount: 2, status: 'new' });
    expect(seen).toHaveLength(3);
    expect(seen).toEqual(expect.arrayContaining([updated(1), updated(2), updated(3)]));
  });

  it('notifies the packing worker in the transaction that stores the job', async () => {
    const shop = await openShop(suite);
    const listener = suite.use(await TableListener.start(database.url, 'job_queue'));
    await database.query(`
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON jobs
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`); // At the commit.
    const refused = await listener.payloadsOf(async () => {
      expect((await post(shop, 'orders', { region: 'eu', amount: 1 })).status).toBe(500);
    });
    expect(refused).toEqual([]);

    await database.query('DROP TRIGGER refuse ON jobs');
    const stored = await listener.payloadsOf(async () => {
      expect((await post(shop, 'orders', { region: 'us', amount: 2 })).status).toBe(201);
    });
    expect(stored).toEqual(['']);
  });

  it('answers bad input with 400 and what is wrong with it', async () => {
    const shop = await openShop(suite);
    const region = expect.stringContaining('region');
    const amount = expect.stringContaining('amount');
    const cases: [unknown, unknown[]][] = [
      [{}, [region, amount]],
      [[], ['Invalid input: expected object, received array']],
      [{ region: 'EU', amount: 42 }, [region]],
      [{ region: ['eu'], amount: 42 }, [region]],
      [{ region: 'eu' }, [amount]],
      [{ region: 'eu', amount: '42' }, [amount]],
      [{ region: 'eu', amount: 0 }, [amount]],
      [{ region: 'eu', amount: 4.2 }, [amount]],
      [{ region: 'eu', amount: 1e9 }, [amount]],
    ];
    for (const [body, message] of cases) {
      const response = await post(shop, 'orders', body);
      expect([body, response.status, await response.json()]).toMatchObject([body, 400, { message }]);
    }
    expect((await database.query('SELECT FROM orders')).rowCount).toBe(0);
  });

  it('starts twice at once on an empty database, and each instance shows the orders of the other', async () => {
    const [one, other] = await Promise.all([openShop(suite), openShop(suite)]);
    const applied = await database.query('SELECT name FROM schema_migrations ORDER BY name');
    expect(applied.rows).toEqual(migrations.map(({ name }) => ({ name })));

    const { events } = await openOrders(other);
    await post(one, 'orders', { region: 'eu', amount: 42 });

    expect((await events.until(1))[0]).toMatchObject({ data: { region: 'eu', amount: 42 } });
  });

  it('starts again on a database that it has used before', async () => {
    const first = await openShop(suite);
    await post(first, 'orders', { region: 'eu', amount: 42 });
    await first.app.close();
    const orders = await fetch(`${(await openShop(suite)).url}/orders`);
    expect(await orders.json()).toMatchObject([{ region: 'eu', amount: 42 }]);
  });

  it('takes over a database whose triggers were written by hand', async () => {
    await (await openShop(suite)).app.close();
    const byHand = (name: string, table: string, channel: string): string => `
      CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('${channel}', '{"op":"update","id":1}'); RETURN NULL; END $$;
      CREATE TRIGGER ${name} AFTER INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${name}();`;
    await database.query(`
      UPDATE mail_server SET failure_rate = 0;
      ${[orderTrigger, productTrigger].map((trigger) => notifyTrigger(trigger).down).join('\n')}
      DELETE FROM schema_migrations WHERE name = '005-triggers';
      INSERT INTO schema_migrations (name) VALUES ('002-order-events');
      ${byHand('notify_order_event', 'orders', 'order_events')}
      ${byHand('notify_product_change', 'products', 'product_changes')}
      ${byHand('wake_workers', 'jobs', 'job_queue')}`);

    const logger = new CapturingLogger();
    const shop = await openShop(suite, logger);

    const { events } = await openOrders(shop);
    await post(shop, 'orders', { region: 'eu', amount: 42 });
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
      AND pronamespace = 'public'::regnamespace AND proname !~ '^(jobs|mails)_' ORDER BY proname`);
    const names = ['orders_notify_order_events', 'products_notify_product_changes'];
    expect(functions.rows).toEqual(names.map((proname) => ({ proname })));
  });

  it('warns at its start of a trigger that was changed', async () => {
    await (await openShop(suite)).app.close();
    await database.query('DROP TRIGGER products_notify_product_changes_delete ON products');
    const logger = new CapturingLogger();
    await openShop(suite, logger);
    expect(logger.texts('warn')).toEqual([
      expect.stringContaining('Trigger products_notify_product_changes_delete is missing.'),
    ]);
  });

  it('is healthy while it listens, and sends its streams a gap when they may have missed something', async () => {
    const cluster = await createTestCluster();
    suite.cleanup(() => cluster.remove());
    setEnvironment(suite, { DATABASE_URL: cluster.url() });
    const shop = await openShop(suite);
    const { events } = await openOrders(shop);
    const health = (): Promise<Response> => fetch(`${shop.url}/health`);
    const up = {
      status: 'ok',
      details: { pg_notify: { state: 'listening', delivery: 'verified' }, pg_events: { status: 'up' } },
    };
    expect(await (await health()).json()).toMatchObject(up);

    await cluster.stop();
    const response = await eventually(health, ({ status }) => status === 503);
    const reconnecting = { status: 'down', state: 'reconnecting', channels: { acknowledged: 0 } };
    expect(await response.json()).toMatchObject({ status: 'error', error: { pg_notify: reconnecting } });

    await cluster.start();
    expect(await events.until(1)).toEqual([{ type: 'gap', data: { reason: 'reconnect' } }]);
    const answers = (): Promise<string> => health().then((answer) => answer.text());
    const recovered = await eventually(answers, (text) => text.includes('verified'));
    expect(JSON.parse(recovered)).toMatchObject(up);
    expect((await post(shop, 'orders', { region: 'eu', amount: 42 })).status).toBe(201);
    expect((await events.until(2))[1]).toMatchObject({ type: 'message', data: { region: 'eu', amount: 42 } });
  });

  it('answers with its products from the cache until a change is announced that matches the schema', async () => {
    const shop = await openShop(suite);
    const product = (id: number): Promise<unknown> => fetch(`${shop.url}/products/${id}`).then((r) => r.json());
    const [beans, grinder, kettle] = [
      { id: 1, name: 'Coffee beans', price: 14 },
      { id: 2, name: 'Grinder', price: 89 },
      { id: 3, name: 'Kettle', price: 42 },
    ];
    expect(await productsOf(shop)).toEqual([beans, grinder, kettle]);
    expect(await product(2)).toEqual(grinder);

    await database.query('ALTER TABLE products DISABLE TRIGGER USER');
    await database.query('UPDATE products SET price = 1 WHERE id = 2');
    await database.query('ALTER TABLE products ENABLE TRIGGER USER');
    const change = { op: 'update', table: 'products', keys: ['2'], at: new Date() }; // No number.
    await database.query(`SELECT pg_notify('product_changes', $1)`, [JSON.stringify(change)]);
    await database.query('UPDATE products SET price = 15 WHERE id = 1');
    await eventually(
      () => productsOf(shop),
      (all) => JSON.stringify(all).includes('15'),
    );
    expect(await product(1)).toEqual({ ...beans, price: 15 });
    expect(await product(2)).toEqual(grinder); // Nobody has announced that it was changed.

    await database.query('DELETE FROM products WHERE id = 3');
    await eventually(
      () => productsOf(shop),
      (all) => all.length === 2,
    );
    expect((await fetch(`${shop.url}/products/3`)).status).toBe(404);
  });

  it('takes over a change of many products from one notification, and evicts all if it names none', async () => {
    const shop = await openShop(suite);
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
    const shop = await openShop(suite);
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
    await Promise.all([openShop(suite), openShop(suite)]);
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

  it('closes while a stream is open', async () => {
    const shop = await openShop(suite);
    const { ended } = await openOrders(shop);
    await shop.app.close();
    await expect(ended).resolves.toBeUndefined();
  });

  it('closes while a browser keeps a connection open that it has not used', async () => {
    const shop = await openShop(suite);
    const socket = connect(Number(new URL(shop.url).port), '127.0.0.1');
    suite.cleanup(() => socket.destroy());
    await once(socket, 'connect');
    await eventually(
      () => promisify((done: (error: Error | null, count: number) => void) => server(shop).getConnections(done))(),
      (count) => count === 1,
    );
    await expect(shop.app.close()).resolves.toBeUndefined();
  });
});
