import { expect, it } from '@jest/globals';
import { describeInBrowser, figureOf, press, untilFigure } from '../support/browser.js';
import { eventually } from '../support/recorder.js';
import { ShopProcess } from '../support/shop-process.js';

describeInBrowser('the buttons of the page', (suite) => {
  async function count(what: string): Promise<number> {
    const [row] = await suite.shop.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${what}`);
    return row!.count;
  }

  it('place one order and a thousand, which both panels count as the database does', async () => {
    const page = await suite.open();
    await page.getByText('No orders yet').first().waitFor();
    await press(page, 'Place 1 order');
    await page.getByText('One order is placed.').waitFor();
    for (const panel of ['ours', 'naive'] as const) await untilFigure(page, panel, 'orders', 1);
    await press(page, 'Place 1,000 orders');
    for (const panel of ['ours', 'naive'] as const) await untilFigure(page, panel, 'orders', 1_001);
    expect(await count('orders')).toBe(1_001);
    const revenue = await page.locator('#ours [data-figure=revenue]').innerText();
    const [row] = await suite.shop.query<{ sum: string }>('SELECT sum(amount) FROM orders');
    expect(revenue.replaceAll(',', '')).toBe(row!.sum);
    await page.getByText('1,001 confirmations sent for 1,001 orders').waitFor();
    expect(await count('mails')).toBe(1_001);
    // The other tests do not wait for a thousand jobs.
    await suite.shop.query(`DELETE FROM jobs; UPDATE orders SET status = 'shipped' WHERE status = 'new'`);
  });

  it('change a price by SQL, which the cache takes over', async () => {
    const page = await suite.open();
    const prices = page.locator('#products tr', { hasText: 'Coffee beans' }).locator('td.number');
    await expect(prices.allInnerTexts()).resolves.toEqual(['14', '14']);
    await press(page, 'Change a price by SQL');
    await eventually(
      () => prices.allInnerTexts(),
      ([database, cache]) => database !== '14' && cache === database,
    );
    const [row] = await suite.shop.query<{ price: number }>('SELECT price FROM products WHERE id = 1');
    expect(await prices.allInnerTexts()).toEqual([String(row!.price), String(row!.price)]);
  });

  it('enqueue a hundred jobs, which are done', async () => {
    const page = await suite.open();
    const before = await count('jobs WHERE finished_at IS NOT NULL');
    await press(page, 'Enqueue 100 jobs');
    await page.locator('#jobs-done', { hasText: (before + 100).toLocaleString('en-US') }).waitFor();
    expect(await count('jobs WHERE finished_at IS NOT NULL')).toBe(before + 100);
  });

  it('try failed jobs again', async () => {
    const page = await suite.open();
    await suite.shop.query(`INSERT INTO jobs (kind, attempts, failed_at) VALUES ('take stock', 3, now())`);
    await press(page, 'Try failed jobs again');
    await page.locator('#jobs-failed', { hasText: /^0$/ }).waitFor();
    expect(await count('jobs WHERE failed_at IS NOT NULL')).toBe(0);
  });

  it('show the error of a payload that is too big', async () => {
    const page = await suite.open();
    await press(page, 'Send too big a payload');
    const answer = page.locator('#answer');
    await answer.filter({ hasText: 'PostgreSQL allows 7999' }).waitFor();
    await press(page, 'Place 1 order');
    await answer.filter({ hasText: 'One order is placed.' }).waitFor();
    expect(await answer.getAttribute('data-level')).toBe('');
  });

  it('let the mail server be down, list the dead letter, and send it when it is tried again', async () => {
    const page = await suite.open();
    const mails = await count('mails');
    await page.getByLabel('The mail server').selectOption('is down');
    await page.getByText('The mail server is down.').waitFor();
    await press(page, 'Place 1 order');
    const again = page.getByRole('button', { name: /^Try the mail for order \d+ again$/ });
    await again.waitFor();
    expect(await count('mails')).toBe(mails);
    await page.getByLabel('The mail server').selectOption('works');
    await page.getByText('The mail server works.').waitFor();
    await again.click();
    await page.getByText('No mail was given up.').waitFor();
    await eventually(
      () => count('mails'),
      (now) => now === mails + 1,
    );
  });

  it('work by keyboard, in their order', async () => {
    const page = await suite.open();
    const before = await figureOf(page, 'ours', 'orders');
    const focused: (string | undefined)[] = [];
    for (let presses = 0; presses < 8; presses++) {
      await page.keyboard.press('Tab');
      focused.push(await page.evaluate('document.activeElement.textContent.trim()'));
    }
    expect(focused).toEqual([
      'Skip to the content',
      'Place 1 order',
      'Place 1,000 orders',
      'Change a price by SQL',
      'Enqueue 100 jobs',
      'Send too big a payload',
      'Kill my listeners',
      'Stop the database for 10 s',
    ]);
    await page.getByRole('button', { name: 'Place 1 order', exact: true }).focus();
    await page.keyboard.press('Enter');
    await untilFigure(page, 'ours', 'orders', before + 1);
  });

  it('cost one query for a burst, however many pages are open', async () => {
    const pages = await Promise.all([suite.open(), suite.open(), suite.open()]);
    const orders = await count('orders');
    await Promise.all(pages.map((page) => untilFigure(page, 'ours', 'shipped', orders)));
    const queries = (): Promise<string[]> =>
      Promise.all(pages.map((page) => page.locator('#ours [data-queries]').innerText()));
    const quiet = await eventually(queries, (all) => new Set(all).size === 1);

    await suite.shop.query(`INSERT INTO orders (region, amount, status) VALUES ('eu', 1, 'shipped')`);

    await Promise.all(pages.map((page) => untilFigure(page, 'ours', 'orders', orders + 1)));
    const after = await eventually(queries, (all) => new Set(all).size === 1 && all[0] !== quiet[0]);
    expect(Number(after[0]) - Number(quiet[0])).toBe(1);
  });

  it('show on a second instance what was done on the first, and why that one cannot stop the database', async () => {
    const second = suite.use(await ShopProcess.start(suite.environment));
    const [one, other] = await Promise.all([suite.open(), suite.open({ url: second.url })]);
    const orders = await count('orders');
    await press(one, 'Place 1 order');
    for (const panel of ['ours', 'naive'] as const) await untilFigure(other, panel, 'orders', orders + 1);
    await other.getByText(`process id ${suite.shop.pid} runs the database`).waitFor();
    expect(await other.getByRole('button', { name: 'Stop the database for 10 s' }).count()).toBe(0);
    expect(await other.getByRole('button', { name: 'Kill my listeners' }).count()).toBe(1);
  });
});
