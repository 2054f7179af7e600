import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { eventLog } from 'nest-pg-notify/events';

const ROOT = join(import.meta.dirname, '../..');
const page = await readFile(join(ROOT, 'docs/cdc.md'), 'utf8');

describe('docs/cdc.md', () => {
  it('shows the reader that is tested', async () => {
    const recipe = await readFile(join(ROOT, 'test/recipes/event-log-reader.ts'), 'utf8');
    expect(page).toContain(`\`\`\`ts\n${recipe}\`\`\`\n`);
  });

  it('configures a connector with columns, a table and a publication that exist', () => {
    const [, json] = /```json\n([\s\S]*?)```/.exec(page) ?? [];
    const { config } = JSON.parse(json!) as { readonly config: Readonly<Record<string, string>> };
    const { up, publication } = eventLog();
    const [, body] = /CREATE TABLE "nest_events"\.event \(\n([\s\S]*?)\n {2}\);/.exec(up) ?? [];
    const columns = [...body!.matchAll(/^ {4}(\w+) /gm)].map(([, name]) => name);
    expect(columns).toHaveLength(8);

    const options = Object.entries(config).filter(([name]) => /\.(table\.field\.|route\.by\.field$)/.test(name));
    const placements = config['transforms.outbox.table.fields.additional.placement']!.split(',');
    const named = [...options.map(([, column]) => column), ...placements.map((placement) => placement.split(':')[0]!)];
    expect(named.toSorted()).toEqual(['channel', 'created_at', 'headers', 'id', 'key', 'payload', 'seq']);
    expect(named.filter((column) => !columns.includes(column))).toEqual([]);
    expect(config['table.include.list']).toBe('nest_events.event');
    expect(publication).toContain(`CREATE PUBLICATION "${config['publication.name']}" FOR TABLE "nest_events".event`);
  });
});
