import { beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { PgDeliveryVerdict, PgLiveValue } from 'nest-pg-notify';
import { PgConsumers } from '../../lib/consumers/pg-consumers.js';
import type { NaiveState } from '../../sample-app/dashboard/naive-listener.js';
import type { Summary } from '../../sample-app/dashboard/summaries.js';
import { appSuite } from '../support/app/app-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { Recorder } from '../support/recorder.js';
import { openShop, openStream, post, setEnvironment } from '../support/shop.js';
import type { EventStream, Shop, StreamEvent } from '../support/shop.js';

interface Shown {
  readonly status: { readonly delivery: PgDeliveryVerdict };
  readonly summary: PgLiveValue<Summary>;
  readonly naive: NaiveState;
  readonly tick: { readonly queries: number };
}

describe('the dashboard of the sample app', () => {
  const suite = appSuite();
  let database: TestDatabase;

  beforeEach(async () => {
    database = await suite.createDatabase();
    setEnvironment(suite, { DATABASE_URL: database.url });
  });

  function last<Type extends keyof Shown>({ items }: Recorder<StreamEvent>, type: Type): Shown[Type] | undefined {
    return items.findLast((event) => event.type === type)?.data as Shown[Type] | undefined;
  }

  /** Resolves when the live query shows so many orders, and all of them shipped. */
  async function untilShipped({ events }: Pick<EventStream, 'events'>, orders: number): Promise<void> {
    await events.until(() => {
      const summary = last(events, 'summary');
      return summary?.stale === false && summary.value.orders === orders && summary.value.shipped === orders;
    });
  }

  async function openSocket({ url }: Shop, headers = {}): Promise<WebSocket> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/dashboard/socket`, { headers });
    suite.cleanup(() => socket.terminate());
    await once(socket, 'open');
    return socket;
  }

  it('keeps the figures up to date, and ends its streams when the shop is closed', async () => {
    const shop = await openShop(suite);
    const stream = await openStream(shop, 'dashboard');
    await untilShipped(stream, 0);
    await post(shop, 'orders', { region: 'eu', amount: 42 });
    await post(shop, 'orders', { region: 'us', amount: 8 });
    await untilShipped(stream, 2);
    await database.query(`UPDATE orders SET status = 'cancelled' WHERE amount = 8`);
    await stream.events.until(() => last(stream.events, 'summary')?.value.revenue === 42);
    await shop.app.close();
    await expect(stream.ended).resolves.toBeUndefined();
  });

  it('sends the same over a WebSocket, also while the event stream of another page is open', async () => {
    const shop = await openShop(suite);
    const stream = await openStream(shop, 'dashboard');
    const socket = await openSocket(shop);
    const events = new Recorder<StreamEvent>();
    socket.on('message', (text: Buffer) => {
      const { event, data } = JSON.parse(text.toString()) as { event: string; data: unknown };
      events.push({ type: event, data });
    });
    socket.send(JSON.stringify({ event: 'dashboard' }));
    await post(shop, 'orders', { region: 'eu', amount: 42 });
    await Promise.all([untilShipped(stream, 1), untilShipped({ events }, 1)]);
    expect(last(events, 'summary')).toEqual(last(stream.events, 'summary'));
    const closed = once(socket, 'close');
    await shop.app.close();
    await closed;
  });

  it('refuses a WebSocket to a page of another origin', async () => {
    const shop = await openShop(suite);
    const headers = { origin: 'http://elsewhere.example' };
    await expect(openSocket(shop, headers)).rejects.toThrow('401');
    await expect(openSocket(shop, { origin: shop.url })).resolves.toBeDefined();
  });

  it('makes as many queries for three streams as for one', async () => {
    const shop = await openShop(suite);
    const streams = await Promise.all([1, 2, 3].map(() => openStream(shop, 'dashboard')));
    await Promise.all(streams.map((stream) => untilShipped(stream, 0)));
    const [{ events }] = streams as [EventStream];
    const summaries = (): number[] =>
      streams.map((stream) => stream.events.items.filter(({ type }) => type === 'summary').length);
    /** How many queries there were, when none is under way. */
    const queries = async (): Promise<number> => {
      await shop.app.get(PgConsumers, { strict: false }).settled();
      const { length } = events.items;
      await events.until((all) => all.slice(length).some(({ type }) => type === 'tick'));
      return last(events, 'tick')!.queries;
    };
    // Until notifications are known to arrive, a live query polls every second as well.
    await events.until(() => last(events, 'status')?.delivery.verdict === 'verified');
    const before = await queries();
    const shownBefore = summaries();

    await database.query(`INSERT INTO orders (region, amount, status) VALUES ('eu', 1, 'shipped')`);

    await Promise.all(streams.map((stream) => untilShipped(stream, 1)));
    expect(await queries()).toBe(before + 1);
    expect(summaries()).toEqual(shownBefore.map((count) => count + 1));
  });

  it('says that it may be outdated and heals after a loss, while a plain listener stays as it was', async () => {
    const shop = await openShop(suite);
    const stream = await openStream(shop, 'dashboard');
    await post(shop, 'orders', { region: 'eu', amount: 1 });
    await untilShipped(stream, 1);
    const naive = (): NaiveState => last(stream.events, 'naive')!;
    await stream.events.until(() => naive().summary?.shipped === 1);
    const before = stream.events.items.length;
    const since = (): readonly StreamEvent[] => stream.events.items.slice(before);

    // In one transaction: nobody listens any more when the order is committed.
    await database.query(`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND (query = 'LISTEN order_events' OR application_name = 'nest-pg-notify listener');
      INSERT INTO orders (region, amount, status) VALUES ('eu', 2, 'shipped')`);
    await untilShipped(stream, 2);

    const states = since().flatMap(({ type, data }) => (type === 'status' ? [(data as { state: string }).state] : []));
    expect(states).toContain('reconnecting');
    expect(states.at(-1)).toBe('listening');
    const stale = since().flatMap(({ type, data }) => (type === 'summary' ? [(data as { stale: boolean }).stale] : []));
    expect(stale).toContain(true);
    await stream.events.until(() => since().some(({ data }) => (data as { reason?: string }).reason === 'reconnect'));
    const gap = since().find(({ data }) => (data as { reason?: string }).reason === 'reconnect');
    expect(gap).toMatchObject({ type: 'activity', data: { kind: 'gap', length: expect.any(Number) } });
    expect(naive().summary).toMatchObject({ orders: 1, shipped: 1 });

    await post(shop, 'demo/connect-naive-listener');
    await stream.events.until(() => naive().summary?.orders === 2);
  });
});
