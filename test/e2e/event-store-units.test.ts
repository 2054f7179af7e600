import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { sql as sqlOfDrizzle } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import createKnex from 'knex';
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely';
import { fromDrizzle, fromKnex, fromKysely, fromPrisma } from 'nest-pg-notify';
import type { PgExecutor, PrismaTransaction } from 'nest-pg-notify';
import { Pool } from 'pg';
import createSql from 'postgres';
import { DataSource } from 'typeorm';
import type { EventShardStore } from '../../lib/event-log/event-store.js';
import type { PgUnitOfWork } from '../../lib/event-log/unit-of-work.js';
import { execute } from '../../lib/executor/pg-executor.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { behind } from '../support/event-store-contract.js';
import { failureOf } from '../support/failures.js';
import { generatePrismaClient } from '../support/prisma-client.js';
import type { GeneratedPrismaClient } from '../support/prisma-client.js';

/** A library, connected: its unit of work, and what a handler's `tx` is made an executor with. */
interface UnitLibrary {
  readonly unit: PgUnitOfWork;
  readonly executorOf: (tx: unknown) => PgExecutor;
  readonly close: () => Promise<unknown>;
}

interface PrismaClient extends PrismaTransaction {
  $transaction(work: (tx: PrismaTransaction) => Promise<void>): Promise<void>;
  $disconnect(): Promise<void>;
}

describe('a unit of work', () => {
  const suite = eventLogSuite();
  let generated: GeneratedPrismaClient;
  let count = 0;

  beforeAll(async () => {
    generated = await generatePrismaClient();
    await suite.database.query('CREATE TABLE effect (n integer)');
  });

  afterAll(async () => generated.remove());

  const itself = (tx: unknown): PgExecutor => tx as PgExecutor;

  const LIBRARIES: Record<string, () => Promise<UnitLibrary>> = {
    TypeORM: async () => {
      const source = await new DataSource({ type: 'postgres', url: suite.database.url }).initialize();
      return { unit: (work) => source.transaction(work), executorOf: itself, close: () => source.destroy() };
    },
    Prisma: async () => {
      const file = join(generated.folder, 'generated/client.ts');
      const { PrismaClient } = (await import(file)) as { PrismaClient: new (options: object) => PrismaClient };
      const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: suite.database.url }) });
      return {
        unit: (work) => prisma.$transaction((tx) => work(tx, fromPrisma(tx))),
        executorOf: (tx) => fromPrisma(tx as PrismaTransaction),
        close: () => prisma.$disconnect(),
      };
    },
    Knex: async () => {
      const knex = createKnex({ client: 'pg', connection: suite.database.url });
      return {
        unit: (work) => knex.transaction((trx) => work(trx, fromKnex(trx))),
        executorOf: (tx) => fromKnex(tx as never),
        close: () => knex.destroy(),
      };
    },
    'Kysely, with camel case': async () => {
      const pool = new Pool({ connectionString: suite.database.url });
      const db = new Kysely({ dialect: new PostgresDialect({ pool }), plugins: [new CamelCasePlugin()] });
      return {
        unit: (work) => db.transaction().execute((tx) => work(tx, fromKysely(tx))),
        executorOf: (tx) => fromKysely(tx as never),
        close: () => db.destroy(),
      };
    },
    Drizzle: async () => {
      const pool = new Pool({ connectionString: suite.database.url });
      const db = drizzle(pool);
      return {
        unit: (work) => db.transaction((tx) => work(tx, fromDrizzle(tx, sqlOfDrizzle))),
        executorOf: (tx) => fromDrizzle(tx as typeof db, sqlOfDrizzle),
        close: () => pool.end(),
      };
    },
    'postgres.js': async () => {
      const sql = createSql(suite.database.url);
      return {
        unit: (work) => sql.begin((tx) => work(tx, (text, values) => tx.unsafe(text, values))),
        executorOf: (tx) => (text, values) => (tx as typeof sql).unsafe(text, values),
        close: () => sql.end(),
      };
    },
    pg: async () => {
      const pool = new Pool({ connectionString: suite.database.url });
      return { unit: unitOf(pool), executorOf: itself, close: () => pool.end() };
    },
  };

  /** A shard with two events of which one has failed, and where its cursor is behind them. */
  const shardOf = async (unitOfWork: PgUnitOfWork) => {
    count += 1;
    const channel = `units ${count}`;
    const store = suite.store('a', { unitOfWork });
    await store.register([{ consumer: channel, shards: 1, channels: [channel], from: 'now' }]);
    await suite.publish([
      { channel, key: 'k' },
      { channel, key: 'k' },
    ]);
    const shard: EventShardStore = store.shard({ consumer: channel, shard: 0, shards: 1, channels: [channel] });
    const { epoch, cursor } = (await shard.claim())!;
    const page = await shard.first(epoch, cursor.done, 10);
    const [one, two] = page.events.map(({ seq }) => seq) as [string, string];
    const failed = {
      seq: one,
      key: 'k',
      state: 'retry',
      attempts: 1,
      delay: 0,
      error: `it's "$1" ? :name \\`,
    } as const;
    await shard.settle(epoch, { ...cursor, open: page.open, page: one }, { failed: [failed] });
    const waiting = async (): Promise<number> =>
      (await store.consumers()).find(({ consumer }) => consumer === channel)!.waiting;
    return { shard, store, epoch, to: behind(page, cursor), one, two, failed, waiting };
  };

  const effects = async (): Promise<number> => (await suite.database.query('SELECT FROM effect')).rowCount!;

  const INSERT = 'INSERT INTO effect SELECT CAST($1::text AS integer)';

  it.each(Object.keys(LIBRARIES))('settles in a transaction of %s, or not at all', async (name) => {
    const library = await LIBRARIES[name]!();
    suite.cleanup(library.close);
    const { shard, epoch, to, one, two, failed, waiting } = await shardOf(library.unit);
    const before = await effects();
    const why = new Error('no');
    const undone = shard.transaction(async (transaction) => {
      await execute(library.executorOf(transaction.tx), INSERT, ['1']);
      expect(await transaction.settle(epoch, to, { gone: [one] })).toBe('held');
      throw why;
    });
    await expect(undone).rejects.toBe(why);
    expect([await effects(), await waiting(), (await shard.failures()).length]).toEqual([before, 1, 1]);
    await shard.transaction(async (transaction) => {
      await execute(library.executorOf(transaction.tx), INSERT, ['1']);
      const outcome = { gone: [one], failed: [{ ...failed, seq: two, attempts: 3 }] };
      expect(await transaction.settle(epoch, to, outcome)).toBe('held');
    });
    expect([await effects(), await waiting()]).toEqual([before + 1, 0]);
    expect(await shard.failures()).toEqual([{ seq: two, key: 'k', attempts: 3, due: 0 }]);
    await shard.transaction(async (transaction) => {
      expect(await transaction.settle(epoch, to, {})).toBe('held');
      expect(await transaction.settle('999', to, {})).toBe('fenced');
    });
  });

  it('fails if the library resolves although it rolled back', async () => {
    const pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    const { shard, epoch, to, waiting } = await shardOf(async (work) => {
      const client = await pool.connect();
      await client.query('BEGIN');
      await work(client);
      await client.query('SELECT no_such_column').catch(() => undefined);
      await client.query('COMMIT'); // The server rolls back, and that is not an error.
      client.release();
    });
    const failure = await failureOf(
      shard.transaction(async (transaction) => void (await transaction.settle(epoch, to, {}))),
    );
    expect(failure.message).toMatch(
      /was not committed \(aborted\), although the option unitOfWork of PgEventsModule has resolved/,
    );
    expect(await waiting()).toBe(1);
  });

  it('fails if the library resolves before it has committed', async () => {
    const pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    const { shard, epoch, to } = await shardOf(async (work) => {
      const client = await pool.connect();
      suite.cleanup(async () => {
        await client.query('ROLLBACK');
        client.release();
      });
      await client.query('BEGIN');
      await work(client);
    });
    const failure = await failureOf(
      shard.transaction(async (transaction) => void (await transaction.settle(epoch, to, {}))),
    );
    expect(failure.message).toContain('was not committed (in progress)');
  });

  it('fails if its work does, although the library resolves', async () => {
    const why = new Error('no');
    const pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    const { shard } = await shardOf((work) => unitOf(pool)(work).then(undefined, () => undefined));
    await expect(shard.transaction(() => Promise.reject(why))).rejects.toBe(why);
  });

  it('is refused before a handler runs if its statements run in different transactions', async () => {
    const pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    const { shard } = await shardOf((work) => work(pool));
    let ran = 0;
    const failure = await failureOf(shard.transaction(async () => void (ran += 1)));
    expect(failure).toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('in different transactions'),
    });
    expect(ran).toBe(0);
  });

  it.each<[string, PgUnitOfWork, string]>([
    ['does not call its work', () => Promise.resolve(), 'has not called work()'],
    [
      'does not await its work',
      async (work) => void work({ query: () => new Promise(() => undefined) }),
      'has not awaited work()',
    ],
    ['hands over what is no executor', (work) => work({ $queryRawUnsafe: () => undefined }), 'write fromPrisma(tx)'],
  ])('is refused when it %s', async (_what, unit, message) => {
    const { shard } = await shardOf(unit);
    const failure = await failureOf(shard.transaction(async () => undefined));
    expect(failure).toMatchObject({ kind: 'configuration', message: expect.stringContaining(message) });
    expect(failure.message).toContain('unitOfWork of PgEventsModule');
  });

  it('is refused when it calls its work a second time, and nothing runs twice', async () => {
    const pool = new Pool({ connectionString: suite.database.url });
    suite.cleanup(() => pool.end());
    const { shard, epoch, to } = await shardOf((work) =>
      unitOf(pool)(async (tx) => {
        await work(tx);
        await work(tx);
      }),
    );
    let ran = 0;
    const failure = await failureOf(
      shard.transaction(async (transaction) => {
        ran += 1;
        await transaction.settle(epoch, to, {});
      }),
    );
    expect(failure.message).toContain('has called work() a second time');
    expect(ran).toBe(1);
  });
});

/** The unit of work of an application that uses pg alone. */
function unitOf(pool: Pool): PgUnitOfWork {
  return async (work) => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await work(client);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  };
}
