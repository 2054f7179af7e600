import { afterAll, beforeAll } from '@jest/globals';
import { notifyTrigger } from 'nest-pg-notify';
import type { PgTriggerOptions } from 'nest-pg-notify';
import { createTestDatabase } from './postgres.js';
import type { TestDatabase } from './postgres.js';
import { shortly, TableListener } from './table-listener.js';

/** The options that a test says nothing of. */
export const ITEM_TRIGGER: PgTriggerOptions = { table: 'items', channel: 'item_changes', key: 'id' };

export interface TriggerSuite {
  readonly database: TestDatabase;
  /** Listens to `item_changes`. */
  readonly listener: TableListener;
  readonly run: (sql: string) => Promise<unknown>;
  /** What is announced of some SQL, in short. */
  readonly said: (sql: string) => Promise<string[]>;
  /** The table `items` anew, with these columns, what its rows hold, and then a trigger of these options. */
  readonly given: (columns: string, options?: Partial<PgTriggerOptions>, rows?: readonly string[]) => Promise<void>;
}

/** A database for a test file, and somebody who listens to what the triggers of its table `items` announce. */
export function triggerSuite(): TriggerSuite {
  let database: TestDatabase;
  let listener: TableListener;

  beforeAll(async () => {
    database = await createTestDatabase();
    listener = await TableListener.start(database.url, 'item_changes');
  });

  afterAll(async () => {
    await listener.close();
    await database.drop();
  });

  const run: TriggerSuite['run'] = (sql) => database.query(sql);
  return {
    get database() {
      return database;
    },
    get listener() {
      return listener;
    },
    run,
    said: async (sql) => shortly(await listener.changesOf(() => run(sql))),
    given: async (columns, options = {}, rows = []) => {
      await run(`DROP TABLE IF EXISTS items CASCADE; CREATE TABLE items (${columns});`);
      for (const row of rows) await run(`INSERT INTO items VALUES ${row}`);
      await run(notifyTrigger({ ...ITEM_TRIGGER, ...options }).up);
    },
  };
}
