import { describe, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import type { PgTransactionClient } from '../../lib/session/transaction-client.js';
import { deferred } from '../support/deferred.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import type { SqlStoreOptions } from '../support/event-log-suite.js';
import { failureOf } from '../support/failures.js';
import { leavingNothingOpen } from '../support/open-resources.js';
import { eventually } from '../support/recorder.js';

const PID = { text: 'SELECT pg_backend_pid() AS pid', timeout: 5_000, explain: (error: unknown) => error };

describe('sessions of the event log under faults', () => {
  const suite = eventLogSuite({ proxy: 'all' });

  const backends = async (): Promise<number[]> => {
    const { rows } = await suite.database.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'test-events'`,
    );
    return rows.map(({ pid }) => pid);
  };

  const proxied = (options: SqlStoreOptions = {}) =>
    suite.sessions({ url: suite.proxy.url(suite.database.url), ...options });

  const terminate = (pid: number) => suite.database.query('SELECT pg_terminate_backend($1)', [pid]);

  it('opens no connection before there is work, at most maxConnections afterwards, and closes idle ones', async () => {
    const sessions = suite.sessions({ maxConnections: 2, idleTimeout: 1 });
    expect(await backends()).toEqual([]);
    const pids = await Promise.all(Array.from({ length: 10 }, () => sessions.ask(PID)));
    expect(new Set(pids.map(([row]) => row?.['pid'])).size).toBeLessThanOrEqual(2);
    await eventually(backends, ({ length }) => length === 0);
    expect(await sessions.ask(PID)).toHaveLength(1);
  });

  it('reuses an idle connection', async () => {
    const sessions = suite.sessions();
    const [one] = await sessions.ask(PID);
    expect(await sessions.ask(PID)).toEqual([one]);
    expect(await backends()).toHaveLength(1);
  });

  it('continues without prepared statements after one was lost', async () => {
    const sessions = suite.sessions();
    const named = { ...PID, name: 'kept' };
    const before = await sessions.ask(named);
    await sessions.ask({ ...PID, text: 'DEALLOCATE ALL' });
    for (let i = 0; i < 2; i += 1) expect(await sessions.ask(named)).toEqual(before);
  });

  it('forgets a connection that is lost while it is idle', async () => {
    const sessions = suite.sessions();
    const [row] = await sessions.ask(PID);
    await terminate(row?.['pid'] as number);
    await eventually(backends, ({ length }) => length === 0);
    const [next] = await eventually(
      () => sessions.ask(PID).catch(() => []),
      ({ length }) => length === 1,
    );
    expect(next).not.toEqual(row);
  });

  it('rejects a transaction whose backend is terminated, even between two statements', async () => {
    const sessions = suite.sessions();
    const failure = await failureOf(
      sessions.transaction(async ({ client }) => {
        const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        await terminate(rows[0]!.pid);
        await eventually(backends, (pids) => !pids.includes(rows[0]!.pid));
      }),
    );
    expect(failure).toMatchObject({ kind: 'connection' });
    const during = sessions.transaction(async ({ client }) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const asleep = client.query('SELECT pg_sleep(60)');
      await terminate(rows[0]!.pid);
      await asleep;
    });
    expect(await failureOf(during)).toMatchObject({ kind: 'connection' });
    expect(await sessions.ask(PID)).toHaveLength(1);
  });

  it.each(['sessions of its own', 'clients of a pool'])(
    'rejects a transaction that is idle for longer than the lease, on %s, and the process goes on',
    async (kind) => {
      const pool = new Pool({ connectionString: suite.database.url, application_name: 'test-events' });
      pool.on('error', () => undefined);
      suite.cleanup(() => pool.end());
      const sessions = suite.sessions({ lease: 50, ...(kind === 'clients of a pool' && { userPool: pool }) });
      const failure = await failureOf(
        sessions.transaction(async ({ client }) => {
          await client.query('SELECT 1');
          // The server ends it, and nothing is asked of it meanwhile.
          await eventually(backends, ({ length }) => length === 0);
        }),
      );
      expect(failure).toMatchObject({ kind: 'connection' });
      expect(await sessions.ask(PID)).toHaveLength(1);
    },
  );

  it.each([
    ['a statement', 1_000, (client: PgTransactionClient) => client.query('SELECT 2')],
    ['COMMIT', 5_000, () => Promise.resolve()],
  ])('rejects a transaction that is in a black hole at %s', async (_what, silence, last) => {
    const sessions = proxied({ statementLimit: 1_000, lease: 1_000 });
    const failure = await failureOf(
      sessions.transaction(async ({ client }) => {
        await client.query('SELECT 1');
        suite.proxy.blackhole();
        await last(client);
      }),
    );
    const message = expect.stringContaining(`nothing was received for ${silence} ms`);
    expect(failure).toMatchObject({ kind: 'connection', message });
    suite.proxy.heal();
    expect(await sessions.ask(PID)).toHaveLength(1);
  });

  it('rejects statements in a black hole, and a connection that is reset', async () => {
    const sessions = proxied();
    await sessions.ask(PID);
    suite.proxy.blackhole();
    expect(await failureOf(sessions.ask({ ...PID, timeout: 100 }))).toMatchObject({ kind: 'connection' });
    suite.proxy.heal();
    await sessions.ask(PID);
    const reset = sessions.ask({ ...PID, text: 'SELECT pg_sleep(60)', timeout: 60_000 });
    await eventually(backends, ({ length }) => length > 0);
    suite.proxy.reset();
    expect(await failureOf(reset)).toMatchObject({ kind: 'connection' });
    expect(await sessions.ask(PID)).toHaveLength(1);
  });

  it('names the remedy when no connection becomes free in time', async () => {
    const sessions = suite.sessions({ maxConnections: 2, connectTimeout: 200 });
    // To connect may take longer, on a busy machine: the transaction finds a session that is idle.
    await eventually(
      () => sessions.ask(PID).catch(() => []),
      ({ length }) => length === 1,
    );
    const gate = deferred();
    const inside = deferred();
    const first = sessions.transaction(async () => {
      inside.resolve();
      await gate.promise;
    });
    await inside.promise;
    const failure = await failureOf(sessions.transaction(async () => undefined));
    expect(failure.message).toMatch(
      /none of its 2 connections was free within 200 ms\..*raise the option maxConnections/,
    );
    gate.resolve();
    await first;
  });

  it('reports why no connection can be opened, and recovers when one can', async () => {
    const sessions = proxied();
    suite.proxy.refuse();
    expect(await failureOf(sessions.ask(PID))).toMatchObject({ kind: 'connection' });
    expect(await failureOf(sessions.transaction(async () => undefined))).toMatchObject({ kind: 'connection' });
    await suite.proxy.accept();
    expect(await sessions.ask(PID)).toHaveLength(1);
  });

  it('returns clients to a pool, and refuses one that is inside a transaction', async () => {
    const pool = new Pool({ connectionString: suite.database.url, max: 2, application_name: 'test-events' });
    suite.cleanup(() => pool.end());
    const dirty = await pool.connect();
    await dirty.query('BEGIN');
    dirty.release();
    const sessions = suite.sessions({ userPool: pool });
    await sessions.transaction(async ({ client }) => {
      await client.query('CREATE TABLE kept ()');
    });
    await sessions.ask(PID);
    expect(pool.idleCount).toBe(pool.totalCount);
    expect((await suite.database.query(`SELECT to_regclass('kept') AS found`)).rows).toEqual([{ found: 'kept' }]);
  });

  it('leaves nothing open when it is closed, and rejects waiting and later calls', async () => {
    const sessions = suite.sessions({ maxConnections: 2 });
    await leavingNothingOpen(async () => {
      const inside = deferred();
      const used = sessions.transaction(async ({ client }) => {
        inside.resolve();
        await client.query('SELECT pg_sleep(60)');
      });
      await inside.promise;
      const waiting = sessions.transaction(async () => undefined);
      const outcomes = Promise.all([failureOf(used), failureOf(waiting)]);
      await sessions.close();
      for (const failure of await outcomes) expect(failure).toMatchObject({ kind: 'closed' });
      expect(await failureOf(sessions.ask(PID))).toMatchObject({ kind: 'closed' });
    });
  });
});
