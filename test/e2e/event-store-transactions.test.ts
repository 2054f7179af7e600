import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { Pool } from 'pg';
import type { PoolClient } from 'pg';
import type { EventSessions, SessionTransaction } from '../../lib/event-log/event-sessions.js';
import { fromDrizzle } from '../../lib/executor/from-drizzle.js';
import { execute } from '../../lib/executor/pg-executor.js';
import type { PgTransactionClient } from '../../lib/session/transaction-client.js';
import { deferred } from '../support/deferred.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { failureOf, rejection } from '../support/failures.js';

describe.each(['sessions of its own', 'clients of a pool'])('a transaction of the event log on %s', (kind) => {
  const suite = eventLogSuite();
  let sessions: EventSessions;

  beforeAll(async () => {
    await suite.database.query('CREATE TABLE effect (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)');
    if (kind === 'sessions of its own') {
      sessions = suite.sessions();
      return;
    }
    const pool = new Pool({ connectionString: suite.database.url, max: 4 });
    suite.cleanup(() => pool.end());
    sessions = suite.sessions({ userPool: pool });
  });

  beforeEach(() => suite.database.query('TRUNCATE effect'));

  const effects = async (): Promise<number[]> => {
    const { rows } = await suite.database.query<{ n: number }>('SELECT n FROM effect ORDER BY n');
    return rows.map(({ n }) => n);
  };

  const run = (work: (tx: PgTransactionClient, transaction: SessionTransaction) => Promise<unknown>): Promise<void> =>
    sessions.transaction(async (transaction) => {
      await work(transaction.client, transaction);
    });

  const insert = (tx: PgTransactionClient, n: number) => tx.query('INSERT INTO effect VALUES ($1)', [n]);

  it('commits when its work resolves', async () => {
    await run(async (tx) => {
      await insert(tx, 1);
      expect(await effects()).toEqual([]);
    });
    expect(await effects()).toEqual([1]);
  });

  it('rolls back when its work rejects, and keeps the session usable', async () => {
    const why = new Error('no');
    const failed = run(async (tx) => {
      await insert(tx, 1);
      throw why;
    });
    await expect(failed).rejects.toBe(why);
    await run((tx) => insert(tx, 2));
    expect(await effects()).toEqual([2]);
  });

  it('returns results like a client of pg', async () => {
    await run(async (tx) => {
      const { rows, rowCount, command, fields } = await tx.query<{ one: number; at: Date; list: number[] }>({
        text: `SELECT $1::int AS one, timestamptz '2026-01-01Z' AS at, ARRAY[1, 2] AS list`,
        values: [1],
      });
      expect(rows).toEqual([{ one: 1, at: new Date('2026-01-01Z'), list: [1, 2] }]);
      expect([rowCount, command, fields.map(({ name }) => name)]).toEqual([1, 'SELECT', ['one', 'at', 'list']]);
      const array = await tx.query({ text: 'SELECT 1 AS a, 2 AS a', rowMode: 'array' } as never);
      expect(array.rows).toEqual([[1, 2]]);
      expect(await tx.query('SELECT 1 AS a; SELECT 2 AS a')).toHaveLength(2);
      for (const n of [1, 2]) {
        expect((await tx.query({ name: 'kept', text: 'SELECT $1::int AS n', values: [n] })).rows).toEqual([{ n }]);
      }
    });
  });

  it("fails with pg's own errors", async () => {
    const error = await rejection(run((tx) => tx.query('SELECT no_such_column')));
    expect(error).toMatchObject({
      code: '42703',
      severity: 'ERROR',
      message: expect.stringContaining('no_such_column'),
    });
    const deferredUnique = run(async (tx) => {
      await insert(tx, 1);
      await insert(tx, 1);
    });
    expect(await rejection(deferredUnique)).toMatchObject({ code: '23505' });
    expect(await effects()).toEqual([]);
  });

  it('is READ COMMITTED and may write, regardless of the defaults', async () => {
    const { name } = suite.database;
    await suite.database.query(`ALTER DATABASE ${name} SET default_transaction_isolation = 'serializable'`);
    await suite.database.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    suite.cleanup(() =>
      suite.database.query(`SET default_transaction_read_only = off; ALTER DATABASE ${name} RESET ALL`),
    );
    const fresh = suite.sessions();
    await fresh.transaction(async ({ client }) => {
      const { rows } = await client.query('SHOW transaction_isolation');
      expect(rows).toEqual([{ transaction_isolation: 'read committed' }]);
      await insert(client, 1);
    });
    expect(await effects()).toEqual([1]);
  });

  it('fails if the error of a statement is caught', async () => {
    const failure = await failureOf(
      run(async (tx) => {
        await insert(tx, 1);
        await tx.query('SELECT no_such_column').catch(() => undefined);
      }),
    );
    expect(failure.message).toMatch(/^The transaction was rolled back: one of its statements has failed/);
    expect(await effects()).toEqual([]);
  });

  it('commits if the error happened after a savepoint that was rolled back', async () => {
    await run(async (tx) => {
      await insert(tx, 1);
      await tx.query('SAVEPOINT one');
      await insert(tx, 2);
      await tx.query('SELECT no_such_column').catch(() => undefined);
      await tx.query('ROLLBACK TO SAVEPOINT one');
    });
    expect(await effects()).toEqual([1]);
  });

  it('waits for statements that are not awaited, and fails if they do', async () => {
    await run(async (tx) => {
      for (const n of [1, 2, 3]) void insert(tx, n);
      await Promise.resolve();
    });
    expect(await effects()).toEqual([1, 2, 3]);
    await failureOf(
      run(async (tx) => {
        void insert(tx, 4);
        void tx.query('SELECT no_such_column');
        await Promise.resolve();
      }),
    );
    expect(await effects()).toEqual([1, 2, 3]);
  });

  it('refuses statements after its end, and those that wait when its work rejects', async () => {
    const kept: PgTransactionClient[] = [];
    await run(async (tx) => kept.push(tx));
    expect(await failureOf(insert(kept[0]!, 1))).toMatchObject({
      kind: 'closed',
      message: expect.stringContaining('is over'),
    });
    const waiting: Promise<unknown>[] = [];
    const why = new Error('no');
    const failed = run(async (tx) => {
      waiting.push(tx.query('SELECT 1'), insert(tx, 2), insert(tx, 3));
      throw why;
    });
    await expect(failed).rejects.toBe(why);
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(await effects()).toEqual([]);
  });

  it.each([
    'BEGIN',
    ' commit',
    'ROLLBACK',
    'rollback work',
    'END',
    'abort',
    'START  TRANSACTION',
    "PREPARE TRANSACTION 'x'",
  ])('refuses %s, and goes on', async (text) => {
    await run(async (tx) => {
      expect(await failureOf(tx.query(text))).toMatchObject({
        kind: 'configuration',
        message: expect.stringContaining('savepoints'),
      });
      await insert(tx, 1);
    });
    expect(await effects()).toEqual([1]);
  });

  it.each(['/* hidden */ COMMIT', 'INSERT INTO effect VALUES (1); COMMIT'])(
    'is over, and has failed, after %s',
    async (text) => {
      const later: unknown[] = [];
      const failure = await failureOf(
        run(async (tx, transaction) => {
          await tx.query(text);
          later.push(
            await rejection(insert(tx, 2)),
            await rejection(transaction.query({ text: 'SELECT 1', timeout: 1_000 })),
          );
        }),
      );
      expect(failure.message).toMatch(/has ended the transaction that it ran in/);
      expect(later).toEqual([failure, failure].map(({ message }) => expect.objectContaining({ message })));
      expect(await effects()).not.toContain(2);
      await run((tx) => insert(tx, 3));
    },
  );

  it('refuses callbacks, cursors and invalid statements', async () => {
    await run(async (tx) => {
      for (const mistake of [undefined, null, {}, { text: 1 }, { text: 'SELECT 1', submit: () => undefined }]) {
        expect(await failureOf(tx.query(mistake as never))).toMatchObject({ kind: 'configuration' });
      }
      expect(await failureOf(tx.query('SELECT 1', (() => undefined) as never))).toMatchObject({
        kind: 'configuration',
      });
      await insert(tx, 1);
    });
    expect(await effects()).toEqual([1]);
  });

  it('works as a client of Drizzle', async () => {
    await run(async (tx) => {
      const db = drizzle(tx as unknown as PoolClient);
      await db.execute(sql`INSERT INTO effect VALUES (${1}), (${2})`);
      await execute(fromDrizzle(db, sql), 'INSERT INTO effect VALUES (CAST($1::text AS integer))', ['3']);
      const { cause } = (await rejection(db.transaction(async () => undefined))) as Error;
      expect(cause).toMatchObject({ message: expect.stringContaining('use savepoints instead') });
    });
    expect(await effects()).toEqual([1, 2, 3]);
  });

  it('leaves a session to statements, so that leases can be renewed', async () => {
    const gate = deferred();
    const entered: number[] = [];
    const inside = deferred();
    const works = [1, 2, 3].map((n) =>
      run(async () => {
        entered.push(n);
        if (entered.length === 2) inside.resolve();
        await gate.promise;
      }),
    );
    await inside.promise;
    const [row] = await sessions.ask({ text: 'SELECT 7 AS seven', timeout: 5_000, explain: (error) => error });
    expect(row).toEqual({ seven: 7 });
    expect(entered).toEqual([1, 2]);
    gate.resolve();
    await Promise.all(works);
    expect(entered).toEqual([1, 2, 3]);
  });
});
