import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { findDeadLinks } from '../package/dead-links.js';

const ROOT = resolve(import.meta.dirname, '../..');

describe('findDeadLinks()', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-links-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function deadLinksOf(files: Readonly<Record<string, string>>): Promise<string[]> {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), content);
    }
    return findDeadLinks(folder, Object.keys(files));
  }

  it('accepts links to files, pages, headings and other sites', async () => {
    const page = [
      '# Title',
      '[file](LICENSE) [page](docs/a.md) [its heading](docs/a.md#the-heading-of-a) [my heading](#title)',
      '[site](https://example.com/x#y) [mail](mailto:a@example.com) ![picture](docs/a%20b.png)',
      '',
      '[by reference][a]',
      '',
      '[a]: docs/a.md',
    ];
    const a = '# The heading of `A`\n\n[back](../README.md) and [to a folder above](../docs/../LICENSE)\n';
    expect(
      await deadLinksOf({ 'README.md': page.join('\n'), LICENSE: '', 'docs/a.md': a, 'docs/a b.png': '' }),
    ).toEqual([]);
  });

  it('names page and link if the file does not exist', async () => {
    expect(await deadLinksOf({ 'docs/a.md': '| a |\n| --- |\n| [x](b.md) |\n\n![p](c.png)\n' })).toEqual([
      'docs/a.md → b.md: there is no file docs/b.md',
      'docs/a.md → c.png: there is no file docs/c.png',
    ]);
  });

  it('refuses a link to a file that is in the folder and not among its files', async () => {
    await writeFile(join(folder, 'CONTRIBUTING.md'), '# Contributing\n');
    expect(await deadLinksOf({ 'README.md': '[x](CONTRIBUTING.md)' })).toEqual([
      'README.md → CONTRIBUTING.md: there is no file CONTRIBUTING.md',
    ]);
  });

  it('refuses a heading that the page does not have, in another page and in its own', async () => {
    expect(await deadLinksOf({ 'README.md': '# A\n[x](#b) [y](a.md#a) [z](a.md#A)', 'a.md': '## a\n' })).toEqual([
      'README.md → #b: README.md has no heading #b',
      'README.md → a.md#A: a.md has no heading #A',
    ]);
  });

  it('numbers headings that are alike, as GitHub does', async () => {
    const page = '# Use\n## Use\n[1](#use) [2](#use-1) [3](#use-2)';
    expect(await deadLinksOf({ 'a.md': page })).toEqual(['a.md → #use-2: a.md has no heading #use-2']);
  });

  it('refuses links that lead out of the folder', async () => {
    expect(await deadLinksOf({ 'docs/a.md': '[x](../../b.md) [y](/docs/a.md)' })).toEqual([
      'docs/a.md → ../../b.md: leads out of the folder',
      'docs/a.md → /docs/a.md: leads out of the folder',
    ]);
  });

  it('refuses raw HTML, and leaves code and comments alone', async () => {
    const page =
      '<!-- a comment -->\n\nA <a href="b.md">link</a>.\n\n`[x](c.md)` `<a>`\n\n```md\n[x](c.md)\n<a href="c.md">\n```\n';
    expect(await deadLinksOf({ 'a.md': page })).toEqual([
      'a.md → <a href="b.md">: is raw HTML, whose links are not checked; write Markdown',
      'a.md → </a>: is raw HTML, whose links are not checked; write Markdown',
    ]);
  });

  it('finds no dead link in this repository', async () => {
    const list = ['ls-files', '--cached', '--others', '--exclude-standard'];
    const { stdout } = await promisify(execFile)('git', list, { cwd: ROOT });
    const files = stdout.trim().split('\n');
    expect(files).toContain('README.md');
    expect(await findDeadLinks(ROOT, files)).toEqual([]);
  });
});
