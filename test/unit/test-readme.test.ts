import { describe, expect, it } from '@jest/globals';
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const TESTS = join(import.meta.dirname, '..');
const readme = await readFile(join(TESTS, 'README.md'), 'utf8');

describe('test/README.md', () => {
  it('shows the template as it is run', async () => {
    const [, shown] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
    expect(shown).toBe(await readFile(join(TESTS, 'e2e/template.test.ts'), 'utf8'));
  });

  it('names examples that exist', async () => {
    const examples = [...readme.matchAll(/`((?:unit|e2e|faults|timing)\/[\w-]+)`/g)].map(([, path]) => path);
    expect(examples.length).toBeGreaterThan(10);
    for (const path of examples) await access(join(TESTS, `${path}.test.ts`));
  });

  it('names helpers that exist', async () => {
    const [, table] = /## Other helpers[^\n]*\n([\s\S]*?)\n## /.exec(readme) ?? [];
    const helpers = [...table!.matchAll(/`(\w+)(?:\([^`]*\))?`/g)].map(([, name]) => name!);
    expect(helpers.length).toBeGreaterThan(30);
    const support = join(TESTS, 'support');
    const paths = (await readdir(support, { recursive: true })).filter((path) => path.endsWith('.ts'));
    const sources = await Promise.all(paths.map((path) => readFile(join(support, path), 'utf8')));
    const exported = sources.flatMap((source) =>
      [...source.matchAll(/^export (?:async )?(?:function|const|class) (\w+)/gm)].map(([, name]) => name),
    );
    const others = ['notify', 'pg_dump']; // What the helpers are for.
    expect(helpers.filter((name) => !exported.includes(name))).toEqual(others);
  });
});
