import { beforeEach, describe, expect, it } from '@jest/globals';
import { appSuite } from '../support/app/app-suite.js';
import type { TestDatabase } from '../support/postgres.js';
import { eventually } from '../support/recorder.js';
import { openShop, openStream, post, setEnvironment } from '../support/shop.js';
import type { DeadMail } from '../../sample-app/mail/mail.service.js';
import { ShopProcess } from '../support/shop-process.js';

describe('the mail of the sample app', () => {
  const suite = appSuite();
  let database: TestDatabase;

  beforeEach(async () => {
    database = await suite.createDatabase();
    setEnvironment(suite, { DATABASE_URL: database.url });
  });

  async function mailedOrders(): Promise<number[]> {
    const { rows } = await database.query<{ order_id: number }>('SELECT order_id FROM mails ORDER BY order_id');
    return rows.map(({ order_id: id }) => id);
  }

  async function untilMailed(count: number): Promise<number[]> {
    return eventually(mailedOrders, ({ length }) => length >= count);
  }

  it('confirms every committed order once, and none that was rolled back', async () => {
    const shop = await openShop(suite);
    await database.query('UPDATE mail_server SET failure_rate = 0');
    await database.query('ALTER TABLE jobs ADD CONSTRAINT none CHECK (false)');
    expect((await post(shop, 'orders', { region: 'eu', amount: 1 })).status).toBe(500); // Its id is 1.
    await database.query('ALTER TABLE jobs DROP CONSTRAINT none');

    expect((await post(shop, 'orders', { region: 'eu', amount: 2 })).status).toBe(201);
    expect((await post(shop, 'orders/many', { count: 20 })).status).toBe(201);

    expect(await untilMailed(21)).toEqual(Array.from({ length: 21 }, (_, index) => index + 2));
  });

  it('shows mails that were given up to every instance, and sends them when they are tried again', async () => {
    const [shop, other] = await Promise.all([openShop(suite), openShop(suite)]);
    const { events } = await openStream(other, 'dashboard');
    const lastDead = (): readonly DeadMail[] | undefined => {
      const event = events.items.findLast(({ type }) => type === 'dead');
      return (event?.data as { value: DeadMail[] } | undefined)?.value;
    };
    await database.query('UPDATE mail_server SET failure_rate = 1');
    await post(shop, 'orders', { region: 'eu', amount: 1 });
    await events.until(() => lastDead()?.length === 1);
    const [dead] = lastDead()!;
    expect(dead).toMatchObject({ orderId: 1, attempts: 3, error: expect.stringContaining('The mail server is down') });
    expect(await mailedOrders()).toEqual([]);

    await database.query('UPDATE mail_server SET failure_rate = 0');
    const response = await post(shop, `mail/dead-letters/${dead!.eventId}/requeue`);

    expect(await response.json()).toEqual({ requeued: 1 });
    expect(await untilMailed(1)).toEqual([1]);
    await events.until(() => lastDead()?.length === 0);
  });

  it('answers an id that cannot be one of a dead letter with 400', async () => {
    const shop = await openShop(suite);
    expect((await post(shop, 'mail/dead-letters/1/requeue')).status).toBe(400);
  });

  it('loses no mail and sends none twice when the process is killed by SIGKILL', async () => {
    const first = await ShopProcess.start({ DATABASE_URL: database.url, JOB_DURATION: '0' });
    suite.use(first);
    await database.query('UPDATE mail_server SET failure_rate = 0');
    const { url } = first;
    const headers = { 'content-type': 'application/json' };
    await fetch(`${url}/orders/many`, { method: 'POST', headers, body: JSON.stringify({ count: 1_000 }) });
    const before = await untilMailed(50);
    first.signal('SIGKILL');
    await first.ended;
    expect(before.length).toBeLessThan(1_000);

    suite.use(await ShopProcess.start({ DATABASE_URL: database.url, JOB_DURATION: '0' }));

    expect(await untilMailed(1_000)).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1));
  });
});
