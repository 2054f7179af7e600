import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import type { CodeBlock } from '../../dev/markdown/markdown-page.js';
import { findBrokenBlocks } from '../../dev/markdown/typescript-blocks.js';

const ROOT = join(import.meta.dirname, '../..');
const RECIPES = join(ROOT, 'test/recipes');

/** The folders of recipes, each of which belongs to the page of its name; `generated` stands for a client of Prisma. */
const folders = (await readdir(RECIPES, { withFileTypes: true })).filter(
  (entry) => entry.isDirectory() && entry.name !== 'generated',
);

/** Every file in such a folder. */
const recipes = (
  await Promise.all(folders.map(async ({ name }) => (await readdir(join(RECIPES, name))).map((file) => [name, file])))
)
  .flat()
  .filter(([, file]) => file!.endsWith('.ts')) as [page: string, file: string][];

async function blocksOf(path: string): Promise<readonly CodeBlock[]> {
  return new MarkdownPage(await readFile(join(ROOT, path), 'utf8')).codeBlocks;
}

describe('a page', () => {
  it.each(recipes)('%s shows the recipe %s as it is compiled and run', async (page, file) => {
    const recipe = await readFile(join(RECIPES, page, file), 'utf8');
    const blocks = await blocksOf(`docs/${page}.md`);
    expect(blocks.filter(({ code }) => code === recipe)).toHaveLength(1);
  });
});

describe('docs/patterns.md', () => {
  it('has a shop that compiles without the lines which are only for durable events', async () => {
    const files = await Promise.all(
      ['orders.ts', 'shop.module.ts'].map((file) => readFile(join(RECIPES, 'patterns', file), 'utf8')),
    );
    const shown = files.map((code) => code.replaceAll(/^.* \/\/ Only for durable events\.\n/gm, ''));
    for (const code of shown) expect(code).not.toMatch(/events'|billing|PgEvents/i);
    const markdown = shown.map((code) => `\`\`\`ts\n${code}\`\`\`\n`).join('\n');
    expect(findBrokenBlocks(ROOT, [{ path: 'docs/patterns.md', markdown }])).toEqual([]);
  }, 120_000);
});

describe('SQL that pages and the command line let psql run', () => {
  it('is read from a pipe, runs in one transaction, and stops at its first error', async () => {
    const pages = (await readdir(join(ROOT, 'docs')))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`);
    const paths = ['README.md', ...pages, 'lib/cli/events.ts', 'lib/cli/trigger.ts'];
    const texts = await Promise.all(paths.map((path) => readFile(join(ROOT, path), 'utf8')));
    const commands = texts.flatMap((text) => text.match(/psql(?= -| "\$D)[^\n`|]*/g) ?? []);
    const reading = commands.filter((command) => !/ -c /.test(command));
    expect(reading.length).toBeGreaterThan(8);
    for (const command of reading) {
      expect(command).toMatch(/^psql -1 -v ON_ERROR_STOP=1 -f - "\$DATABASE_URL"/);
    }
  });
});

/** What a figure looks like that somebody has measured, and not set. */
const MEASURED = /\d ?(µs|ns)\b|\d ×|\bmeasured\b|\btook [^.]*\d/i;

/** Where its source may be: a page of results, or a test. */
const SOURCE = /\]\([\w/]*(performance|guarantees|scaling)\.md#?|`test\/[\w/-]+\.test\.ts`/;

/** Pages that are about results, and say of all of them how they were measured. */
const RESULTS = ['performance.md', 'guarantees.md', 'scaling.md', 'cdc.md', 'relay.md'];

describe('a figure that was measured', () => {
  it('stands on a page of results, or beside a link to one or to a test', async () => {
    const pages = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md') && !RESULTS.includes(name));
    const paths = ['README.md', ...pages.map((name) => `docs/${name}`)];
    const parts = await Promise.all(
      paths.map(async (path) => {
        const text = (await readFile(join(ROOT, path), 'utf8')).replaceAll(/^ *```[^]*?^ *```$/gm, '');
        return text.split(/\n\n|\n(?=[-|] )/).map((part) => ({ path, part }));
      }),
    );
    const figures = parts.flat().filter(({ part }) => MEASURED.test(part));
    expect(figures.length).toBeGreaterThan(2);
    expect(figures.filter(({ part }) => !SOURCE.test(part))).toEqual([]);
  });
});

describe('README.md', () => {
  it('leads to every page of docs/', async () => {
    const { links } = new MarkdownPage(await readFile(join(ROOT, 'README.md'), 'utf8'));
    const targets = new Set(links.map((link) => link.split('#')[0]));
    const pages = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md'));
    expect(pages.filter((name) => !targets.has(`docs/${name}`))).toEqual([]);
  });

  it('has less than 200 lines', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    expect(readme.split('\n').length).toBeLessThan(200);
  });

  it('shows TypeScript that is compiled and run as part of docs/patterns.md', async () => {
    const files = recipes.filter(([page]) => page === 'patterns').map(([, file]) => join(RECIPES, 'patterns', file));
    const sources = await Promise.all(files.map(async (file) => withoutIndentation(await readFile(file, 'utf8'))));
    const blocks = (await blocksOf('README.md')).filter(({ info }) => info[0] === 'ts');
    expect(blocks.length).toBeGreaterThan(6);
    for (const { code } of blocks) {
      const part = withoutIndentation(code);
      expect({ code, isShown: sources.some((source) => source.includes(part)) }).toEqual({ code, isShown: true });
    }
  });

  it('shows rows of the table of faults as docs/guarantees.md has them, shortened', async () => {
    const [shown, all] = await Promise.all(['README.md', 'docs/guarantees.md'].map(async (path) => faultsOf(path)));
    expect(shown!.map(({ fault }) => fault)).toEqual(Object.keys(FAULTS));
    for (const { fault, ...peers } of shown!) {
      const row = all!.find((each) => each['fault'] === FAULTS[fault as keyof typeof FAULTS])!;
      for (const [peer, cell] of Object.entries(peers)) {
        const measured = statementsOf(row[peer]!);
        const statements = statementsOf(cell);
        expect({ fault, peer, statements }).toEqual({
          fault,
          peer,
          statements: measured.filter((each) => statements.includes(each)),
        });
        expect(statements[0]).toBe(measured[0]);
      }
    }
  });

  it('says within its first 400 words when not to use the package', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    const [before] = readme.split('## When not to use it');
    const read = before!.replaceAll(/^!.*$/gm, '').replaceAll(/\]\([^)]*\)/g, ']'); // Without the picture and the targets of links.
    const words = read.split(/\s+/).filter((word) => /\w/.test(word));
    expect(words.length).toBeGreaterThan(100);
    expect(words.length).toBeLessThan(400);
  });
});

/** The faults of README.md: those of docs/guarantees.md, in words that need no explanation. */
const FAULTS = {
  "the server's side of the connection vanishes without a word":
    'half-open: server side gone, client side open and silent',
  'the session no longer listens (`UNLISTEN *`)': 'registration lost on a live session (`UNLISTEN *`)',
  'PgBouncer in transaction mode': 'behind PgBouncer, `pool_mode=transaction`, busy',
  'a handler throws': 'a handler throws',
  '`close()` while the network drops all': '`close()` while all bytes vanish',
};

/** The statements of a cell of the table of faults. */
function statementsOf(cell: string): string[] {
  return cell.replaceAll('**', '').split(/[;,:] /);
}

function withoutIndentation(code: string): string {
  return code.replaceAll(/^ +/gm, '');
}

/** The rows of the table of faults of a page, by the titles of its columns. */
async function faultsOf(path: string): Promise<Record<string, string>[]> {
  const lines = (await readFile(join(ROOT, path), 'utf8')).split('\n');
  const head = lines.findIndex((line) => /^\| fault +\| nest-pg-notify/.test(line));
  const end = lines.findIndex((line, index) => index > head && !line.startsWith('|'));
  const [titles, , ...rows] = lines.slice(head, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return rows.map((cells) => Object.fromEntries(cells.map((cell, index) => [titles![index]!, cell])));
}
