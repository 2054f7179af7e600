import type { Client } from 'pg';

/**
 * What `pg_dump` relies on: the functions and triggers of a database as PostgreSQL prints them, in the session that
 * `pg_dump` makes for itself. One statement for each, in an order in which they can be run.
 */
export async function printedDefinitions(client: Client): Promise<readonly string[]> {
  await client.query(AS_PG_DUMP);
  try {
    const { rows } = await client.query<{ sql: string }>(PRINT);
    return rows.map(({ sql }) => sql);
  } finally {
    await client.query('RESET ALL');
  }
}

/** Runs printed definitions in a session like the one in which a dump is restored. */
export async function readBack(client: Client, definitions: readonly string[]): Promise<void> {
  await client.query(AS_A_RESTORE);
  try {
    for (const sql of definitions) await client.query(sql);
  } finally {
    await client.query('RESET ALL');
  }
}

// https://github.com/postgres/postgres/blob/REL_18_STABLE/src/bin/pg_dump/pg_dump.c, setup_connection().
const AS_PG_DUMP = `SELECT pg_catalog.set_config('search_path', '', false);
  SET DateStyle = ISO; SET IntervalStyle = POSTGRES; SET extra_float_digits TO 3; SET synchronize_seqscans TO off;
  SET row_security = off`;

// The head of every plain dump.
const AS_A_RESTORE = `SELECT pg_catalog.set_config('search_path', '', false); SET standard_conforming_strings = on;
  SET check_function_bodies = false; SET xmloption = content; SET row_security = off`;

const PRINT = `
  SELECT sql FROM (
    SELECT 1 AS position, pg_catalog.pg_get_functiondef(p.oid) AS sql
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    WHERE l.lanname = 'plpgsql' AND p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype
    UNION ALL
    SELECT 2, pg_catalog.format('COMMENT ON FUNCTION %s IS %L', p.oid::pg_catalog.regprocedure, d.description)
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_description AS d ON d.objoid = p.oid AND d.objsubid = 0
    WHERE d.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      AND p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
    UNION ALL
    SELECT 3, pg_catalog.pg_get_triggerdef(t.oid, false) FROM pg_catalog.pg_trigger AS t
    WHERE NOT t.tgisinternal AND t.tgparentid = 0
    UNION ALL
    SELECT 4, pg_catalog.format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, t.tgrelid::pg_catalog.regclass, d.description)
    FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_description AS d ON d.objoid = t.oid
    WHERE d.classoid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
  ) AS printed ORDER BY position, sql`;
