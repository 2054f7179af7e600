import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { BEGINNING, shardStatements } from '../../lib/event-log/event-statements.js';
import { eventLogSuite } from '../support/event-log-suite.js';

const MANY = 300_000;

describe('plans without statistics', () => {
  const suite = eventLogSuite();
  let client: Client;
  let snapshot: string;

  beforeAll(async () => {
    client = new Client({ connectionString: suite.database.url });
    await client.connect();
    suite.cleanup(() => client.end());
    await client.query('ALTER TABLE nest_events.event SET (autovacuum_enabled = false)');
    await client.query(
      `INSERT INTO nest_events.consumer (name, channels, done, cluster) VALUES ('c', '{x}', '1:1:', 0)`,
    );
    const insert = 'INSERT INTO nest_events.event (channel, payload) SELECT $1, $2::json FROM generate_series(1, $3)';
    await client.query(insert, ['x', '{"some": "payload"}', MANY]);
    const { rows } = await client.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot');
    snapshot = rows[0]!.snapshot;
    await client.query(insert, ['x', '{"some": "payload"}', 10]);
  });

  const statements = shardStatements('nest_events');

  const explain = async (
    text: string,
    values: readonly (string | number | readonly string[])[],
    mode: string,
  ): Promise<string> => {
    await client.query(`SET plan_cache_mode = ${mode}`);
    await client.query(`PREPARE looked AS ${text}`);
    const literals = values.map((value) => (typeof value === 'object' ? `'{${value.join(',')}}'` : `'${value}'`));
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE looked(${literals.join(', ')})`,
    );
    await client.query('DEALLOCATE looked');
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  };

  const MODES = ['force_custom_plan', 'force_generic_plan', 'auto'];

  it.each(MODES)('find new events by the index on transactions: %s', async (mode) => {
    const plan = await explain(statements.first(2_000, false), ['c', '0', '0', snapshot, ['x'], 500], mode);
    expect(plan).toMatch(/Index Scan using event_xid on event/);
    expect(plan).not.toMatch(/Seq Scan on event/);
  });

  it.each(MODES)('read no more than the window of a large backlog: %s', async (mode) => {
    const plan = await explain(statements.first(2_000, false), ['c', '0', '0', BEGINNING, ['x'], 500], mode);
    expect(plan).toMatch(/Index Scan using event_xid on event \w+ \(actual rows=2000\b/);
    expect(plan).not.toMatch(/Seq Scan on event/);
  });

  it.each(MODES)('read a large backlog by the primary key: %s', async (mode) => {
    const values = ['c', '0', '0', BEGINNING, ['x'], 500, 100_000, snapshot];
    const plan = await explain(statements.next(2_000, false), values, mode);
    expect(plan).toMatch(/Index Scan using event_pkey on event \w+ \(actual rows=2000\b/);
    expect(plan).not.toMatch(/Seq Scan on event/);
  });
});
