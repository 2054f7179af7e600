import type { TestDatabase } from './postgres.js';
import { eventually } from './recorder.js';

async function committed(database: TestDatabase): Promise<number> {
  const { rows } = await database.query<{ count: string }>(
    'SELECT xact_commit AS count FROM pg_stat_database WHERE datname = current_database()',
  );
  return Number(rows[0]!.count);
}

/** How many transactions `work` made, those of this question included. It must end the backends that made them: then they tell. */
export async function countTransactions(database: TestDatabase, work: () => Promise<void>): Promise<number> {
  const before = await committed(database);
  await work();
  const after = await eventually(
    () => committed(database),
    (count) => count > before,
  );
  return after - before;
}
