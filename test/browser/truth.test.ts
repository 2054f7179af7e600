import { expect, it } from '@jest/globals';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describeInBrowser, figureOf, press, shownStates, untilFigure, untilLevel } from '../support/browser.js';
import { ShopProcess } from '../support/shop-process.js';

/** How fast the page notices what is wrong, in milliseconds. */
const PROMPT = 2_000;

/** Two images are for the README. With `RENEW_IMAGES=1` they are made anew. */
const IMAGES = join(import.meta.dirname, '../..', process.env['RENEW_IMAGES'] ? 'docs/images' : '.data/images');
const MOST_BYTES = 200_000;

async function picture(page: Page, name: string): Promise<void> {
  const { length } = await page.screenshot({ path: join(IMAGES, name) });
  expect(length).toBeLessThan(MOST_BYTES);
}

describeInBrowser('the header of the page', (suite) => {
  it('turns when the listeners are killed; our panel heals with a gap, and the plain one stays stale', async () => {
    const page = await suite.open();
    await press(page, 'Place 1 order');
    for (const panel of ['ours', 'naive'] as const) await untilFigure(page, panel, 'shipped', 1);
    const backend = await page.locator('#backend').innerText();

    const since = Date.now();
    await press(page, 'Kill my listeners');
    const turned = await untilLevel(page, 'bad', since);
    expect(turned.title).toBe('Reconnecting');
    expect(turned.at - since).toBeLessThan(PROMPT);
    await untilLevel(page, 'good', turned.at);
    await press(page, 'Place 1 order');
    await untilFigure(page, 'ours', 'shipped', 2);

    await page.getByText('Gap (reconnect').waitFor();
    await page.getByText('The plain listener misses 1 order, and nothing on it shows that.').waitFor();
    expect(await figureOf(page, 'naive', 'orders')).toBe(1);
    expect(await page.locator('#backend').innerText()).not.toBe(backend);

    await press(page, 'Connect it again by hand');
    await untilFigure(page, 'naive', 'orders', 2);
    await page.getByText('The plain listener misses').waitFor({ state: 'hidden' });
  });

  it('leaves nothing green while the database is stopped, and heals with a gap', async () => {
    const page = await suite.open({ viewport: { width: 1_280, height: 800 } });
    const before = await figureOf(page, 'ours', 'orders');
    const some = `INSERT INTO orders (region, amount, status) SELECT 'eu', 42, 'shipped' FROM generate_series(1, 3)`;
    await suite.shop.query(some);
    for (const panel of ['ours', 'naive'] as const) await untilFigure(page, panel, 'orders', before + 3);
    const since = Date.now();
    await press(page, 'Stop the database for 10 s');
    const turned = await untilLevel(page, 'bad', since);
    expect(turned.at - since).toBeLessThan(PROMPT);
    await page.getByText('PostgreSQL is down').waitFor();
    expect(await page.locator('[data-level=good]').count()).toBe(0);
    await page.locator('#ours-badge', { hasText: 'may be outdated' }).waitFor();
    await page.getByText('PostgreSQL is stopped for 10 seconds.').waitFor();
    await picture(page, 'sample-lost.png');
    await press(page, 'Place 1 order');
    const failure = page.getByText('The shop could not do that');
    await failure.waitFor();
    const stopped = await shownStates(page);
    expect(stopped.filter(({ at, level }) => at > turned.at && level !== 'bad')).toEqual([]);
    expect(await page.locator('[data-level=good]').count()).toBe(0);

    await page.locator('#header[data-level=good]').waitFor();
    expect(await page.locator('#delivery').innerText()).toBe('verified');
    await page.getByText(/Gap \(reconnect, 1\d s\)/).waitFor();
    await page.getByText(/^Healed at/).waitFor();
    await failure.waitFor({ state: 'hidden' });
    await press(page, 'Place 1 order');
    await untilFigure(page, 'ours', 'shipped', before + 4);
    await page.getByText('The plain listener misses 1 order').waitFor();
    await picture(page, 'sample-healed.png');
  });

  it('says within two seconds that the stream has stopped when the shop hangs', async () => {
    const page = await suite.open();
    const since = Date.now();
    suite.shop.signal('SIGSTOP');
    try {
      expect(await turn(page, since)).toBe('The stream has stopped');
    } finally {
      suite.shop.signal('SIGCONT');
    }
    await page.locator('#header[data-level=good]').waitFor();
  });

  it('says within two seconds that the browser is offline', async () => {
    const page = await suite.open();
    const since = Date.now();
    await page.context().setOffline(true);
    expect(await turn(page, since)).toBe('This browser is offline');
    expect(await page.locator('#delivery').innerText()).toBe('not known');
    await page.context().setOffline(false);
    await page.locator('#header[data-level=good]').waitFor();
  });

  it('says within two seconds that the shop does not answer, and comes back with it', async () => {
    const port = new URL(suite.shop.url).port;
    const page = await suite.open();
    const since = Date.now();
    suite.shop.signal('SIGKILL');
    expect(await turn(page, since)).toBe('The shop does not answer');
    await suite.shop.ended;
    const again = suite.use(await ShopProcess.start({ ...suite.environment, PORT: port }));
    await page.locator('#header[data-level=good]').waitFor();
    await page.locator('#instance', { hasText: `process ${again.pid}` }).waitFor();
  });

  /** What the header says as soon as it turns, which must be soon; nothing may be green then. */
  async function turn(page: Page, since: number): Promise<string> {
    const turned = await untilLevel(page, 'bad', since);
    expect(turned.at - since).toBeLessThan(PROMPT);
    expect(await page.locator('[data-level=good]').count()).toBe(0);
    return turned.title;
  }
});
