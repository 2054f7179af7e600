import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');

/** All text of lib/, with texts that are joined by `+` as one. */
async function textsOfLib(): Promise<string> {
  const paths = (await readdir(join(ROOT, 'lib'), { recursive: true })).filter((path) => path.endsWith('.ts'));
  const sources = await Promise.all(paths.map((path) => readFile(join(ROOT, 'lib', path), 'utf8')));
  return sources.join('\n').replaceAll(/['`"] \+\s+['`"]/g, '');
}

/** The messages in the first column of the tables of a page's sections; `…` stands for what differs. */
async function messagesOf(path: string, sections: readonly string[]): Promise<string[]> {
  const parts = (await readFile(join(ROOT, path), 'utf8')).split(/^## /m);
  const rows = parts
    .filter((part) => sections.some((section) => part.startsWith(section)))
    .flatMap((part) => part.split('\n').filter((line) => line.startsWith('| `')));
  return rows.flatMap((row) => [...row.split('|')[1]!.matchAll(/`([^`]+)`/g)].map(([, message]) => message!));
}

describe('docs/troubleshooting.md', () => {
  it('quotes messages that lib/ has', async () => {
    const messages = await messagesOf('docs/troubleshooting.md', ['The application does not start', 'The log warns']);
    expect(messages.length).toBeGreaterThan(15);
    const texts = await textsOfLib();
    const lost = messages.filter((message) =>
      message.split('…').some((part) => part.trim().length > 1 && !texts.includes(part.trim())),
    );
    expect(lost).toEqual([]);
  });
});
