import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import { Broker } from '../recipes/broker.js';
import { OUTBOX_TABLE, OutboxRelay } from '../recipes/outbox-relay.js';
import { outboxTrigger, OutboxWakeUp } from '../recipes/outbox-wake-up.js';
import { appSuite } from '../support/app/app-suite.js';

const ROOT = join(import.meta.dirname, '../..');

describe('the recipe that wakes @nestjs/outbox, tried with a stand-in for its relay', () => {
  const suite = appSuite();

  it('is shown in docs/events.md as it is tested here, but for where the relay comes from', async () => {
    const [page, recipe] = await Promise.all([
      readFile(join(ROOT, 'docs/events.md'), 'utf8'),
      readFile(join(ROOT, 'test/recipes/outbox-wake-up.ts'), 'utf8'),
    ]);
    expect(page).toContain(`\`\`\`ts\n${recipe.replace("'./outbox-relay.js'", "'@nestjs/outbox'")}\`\`\`\n`);
  });

  it('has the relay publish what waits at the start, and what is committed later; never what is rolled back', async () => {
    const pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    await pool.query(OUTBOX_TABLE);
    await pool.query(outboxTrigger.up);
    const add = `INSERT INTO nest_outbox.messages (id, topic, payload, headers, created_at, available_at)
      VALUES ($1, 'orders', to_jsonb($1::text), '{}', 0, 0)`;
    await pool.query(add, ['before']);
    const broker = new Broker();
    await suite.start({
      providers: [OutboxWakeUp, OutboxRelay, { provide: Pool, useValue: pool }, { provide: Broker, useValue: broker }],
    });
    await broker.published.until(1);
    for (const end of ['ROLLBACK', 'COMMIT']) {
      const client = await pool.connect();
      await client.query('BEGIN');
      await client.query(add, [`one, ${end}`]);
      await client.query(add, [`two, ${end}`]);
      await client.query(end);
      client.release();
    }
    const ids = (await broker.published.until(3)).map((message) => (message as { id: string }).id);
    expect(ids).toEqual(['before', 'one, COMMIT', 'two, COMMIT']);
  });
});
