import type { ClientBase } from 'pg';
import { migrations } from './migrations.js';

/** Any number, but the same for all instances of this application, and for nothing else in the database. */
const MIGRATION_LOCK = 7_043_218;

/**
 * Applies the migrations that this database does not have yet, in their order; returns their names. It takes an open
 * transaction, whose end also ends the lock: of several instances that start at once, one migrates while the others wait.
 */
export async function migrate(client: ClientBase): Promise<readonly string[]> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
  await client.query(
    'CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const { rows } = await client.query<{ name: string }>('SELECT name FROM schema_migrations');
  const pending = migrations.filter((migration) => !rows.some(({ name }) => name === migration.name));
  for (const { name, sql } of pending) {
    await client.query(sql);
    await client.query('INSERT INTO schema_migrations (name) VALUES ($1)', [name]);
  }
  return pending.map(({ name }) => name);
}
