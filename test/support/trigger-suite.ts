import { beforeAll } from '@jest/globals';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import type { PgTriggerOptions } from 'nest-pg-notify/triggers';
import { appSuite } from './app/app-suite.js';
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
  const suite = appSuite();
  let listener: TableListener;

  beforeAll(async () => {
    listener = suite.use(await TableListener.start(suite.database.url, 'item_changes'));
  });

  const run: TriggerSuite['run'] = (sql) => suite.database.query(sql);
  return {
    get database() {
      return suite.database;
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
