import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from '../../sample-app/app.module.js';
import { migrations } from '../../sample-app/database/migrations.js';
import { createTestCluster, createTestDatabase } from '../support/postgres.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually, Recorder } from '../support/recorder.js';

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

let database: TestDatabase;
const { DATABASE_URL } = process.env;
const shops: Shop[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  process.env.DATABASE_URL = database.url;
});

afterEach(async () => {
  await Promise.all(shops.splice(0).map(({ app }) => app.close()));
  const left = 'SELECT application_name FROM pg_stat_activity WHERE datname = $1 AND application_name <> $2';
  const connections = (): Promise<unknown[]> =>
    database.query(left, [database.name, 'test-admin']).then(({ rows }) => rows);
  await eventually(connections, ({ length }) => length === 0);
  await database.drop();
  if (DATABASE_URL === undefined) delete process.env.DATABASE_URL;
  else process.env.DATABASE_URL = DATABASE_URL;
});

async function openShop(): Promise<Shop> {
  const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
  const shop: Shop = { app, url: '' };
  shops.push(shop);
  await app.listen(0, '127.0.0.1');
  return Object.assign(shop, { url: await app.getUrl() });
}

async function post({ url }: Shop, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${url}/orders`, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** Resolves when the server has answered: it has subscribed the stream by then. */
async function openStream({ url }: Shop): Promise<OrderStream> {
  const response = await fetch(`${url}/orders/stream`);
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
  it('stores an order with its job, and shows it on the stream', async () => {
    const shop = await openShop();
    const { events } = await openStream(shop);

    const response = await post(shop, { region: 'eu', amount: 42 });

    expect(response.status).toBe(201);
    const order = await response.json();
    expect(order).toEqual({ id: 1, region: 'eu', amount: 42, status: 'new', createdAt: expect.any(String) });
    const data = { op: 'insert', id: 1, region: 'eu', amount: 42, status: 'new' };
    expect(await events.until(1)).toEqual([{ type: 'message', data }]);
    const jobs = await database.query('SELECT kind, order_id, finished_at FROM jobs');
    expect(jobs.rows).toEqual([{ kind: 'pack', order_id: 1, finished_at: null }]);
    const orders = await fetch(`${shop.url}/orders`);
    expect(await orders.json()).toEqual([order]);
  });

  it('tells of every committed insert and update, and of nothing else', async () => {
    const shop = await openShop();
    const { events } = await openStream(shop);

    await post(shop, { region: 'eu', amount: 1 });
    await database.query('BEGIN; UPDATE orders SET amount = 2; ROLLBACK');
    await database.query(`UPDATE orders SET status = 'shipped'`);
    await database.query('DELETE FROM orders');
    await post(shop, { region: 'us', amount: 3 });

    const seen = (await events.until(3)).map(({ data }) => data);
    expect(seen).toEqual([
      { op: 'insert', id: 1, region: 'eu', amount: 1, status: 'new' },
      { op: 'update', id: 1, region: 'eu', amount: 1, status: 'shipped' },
      { op: 'insert', id: 2, region: 'us', amount: 3, status: 'new' },
    ]);
  });

  it('neither stores nor announces an order whose job cannot be stored', async () => {
    const shop = await openShop();
    const { events } = await openStream(shop);
    await database.query('ALTER TABLE jobs ADD CONSTRAINT none CHECK (false)');
    expect((await post(shop, { region: 'eu', amount: 1 })).status).toBe(500);
    await database.query('ALTER TABLE jobs DROP CONSTRAINT none');

    await post(shop, { region: 'us', amount: 2 });

    expect(await events.until(1)).toMatchObject([{ data: { region: 'us' } }]);
    expect((await database.query('SELECT region FROM orders')).rows).toEqual([{ region: 'us' }]);
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

  it('starts twice at once on an empty database, and each instance tells of the orders of the other', async () => {
    const [one, other] = await Promise.all([openShop(), openShop()]);
    const applied = await database.query('SELECT name FROM schema_migrations ORDER BY name');
    expect(applied.rows).toEqual(migrations.map(({ name }) => ({ name })));

    const { events } = await openStream(other);
    await post(one, { region: 'eu', amount: 42 });

    expect(await events.until(1)).toMatchObject([{ data: { region: 'eu', amount: 42 } }]);
  });

  it('starts again on a database that it has used before', async () => {
    const first = await openShop();
    await post(first, { region: 'eu', amount: 42 });
    await first.app.close();
    const orders = await fetch(`${(await openShop()).url}/orders`);
    expect(await orders.json()).toMatchObject([{ region: 'eu', amount: 42 }]);
  });

  it('is healthy while it listens, and tells its streams when they may have missed something', async () => {
    const cluster = await createTestCluster();
    try {
      process.env.DATABASE_URL = cluster.url();
      const shop = await openShop();
      const { events } = await openStream(shop);
      const health = (): Promise<Response> => fetch(`${shop.url}/health`);
      const channels = { wanted: 1, acknowledged: 1 };
      const up = { status: 'up', listener: { state: 'listening', since: expect.any(String), channels } };
      expect(await (await health()).json()).toEqual(up);

      await cluster.stop();
      const response = await eventually(health, ({ status }) => status === 503);
      const listener = { state: 'reconnecting', since: expect.any(String), channels: { wanted: 1, acknowledged: 0 } };
      expect(await response.json()).toEqual({ status: 'down', listener });

      await cluster.start();
      expect(await events.until(1)).toEqual([{ type: 'gap', data: { reason: 'reconnect' } }]);
      const recovered = await eventually(health, ({ status }) => status === 200);
      expect(await recovered.json()).toEqual(up);
      expect((await post(shop, { region: 'eu', amount: 42 })).status).toBe(201);
      expect((await events.until(2))[1]).toMatchObject({ type: 'message', data: { region: 'eu', amount: 42 } });
      await shop.app.close();
    } finally {
      await cluster.remove();
    }
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
