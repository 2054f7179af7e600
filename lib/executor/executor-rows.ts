import { PgNotifyError } from '../pg-notify.errors.js';

/**
 * Returns the rows of an executor's answer: an array of rows, as most ORMs return it; an object with the property
 * `rows`, as of pg; or an array whose first item is the array of rows, as of Sequelize.
 *
 * @throws PgNotifyError of kind `configuration` for an answer without rows.
 */
export function rowsOf(answer: unknown): readonly Readonly<Record<string, unknown>>[] {
  const held: unknown = isObject(answer) && 'rows' in answer ? answer.rows : answer;
  const rows: unknown = Array.isArray(held) && Array.isArray(held[0]) ? held[0] : held;
  if (Array.isArray(rows) && rows.every(isObject)) return rows;
  throw new PgNotifyError(
    'configuration',
    'The executor has answered with neither an array of rows nor an object with such an array in rows. Pass one that returns the rows of a SELECT.',
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
