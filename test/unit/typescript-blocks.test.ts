import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { findBrokenBlocks } from '../../dev/markdown/typescript-blocks.js';

const ROOT = join(import.meta.dirname, '../..');

/** The page `docs/channels.md` with one block after the other. */
function findIn(...blocks: readonly (readonly [info: string, code: string])[]): string[] {
  const markdown = blocks.map(([info, code]) => `\`\`\`${info}\n${code}\n\`\`\`\n`).join('\n');
  return findBrokenBlocks(ROOT, [{ path: 'docs/channels.md', markdown: `# Title\n\n${markdown}` }]);
}

describe('findBrokenBlocks()', () => {
  it('names page, line and message of whatever does not compile, in each block for itself', () => {
    const whole = "import { definePgChannel } from 'nest-pg-notify';\n\nexport const channel = definePgChannel('a');";
    expect(findIn(['ts', whole], ['ts', 'const a = 1;\nnotify(channel);'], ['sql', 'SELECT 1'])).toEqual([
      "docs/channels.md:11: Cannot find name 'notify'.",
      "docs/channels.md:11: Cannot find name 'channel'.",
    ]);
  }, 120_000);

  it('asks for `import type` where a decorated method needs it', () => {
    const code = [
      "import { Injectable } from '@nestjs/common';",
      "import { OnPgNotify, PgNotification } from 'nest-pg-notify';",
      '@Injectable()',
      'export class Cache {',
      "  @OnPgNotify('a')",
      '  evict(payload: unknown, notification: PgNotification): void {}',
      '}',
    ];
    expect(findIn(['ts', code.join('\n')])).toEqual([expect.stringContaining('type-only import')]);
  }, 120_000);

  it('accepts fragments of a file, a function, a class and an object', () => {
    const fragments = ['export const a = b;', 'await pgNotify.notify(a);', '@Sse() stream() {}', 'imports: [b],'];
    expect(findIn(...fragments.map((code) => ['ts fragment', code] as const))).toEqual([]);
  });

  it('leaves a block that is a recipe for a broker to the compilation beside its packages', async () => {
    const recipe = await readFile(join(ROOT, 'test/brokers/recipes/jetstream.ts'), 'utf8');
    expect(findIn(['ts', recipe.trimEnd()])).toEqual([]);
    const changed = recipe.replaceAll('JetStreamRelay', 'OtherRelay').trimEnd();
    expect(findIn(['ts', changed])).toContainEqual(expect.stringContaining("Cannot find module '@nats-io/jetstream'"));
  }, 120_000);

  it('refuses fragments that import, and those that are no TypeScript', () => {
    expect(findIn(['ts fragment', "import { a } from 'a';"], ['ts fragment', 'evict() { … }'])).toEqual([
      'docs/channels.md:4: A fragment with imports looks like a whole file: make it one, or leave them out.',
      expect.stringMatching(/^docs\/channels\.md:8: This fragment is no valid TypeScript anywhere: /),
    ]);
  });
});
