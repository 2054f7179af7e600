import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const readPage = async (): Promise<string> => readFile(join(import.meta.dirname, '../../docs/relay.md'), 'utf8');
const readRecipe = async (name: string): Promise<string> =>
  readFile(join(import.meta.dirname, `recipes/${name}.ts`), 'utf8');

describe('docs/relay.md', () => {
  it.each(['kafka-nest', 'jetstream', 'redis-streams', 'rabbitmq', 'webhook', 'inbox'])(
    'shows the recipe %s as it is tested',
    async (name) => {
      expect(await readPage()).toContain(`\`\`\`ts\n${await readRecipe(name)}\`\`\`\n`);
    },
  );

  it('shows those parts of recipes that differ from that for Kafka as they are tested', async () => {
    const fragments = [...(await readPage()).matchAll(/```ts fragment\n([\s\S]*?)```/g)].map(([, code]) => code!);
    const recipes = await Promise.all(['kafka-nest', 'rabbitmq-nest', 'mqtt-nest'].map(readRecipe));
    const withoutIndent = (code: string): string => code.replaceAll(/^ +/gm, '');
    expect(fragments.length).toBe(recipes.length);
    for (const [n, recipe] of recipes.entries()) expect(withoutIndent(recipe)).toContain(withoutIndent(fragments[n]!));
  });
});
