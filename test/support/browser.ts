import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { cleanups } from './cleanups.js';
import type { Cleanups } from './cleanups.js';
import { isExecutable } from './executable.js';
import { ShopProcess } from './shop-process.js';

/** Where the browser is; undefined if none is installed. */
function findChromium(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), '/usr/bin'];
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

/** The page of a shop with a server of its own, and browsers to look at it. */
export interface ShopSuite extends Cleanups {
  readonly shop: ShopProcess;
  /** What it was started with: to start it again, or another instance beside it. */
  readonly environment: NodeJS.ProcessEnv;
  /** Opens the page in a browser context of its own. A test fails in which the browser has logged an error. */
  readonly open: (options?: BrowserContextOptions & { readonly url?: string }) => Promise<Page>;
}

/** A suite that needs a browser: without one it is skipped, and one line says so; where `CI` is set it fails. */
export function describeInBrowser(name: string, declare: (suite: ShopSuite) => void): void {
  const program = findChromium();
  const remedy = 'no Chromium is installed (on Debian: "apt-get install chromium")';
  if (program === undefined && process.env['CI']) throw new Error(`${name}: ${remedy}.`);
  // Not by console, which the option --silent of Jest switches off.
  if (program === undefined) writeSync(2, `Skipped, because ${remedy}: ${name}.\n`);
  (program === undefined ? describe.skip : describe)(name, () => declare(shopSuite(program!)));
}

function shopSuite(executablePath: string): ShopSuite {
  const { cleanup, use } = cleanups();
  let [browser, shop]: [Browser?, ShopProcess?] = [];
  const environment: NodeJS.ProcessEnv = { JOB_DURATION: '0', JOB_FAILURE_RATE: '0' };

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-browser-'));
    cleanup(() => rm(folder, { recursive: true, force: true }));
    environment['DATA_DIRECTORY'] = folder;
    const args = ['--no-sandbox', '--disable-background-networking'];
    const launching = chromium.launch({ executablePath, args });
    shop = use(await ShopProcess.start(environment));
    await shop.query('UPDATE mail_server SET failure_rate = 0');
    browser = await launching;
  });

  afterAll(() => browser?.close());

  async function open({ url, ...options }: Parameters<ShopSuite['open']>[0] = {}): Promise<Page> {
    const context = await browser!.newContext({ viewport: { width: 1_280, height: 900 }, ...options });
    cleanup(() => context.close());
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', ({ message }) => problems.push(message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !isOfTheNetwork(message.text())) problems.push(message.text());
    });
    cleanup(() => expect(problems).toEqual([]));
    await page.addInitScript(recordHeader);
    await page.goto(url ?? shop!.url);
    await page.locator('#header[data-level=good]').waitFor();
    return page;
  }

  return {
    cleanup,
    use,
    environment,
    open,
    get shop() {
      return shop!;
    },
  };
}

/** Chromium logs each response that is an error, and each server that does not answer: the tests cause those. */
function isOfTheNetwork(text: string): boolean {
  return text.startsWith('Failed to load resource');
}

/** What the header has shown. */
export interface ShownState {
  readonly level: string;
  readonly title: string;
  readonly at: number;
}

declare global {
  /** In the browser: what {@link recordHeader} has recorded. */
  // eslint-disable-next-line no-var -- A property of the global object.
  var shownStates: ShownState[];
}

/** Runs in the browser, before the page does. */
function recordHeader(): void {
  globalThis.shownStates = [];
  const { document, MutationObserver } = globalThis as unknown as {
    document: { addEventListener(name: string, listen: () => void): void; querySelector(selector: string): Shown };
    MutationObserver: new (call: () => void) => { observe(target: unknown, options: object): void };
  };
  interface Shown {
    readonly dataset: Record<string, string>;
    readonly textContent: string;
  }
  document.addEventListener('DOMContentLoaded', () => {
    const header = document.querySelector('#header');
    const title = document.querySelector('#state-title');
    const observer = new MutationObserver(() => {
      const level = header.dataset['level'] ?? '';
      globalThis.shownStates.push({ level, title: title.textContent, at: Date.now() });
    });
    observer.observe(header, { attributes: true, childList: true, characterData: true, subtree: true });
  });
}

/** What the header has shown since the page was opened. */
export function shownStates(page: Page): Promise<ShownState[]> {
  return page.evaluate(() => globalThis.shownStates);
}

/** Resolves when the header is of that level, with what it has said first at that level since `since`. */
export async function untilLevel(page: Page, level: string, since: number): Promise<ShownState> {
  const wanted = ([of, from]: [string, number]): boolean =>
    globalThis.shownStates.some((state) => state.level === of && state.at >= from);
  await page.waitForFunction(wanted, [level, since] as [string, number]);
  return (await shownStates(page)).find((state) => state.level === level && state.at >= since)!;
}

/** Presses the button with that name. */
export async function press(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name, exact: true }).click();
}

/** Resolves when a figure of a panel is what it should be. */
export async function untilFigure(
  page: Page,
  panel: 'ours' | 'naive',
  name: 'orders' | 'shipped',
  value: number,
): Promise<void> {
  const figure = page.locator(`#${panel} [data-figure=${name}]`);
  await figure.filter({ hasText: new RegExp(`^${value.toLocaleString('en-US')}$`) }).waitFor();
}

/** A figure of a panel, as soon as there is one. */
export async function figureOf(page: Page, panel: 'ours' | 'naive', name: 'orders' | 'shipped'): Promise<number> {
  const figure = page.locator(`#${panel} [data-figure=${name}]`);
  await figure.filter({ hasText: /\d/ }).waitFor();
  return Number((await figure.innerText()).replaceAll(',', ''));
}
