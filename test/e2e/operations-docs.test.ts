import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { QUICK } from '../support/app/app-suite.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { drain } from '../support/event-store-contract.js';
import { eventually } from '../support/recorder.js';

type Rows = Record<string, unknown>[];

describe('the SQL of docs/operations.md', () => {
  const suite = eventLogSuite({ server: {}, options: QUICK }); // A server of its own, for its settings.
  let blocks: readonly string[];

  beforeAll(async () => {
    const page = new MarkdownPage(await readFile(join(import.meta.dirname, '../../docs/operations.md'), 'utf8'));
    blocks = page.codeBlocks.filter(({ info }) => info[0] === 'sql').map(({ code }) => code);
  });

  /** Runs the block that holds a text, and returns the rows of its last statement. */
  const ask = async (text: string): Promise<Rows> => {
    const found = blocks.filter((code) => code.includes(text));
    expect(found).toHaveLength(1);
    const results: unknown = await suite.database.query(found[0]!);
    return ([results].flat().at(-1) as { rows: Rows }).rows;
  };

  const connect = async (name: string): Promise<Client> => {
    const client = new Client({ connectionString: suite.database.url, application_name: name });
    client.on('error', () => undefined); // Some are ended in the middle of a statement.
    await client.connect();
    suite.cleanup(() => client.end());
    return client;
  };

  it('runs as it stands', async () => {
    expect(blocks.length).toBeGreaterThan(8);
    for (const code of blocks) await suite.database.query(code);
    expect(await ask('pg_stat_user_tables')).toHaveLength(3);
  });

  it('finds who listens', async () => {
    await suite.start();
    expect(await ask('nest-pg-notify listener')).toEqual([expect.objectContaining({ pid: expect.any(Number) })]);
  });

  it('finds the session that holds back the queue, and the oldest snapshot', async () => {
    const idler = await connect('idler');
    await idler.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class LIMIT 1');
    const [first] = await ask('pg_notification_queue_usage');
    expect(first).toMatchObject({ application_name: 'idler', state: 'idle in transaction' });
    const { rows } = await idler.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const holders = (await ask('pg_replication_slots')).map((row) => row['held_by']);
    expect(holders).toContainEqual(expect.stringMatching(`^session ${rows[0]!.pid} of `));
    await idler.query('ROLLBACK');
  });

  it('finds a session that has written and has no snapshot any more', async () => {
    const writer = await connect('writer');
    await writer.query('BEGIN');
    const { rows } = await writer.query('SELECT pg_backend_pid() AS pid, pg_current_xact_id()');
    const holders = await ask('pg_replication_slots');
    expect(holders).toContainEqual(
      expect.objectContaining({ held_by: expect.stringMatching(`^session ${rows[0]?.['pid']} of `) }),
    );
    await writer.query('ROLLBACK');
  });

  it('finds the commit that every other notification waits for, and how many wait', async () => {
    const set = async (names: string): Promise<void> => {
      await suite.database.query(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
      await suite.database.query('SELECT pg_reload_conf()');
      await eventually(
        () => suite.database.query(`SELECT current_setting('synchronous_standby_names') AS names`),
        ({ rows }) => rows[0]?.['names'] === names,
      );
    };
    const [writer, sender] = [await connect('writer'), await connect('sender')];
    await suite.database.query('CREATE TABLE written (id int)');
    await set('gone');
    let commit: Promise<unknown> | undefined;
    const beginCommit = (): void => {
      const transaction = `BEGIN; INSERT INTO written VALUES (1); SELECT pg_notify('c', '1'); COMMIT`;
      commit = writer.query(transaction).finally(() => (commit = undefined));
    };
    await eventually(
      () => {
        // Commits wait once the checkpointer has read the setting, too. On a busy machine it does later than the sessions.
        if (!commit) beginCommit();
        return ask('l.granted');
      },
      ([row]) => row?.['wait_event'] === 'SyncRep',
    );
    const notice = sender.query(`SELECT pg_notify('c', '2')`);
    const [row] = await eventually(
      () => ask('l.granted'),
      ([found]) => found?.['waiting'] === '1',
    );
    expect(row).toMatchObject({ application_name: 'writer', wait_event_type: 'IPC', wait_event: 'SyncRep' });
    await set('');
    await Promise.all([commit, notice]);
    expect(await ask('l.granted')).toEqual([]);
  });

  it('finds what waits for a consumer, who runs it, and its dead letters', async () => {
    const store = suite.store('an instance');
    await store.register([{ consumer: 'billing', shards: 1, channels: ['x'], from: 'now' }]);
    const consumers = async (): Promise<Rows> => ask('waits_for');
    expect(await consumers()).toEqual([{ name: 'billing', shard: 0, paused: false, owner: null, waits_for: null }]);
    await suite.publish([
      { channel: 'x', payload: '1' },
      { channel: 'other', payload: '2' },
    ]);
    expect(await consumers()).toEqual([expect.objectContaining({ waits_for: expect.anything() })]);
    const shard = store.shard({ consumer: 'billing', shard: 0, shards: 1, channels: ['x'] });
    const claim = (await shard.claim())!;
    const { events, cursor } = await drain(shard, claim);
    expect(await consumers()).toEqual([expect.objectContaining({ owner: 'an instance', waits_for: null })]);
    expect(await ask("state = 'dead'")).toEqual([]);
    const failed = events.map(
      ({ seq, key }) => ({ seq, key, state: 'dead', attempts: 1, delay: 0, error: 'no' }) as const,
    );
    await shard.settle(claim.epoch, cursor, { failed });
    expect(await ask("state = 'dead'")).toMatchObject([{ consumer: 'billing', dead: '1' }]);
  });
});
