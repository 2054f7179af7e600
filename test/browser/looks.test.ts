import { expect, it } from '@jest/globals';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { describeInBrowser, figureOf, press, untilFigure } from '../support/browser.js';

const ROOT = join(import.meta.dirname, '../..');
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** With `RENEW_IMAGES=1` the images of the README are made anew. */
const IMAGES = join(ROOT, process.env['RENEW_IMAGES'] ? 'docs/images' : '.data/images');
const MOST_BYTES = 200_000;

describeInBrowser('the looks of the page', (suite) => {
  /** What axe-core finds that keeps people from using the page. */
  async function findings(page: Page): Promise<string[]> {
    await page.evaluate(await readFile(AXE, 'utf8')); // As a script tag the page's policy would refuse it.
    const { violations } = await page.evaluate<AxeResults>('axe.run()');
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`));
  }

  async function overflow(page: Page): Promise<number> {
    return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  }

  it.each([
    ['light', 1_280],
    ['dark', 1_280],
    ['light', 390],
    ['dark', 390],
    ['light', 1_600],
  ] as const)('are accessible and fit in %s at %i pixels, well and broken', async (colorScheme, width) => {
    const page = await suite.open({ colorScheme, viewport: { width, height: 900 } });
    await press(page, 'Place 1 order');
    await page.locator('#chart-queues canvas').waitFor();
    expect(await findings(page)).toEqual([]);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.context().setOffline(true);
    await page.locator('#header[data-level=bad]').waitFor();
    expect(await findings(page)).toEqual([]);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.context().setOffline(false);
  });

  it('load nothing from elsewhere', async () => {
    const page = await suite.open();
    const loaded = await page.evaluate<string[]>('performance.getEntriesByType("resource").map(({ name }) => name)');
    expect(loaded.length).toBeGreaterThan(5);
    expect(loaded.filter((url) => !url.startsWith(suite.shop.url))).toEqual([]);
  });

  it('show a loss and its healing in two images that are small enough for the README', async () => {
    await mkdir(IMAGES, { recursive: true });
    const page = await suite.open({ viewport: { width: 1_280, height: 800 } });
    await page.locator('#ours [data-figure=orders]', { hasText: /\d/ }).waitFor();
    const before = await figureOf(page, 'ours', 'orders');
    for (let orders = before + 1; orders <= before + 5; orders++) {
      await press(page, 'Place 1 order');
      await untilFigure(page, 'ours', 'shipped', orders);
    }
    await untilFigure(page, 'naive', 'shipped', before + 5);
    await press(page, 'Stop the database for 10 s');
    await page.getByText('PostgreSQL is down').waitFor();
    await page.getByText('PostgreSQL is stopped for 10 seconds.').waitFor();
    await page.locator('#ours-badge', { hasText: 'may be outdated' }).waitFor();
    const images = ['lost', 'healed'].map((name) => join(IMAGES, `sample-${name}.png`)) as [string, string];
    await page.screenshot({ path: images[0] });
    await page.locator('#header[data-level=good]').waitFor();
    await press(page, 'Place 1 order');
    await page.getByText('The plain listener misses').waitFor();
    await page.screenshot({ path: images[1] });
    for (const image of images) expect((await stat(image)).size).toBeLessThan(MOST_BYTES);
  });
});
