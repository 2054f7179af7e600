import { describe, expect, it } from '@jest/globals';
import { access, readFile } from 'node:fs/promises';
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
});
