import { beforeEach, describe, expect, it } from '@jest/globals';
import { appSuite } from '../support/app/app-suite.js';
import { openShop, openStream, post, setEnvironment } from '../support/shop.js';
import type { Shop } from '../support/shop.js';
import { ShopProcess } from '../support/shop-process.js';

describe('the demonstrations of the sample app', () => {
  const suite = appSuite();

  beforeEach(() => setEnvironment(suite, { DATABASE_URL: suite.database.url }));

  async function refusalsOf(shop: Shop): Promise<unknown> {
    const { events } = await openStream(shop, 'dashboard');
    const [instance] = await events.until((all) => all.some(({ type }) => type === 'instance'));
    return (instance!.data as { refusals: unknown }).refusals;
  }

  it('break nothing on a database that DATABASE_URL names, and say why', async () => {
    const shop = await openShop(suite);
    const message = expect.stringContaining('DATABASE_URL');
    expect(await refusalsOf(shop)).toEqual({ kill: message, stop: message });
    for (const path of ['demo/kill-listeners', 'demo/stop-database']) {
      const response = await post(shop, path);
      expect([path, response.status, await response.json()]).toMatchObject([path, 403, { message }]);
    }
  });

  it('refuse a page of another origin to change anything', async () => {
    const shop = await openShop(suite);
    const order = { region: 'eu', amount: 1 };
    for (const origin of ['http://elsewhere.example', 'null', shop.url.replace('http', 'https') + '0']) {
      expect([origin, (await post(shop, 'orders', order, { origin })).status]).toEqual([origin, 403]);
    }
    expect((await post(shop, 'orders', order, { origin: shop.url })).status).toBe(201);
    expect((await suite.database.query('SELECT FROM orders')).rowCount).toBe(1);
  });

  it('show the error of a payload that is too big, which nobody receives', async () => {
    const shop = await openShop(suite);
    const response = await post(shop, 'demo/send-too-much');
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ message: expect.stringContaining('PostgreSQL allows 7999') });
  });

  it('change a price by SQL', async () => {
    const shop = await openShop(suite);
    const { price } = (await (await post(shop, 'demo/change-price', { id: 2 })).json()) as { price: number };
    const { rows } = await suite.database.query('SELECT price FROM products WHERE id = 2');
    expect(rows).toEqual([{ price }]);
    expect(price).not.toBe(89);
  });
});

describe('the configuration of the sample app', () => {
  const suite = appSuite({ bus: true });

  it.each([
    ['PORT', 'abc', 'PORT: takes a whole number from 0 to 65535'],
    ['PORT', '65536', 'PORT: takes a whole number from 0 to 65535'],
    ['JOB_FAILURE_RATE', 'often', 'JOB_FAILURE_RATE: takes a number from 0 to 1'],
  ])('fails the start for %s=%s, and names the variable', async (name, value, message) => {
    setEnvironment(suite, { [name]: value });
    await expect(openShop(suite)).rejects.toThrow(message);
  });

  it('ends the process with one line that says what is wrong with it', async () => {
    const shop = ShopProcess.spawn({ PORT: 'abc' });
    expect(await shop.ended).toBe(1);
    const said = shop.lines.items.filter((line) => !line.includes('[NestFactory]'));
    expect(said).toEqual([expect.stringContaining('The shop cannot start: Config validation error: PORT: takes')]);
  });
});
