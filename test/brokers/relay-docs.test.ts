import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ROADS } from './support/roads.js';

/** A road of `figures.json`, which `npm run test:brokers -- --write` writes. */
interface RecordedRoad {
  readonly road: string;
  readonly clients: Readonly<Record<string, string>>;
  readonly seconds: number;
}

const FOLDER = import.meta.dirname;
/** Plain JavaScript, without types. */
const TABLE: string = join(FOLDER, 'table.mjs');

const readJson = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(FOLDER, name), 'utf8'));
const readRecord = async (): Promise<readonly RecordedRoad[]> => (await readJson('figures.json')) as RecordedRoad[];
const readPage = async (): Promise<string> => readFile(join(FOLDER, '../../docs/relay.md'), 'utf8');
const readRecipe = async (name: string): Promise<string> => readFile(join(FOLDER, `recipes/${name}.ts`), 'utf8');

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

  it('shows the figures of the recorded run, and how long its faults went on', async () => {
    const table = (await import(TABLE)) as { tableOf(record: readonly RecordedRoad[]): string };
    const record = await readRecord();
    const page = await readPage();
    const [, shown] = /<!-- figures -->\n([\s\S]*)<!-- end of figures -->/.exec(page)!;
    expect(cellsOf(shown!)).toEqual(cellsOf(table.tableOf(record)));
    for (const { seconds } of record) expect(page).toContain(`This one is of ${seconds} s for each broker`);
  });

  it('shows a run of every recipe, with the clients that are installed now', async () => {
    const { dependencies } = (await readJson('package.json')) as { dependencies: Record<string, string> };
    const record = await readRecord();
    const recipes = Object.keys(ROADS).filter((road) => road !== 'careless');
    expect(record.map(({ road }) => road).toSorted()).toEqual(recipes.toSorted());
    for (const [client, version] of record.flatMap(({ clients }) => Object.entries(clients))) {
      if (client !== 'fetch') expect({ client, version }).toEqual({ client, version: dependencies[client] });
    }
  });
});

/** The rows of a table of Markdown, however wide prettier has made it. */
function cellsOf(table: string): string[][] {
  const rows = table.split('\n').filter((line) => line.startsWith('|') && !line.startsWith('| -'));
  return rows.map((row) => row.split('|').map((cell) => cell.trim()));
}
