import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { eventLogSuite } from '../support/event-log-suite.js';

describe('the SQL of docs/cdc.md', () => {
  const suite = eventLogSuite({ server: { settings: { wal_level: 'logical' } } });
  let setUp: string;
  let watch: string;

  beforeAll(async () => {
    const page = new MarkdownPage(await readFile(join(import.meta.dirname, '../../docs/cdc.md'), 'utf8'));
    [setUp, watch] = page.codeBlocks.filter(({ info }) => info[0] === 'sql').map(({ code }) => code) as [
      string,
      string,
    ];
    await suite.database.query(eventLog().publication);
  });

  it('makes a role that may replicate and read the events, and a slot that the query for slots shows', async () => {
    // One by one, as psql does: PostgreSQL makes no slot in a transaction that has written.
    const statements = setUp.replaceAll(/--.*/g, '').split(';');
    for (const statement of statements) await suite.database.query(statement);
    suite.cleanup(() => suite.database.query(`SELECT pg_drop_replication_slot('to_kafka')`));
    const { rows: roles } = await suite.database.query(
      `SELECT rolreplication, has_table_privilege('cdc', 'nest_events.event', 'SELECT') AS reads FROM pg_roles WHERE rolname = 'cdc'`,
    );
    expect(roles).toEqual([{ rolreplication: true, reads: true }]);
    const { rows: slots } = await suite.database.query(watch);
    expect(slots).toEqual([
      expect.objectContaining({
        slot_name: 'to_kafka',
        active: false,
        wal_status: 'reserved',
        kept: expect.any(String),
      }),
    ]);
  });
});
