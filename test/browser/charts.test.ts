import { expect, it } from '@jest/globals';
import { describeInBrowser, press, untilFigure, untilLevel } from '../support/browser.js';
import { eventually } from '../support/recorder.js';

describeInBrowser('the timeline and the charts of the page', (suite) => {
  it('show what an order has caused: notifications, a job that is done, and how long it took to get here', async () => {
    const page = await suite.open();
    const legend = (chart: string, text: RegExp) => page.locator(`#chart-${chart} .legend`, { hasText: text });
    await legend('orders', /^orders: 0$/).waitFor();
    await press(page, 'Place 1 order');
    await untilFigure(page, 'ours', 'shipped', 1);

    await page.locator('#timeline li', { hasText: /Notifications: .*order_events \d/ }).waitFor();
    await legend('orders', /^orders: 1$/).waitFor();
    await legend('jobs', /waiting: 0.*done since this page is open: 1$/s).waitFor();
    await legend('latency', /^ms: \d+$/).waitFor();
    await legend('queues', /Packer\.pack: 0/).waitFor();
    expect(await page.locator('.charts canvas').count()).toBe(4);
    const described = await page.evaluate<string[]>(
      '[...document.querySelectorAll(".charts [role=img]")].map((chart) => chart.getAttribute("aria-label"))',
    );
    expect(described[0]).toMatch(/^Orders per minute, the last two minutes\. Now: orders: 1$/);
  });

  it('show a lost connection and what it may have cost as lines of their own', async () => {
    const page = await suite.open();
    await press(page, 'Kill my listeners');
    const lines = page.locator('#timeline li');
    await lines.filter({ hasText: 'Not listening: reconnecting' }).first().waitFor();
    await lines
      .filter({ hasText: /Gap \(reconnect, .* s\): everything is read again/ })
      .first()
      .waitFor();
    await lines
      .filter({ hasText: /Listening$/ })
      .first()
      .waitFor();
    const texts = await lines.allInnerTexts(); // The newest first.
    const placeOf = (part: string): number => texts.findIndex((text) => text.includes(part));
    expect(placeOf('Gap (reconnect')).toBeLessThan(placeOf('Not listening: reconnecting'));
  });

  it('show a poll: the worker looks for jobs by itself while nobody knows whether notifications arrive', async () => {
    const page = await suite.open();
    const polls = page.locator('#timeline li', { hasText: 'Poll: the worker looks for jobs without a notification' });
    const before = (await polls.allInnerTexts()).join();
    await suite.shop.query(`INSERT INTO jobs (kind) VALUES ('take stock')`);
    // It looks at once if it has not for a second, and each further loss keeps the listener away for longer.
    await eventually(
      async () => {
        const since = Date.now();
        await press(page, 'Kill my listeners');
        await untilLevel(page, 'good', (await untilLevel(page, 'bad', since)).at);
        return (await polls.allInnerTexts()).join();
      },
      (texts) => texts !== before,
    );
    const waiting = await eventually(
      () => suite.shop.query('SELECT FROM jobs WHERE finished_at IS NULL'),
      (jobs) => jobs.length === 0,
    );
    expect(waiting).toEqual([]);
  });
});
