import { expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { describeInBrowser, press } from '../support/browser.js';

/** Where pictures of the whole page are kept, to be looked at after a change of its style. */
const IMAGES = join(import.meta.dirname, '../../.data/images');

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

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
    const picture = (state: string): Promise<unknown> =>
      page.screenshot({ path: join(IMAGES, `looks-${colorScheme}-${width}-${state}.png`), fullPage: true });
    await press(page, 'Place 1 order');
    await page.locator('#chart-queues canvas').waitFor();
    await picture('well');
    expect(await findings(page)).toEqual([]);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.context().setOffline(true);
    await page.locator('#header[data-level=bad]').waitFor();
    await picture('broken');
    expect(await findings(page)).toEqual([]);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.context().setOffline(false);
  });

  it('show the orders of both panels side by side on a telephone, without scrolling', async () => {
    const page = await suite.open({ viewport: { width: 390, height: 844 } });
    await press(page, 'Place 1 order');
    const boxes = await Promise.all(
      ['naive', 'ours'].map(async (panel) => page.locator(`#${panel} [data-figure=shipped]`).boundingBox()),
    );
    expect(boxes.map((box) => box!.y + box!.height < 844)).toEqual([true, true]);
    expect(boxes[0]!.x).toBeLessThan(boxes[1]!.x);
    expect(boxes[0]!.y).toBe(boxes[1]!.y);
  });

  it('say what the plain listener misses right below the two panels on a telephone', async () => {
    const page = await suite.open({ viewport: { width: 390, height: 844 } });
    await press(page, 'Place 1 order');
    await press(page, 'Kill my listeners');
    await press(page, 'Place 1 order');
    await page.getByText('The plain listener misses').waitFor();
    const tops = ['#ours', '#difference', '#timeline'].map(async (part) => (await page.locator(part).boundingBox())!.y);
    const [ours, difference, timeline] = await Promise.all(tops);
    expect(difference).toBeGreaterThan(ours!);
    expect(difference).toBeLessThan(timeline!);
  });

  it.each([390, 1_280])('show the code of both panels without cutting it at %i pixels', async (width) => {
    const page = await suite.open({ viewport: { width, height: 900 } });
    for (const code of ['naive', 'ours']) await page.locator(`#${code} summary`).click();
    const cut = await page.evaluate<number[]>(
      '[...document.querySelectorAll("pre")].map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)',
    );
    expect(cut).toEqual([0, 0]);
  });

  it('load nothing from elsewhere', async () => {
    const page = await suite.open();
    const loaded = await page.evaluate<string[]>('performance.getEntriesByType("resource").map(({ name }) => name)');
    expect(loaded.length).toBeGreaterThan(5);
    expect(loaded.filter((url) => !url.startsWith(suite.shop.url))).toEqual([]);
  });
});
