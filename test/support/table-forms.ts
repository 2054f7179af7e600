import type { TestDatabase } from './postgres.js';

/** What a table is made of, in PostgreSQL's own words. */
export interface TableForm {
  readonly name: string;
  /** With type, NOT NULL, identity and default. */
  readonly columns: readonly string[];
  /** Constraints and indexes, with their names. */
  readonly rules: readonly string[];
  readonly options: readonly string[] | null;
}

/** The tables of a schema, by name. */
export async function tableFormsOf(database: TestDatabase, schema: string): Promise<readonly TableForm[]> {
  const { rows } = await database.query(
    `SELECT c.relname AS name, c.reloptions AS options,
      ARRAY(SELECT concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid))
        FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum) AS columns,
      ARRAY(SELECT concat_ws(' ', k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint AS k WHERE k.conrelid = c.oid
        UNION ALL SELECT pg_get_indexdef(i.indexrelid) FROM pg_index AS i WHERE i.indrelid = c.oid ORDER BY 1) AS rules
    FROM pg_class AS c WHERE c.relnamespace = '${schema}'::regnamespace AND c.relkind = 'r' ORDER BY c.relname`,
  );
  return rows as TableForm[];
}
