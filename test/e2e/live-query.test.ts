import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Observable } from 'rxjs';
import { channelsOnServer } from '../support/app/listening-session.js';
import { appSuite } from '../support/app/app-suite.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { eventually, Recorder } from '../support/recorder.js';

const suite = appSuite({ options: { reconnect: { minDelay: 1, maxDelay: 50 } } });

beforeAll(async () => {
  await suite.database.query('CREATE TABLE orders (amount int NOT NULL)');
  await suite.database.query(`
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_notify('orders', '');
      RETURN NULL;
    END
    $$;
    CREATE TRIGGER tell AFTER INSERT OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION tell()`);
});

beforeEach(async () => {
  await suite.database.query('TRUNCATE orders');
});

function total() {
  let loads = 0;
  const load = async (): Promise<number> => {
    loads += 1;
    const { rows } = await suite.database.query<{ total: number }>(
      'SELECT coalesce(sum(amount), 0)::int AS total FROM orders',
    );
    return rows[0]!.total;
  };
  return { load, loads: () => loads };
}

function record<T>(values$: Observable<T>) {
  const seen = new Recorder<T | 'complete'>();
  const subscription = values$.subscribe({ next: seen.push, complete: () => seen.push('complete') });
  return { seen, leave: () => subscription.unsubscribe() };
}

describe('a live query on PostgreSQL', () => {
  it('loads once when it is first subscribed, however many subscribe', async () => {
    const { service } = await suite.start();
    const { load, loads } = total();
    const total$ = service.liveQuery('orders', load);
    await service.ready();
    expect(loads()).toBe(0);
    const all = Array.from({ length: 100 }, () => record(total$));
    for (const { seen } of all) expect(await seen.until(1)).toEqual([0]);
    await service.notify('elsewhere'); // A round trip later …
    await service.ready();
    const later = record(total$);
    expect([later.seen.items, loads()]).toEqual([[0], 1]); // … there was no other load.
  });

  it('shows the last state after a burst, in far fewer loads than there were changes', async () => {
    const { service } = await suite.start();
    const { load, loads } = total();
    const { seen } = record(service.liveQuery(['orders', 'others'], load));
    await seen.until(1);
    for (let i = 1; i <= 10; i += 1) {
      await suite.database.query('INSERT INTO orders SELECT 1 FROM generate_series(1, 1000)');
      await seen.until((values) => values.at(-1) === i * 1_000);
    }
    expect(loads()).toBeLessThan(1_000);
  });

  it('shows what was changed while the connection was lost', async () => {
    const { service } = await suite.start();
    const { seen } = record(service.liveQuery('orders', total().load));
    await seen.until(1);
    for (let i = 1; i <= 5; i += 1) {
      // The server still shows the backend of the round before for a while, so the application tells which one is its own.
      const { processId: pid } = service.status;
      await Promise.all([
        suite.database.query('SELECT pg_terminate_backend($1)', [pid]),
        suite.database.query('INSERT INTO orders VALUES (1)'),
      ]);
      await seen.until((values) => values.at(-1) === i);
      // The server shows the new backend before it has acknowledged that it listens: ended by then, it would not count.
      await eventually(
        () => service.stats().reconnects,
        (count) => count >= i,
      );
    }
    expect(service.stats().reconnects).toBe(5);
  });

  it('is listened to from the first subscriber to the last', async () => {
    const app = await suite.start();
    const total$ = app.service.liveQuery(['orders', 'others'], total().load);
    expect(await channelsOnServer(app)).toEqual([]);
    const [one, other] = [record(total$), record(total$)];
    await other.seen.until(1);
    one.leave();
    await app.service.ready();
    expect(await channelsOnServer(app)).toEqual(['orders', 'others']);
    other.leave();
    await eventually(
      () => channelsOnServer(app),
      (channels) => channels.length === 0,
    );
  });

  it.each(['refused', 'swallowed'] as const)('polls while connections to listen are %s', async (how) => {
    const proxy = suite.use(await FaultProxy.startFor(suite.database));
    if (how === 'refused') proxy.refuse();
    else proxy.blackhole();
    const { service } = await suite.start({
      connection: proxy.url(suite.database.url),
      startup: { mode: 'background' },
    });
    const { seen } = record(service.liveQuery('orders', total().load, { fallbackPollInterval: 50 }));
    for (let i = 1; i <= 3; i += 1) {
      await suite.database.query('INSERT INTO orders VALUES (1)');
      await seen.until((values) => values.at(-1) === i);
    }
    expect(service.status.state).toBe('connecting');
  });

  it('logs once that a load failed, and goes on with the last value until it succeeds', async () => {
    const { service, logger } = await suite.start();
    const errors = new Recorder<unknown>();
    service.errors$.subscribe(errors.push);
    const { load } = total();
    let fails = false;
    const total$ = service.liveQuery('orders', () => (fails ? Promise.reject(new Error('no total')) : load()));
    const { seen } = record(total$);
    await seen.until(1);
    fails = true;
    await suite.database.query('INSERT INTO orders VALUES (7)');
    await errors.until(1);
    expect(record(total$).seen.items).toEqual([0]);
    fails = false;
    expect(await seen.until(2)).toEqual([0, 7]);
    const lines = logger.texts('error');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('The load of the live query of "orders" failed: no total');
  });

  it('completes when the application is closed, and for whoever subscribes later', async () => {
    const { app, service } = await suite.start();
    const { load, loads } = total();
    const total$ = service.liveQuery('orders', load);
    const { seen } = record(total$);
    await seen.until(1);
    await app.close();
    expect([seen.items, record(total$).seen.items, loads()]).toEqual([[0, 'complete'], ['complete'], 1]);
  });

  it('refuses at once wrong channels, loads and options', async () => {
    const { service } = await suite.start();
    const load = (): number => 1;
    const cases: [() => unknown, object][] = [
      [() => service.liveQuery([], load), { kind: 'configuration' }],
      [() => service.liveQuery('x'.repeat(64), load), { kind: 'channel' }],
      [() => service.liveQuery('orders', undefined as never), { kind: 'configuration' }],
      [() => service.liveQuery('orders', load, { minInterval: -1 }), { kind: 'configuration' }],
      [() => service.liveQuery('orders', load, { fallbackPollInterval: 0 }), { kind: 'configuration' }],
      [() => service.liveQuery('orders', load, { onError: 'ignore' as never }), { kind: 'configuration' }],
    ];
    for (const [make, expected] of cases) {
      let thrown: unknown;
      try {
        make();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject(expected);
    }
  });
});
