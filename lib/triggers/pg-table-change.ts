import type { StandardSchemaV1 } from '@standard-schema/spec';
import { isAsynchronous } from '../channel/standard-schema.js';
import { isThenable } from '../channel/thenable.js';
import type { PgTableOperation } from './pg-trigger-options.js';
import { TABLE_OPERATIONS } from './trigger-plan.js';

/** The payload of a trigger of `notifyTrigger()`. */
export interface PgTableChange<Key = unknown> {
  readonly op: PgTableOperation;
  /** The table, as the trigger's options name it. */
  readonly table: string;
  /**
   * The keys of the changed rows, each once, in no particular order. If an update has changed a key, the old key is
   * included. `null` if the keys are not sent: after a TRUNCATE, if there are more than `maxKeys`, or if one is too
   * long. Any row may then have changed, so read all of them.
   */
  readonly keys: readonly Key[] | null;
  /** With `keys: null`: the number of rows that the statement has inserted, updated or deleted, if known. */
  readonly count?: number;
  /**
   * When the trigger ran, by the server's clock, as ISO 8601 in UTC with microseconds. It is not the order of commits.
   */
  readonly at: string;
}

/**
 * The schema of what a trigger of `notifyTrigger()` sends, for `definePgChannel()`. With a schema of the keys, any
 * Standard Schema, it checks each of them and infers their type; without one, the type parameter is a statement of
 * yours. Keys arrive as the driver reads them: `integer` as a number, `bigint` and `numeric` as a string; but inside an
 * array they are numbers.
 *
 * ```ts
 * export const ProductChanges = definePgChannel('product_changes', { schema: pgTableChangeSchema<number>() });
 * ```
 * A channel takes a schema that answers at once.
 */
export function pgTableChangeSchema<Key = unknown>(): StandardSchemaV1<PgTableChange<Key>>;
export function pgTableChangeSchema<Schema extends StandardSchemaV1>(
  key: Schema,
): StandardSchemaV1<
  PgTableChange<StandardSchemaV1.InferInput<Schema>>,
  PgTableChange<StandardSchemaV1.InferOutput<Schema>>
>;
export function pgTableChangeSchema(key?: StandardSchemaV1): StandardSchemaV1<PgTableChange> {
  const validate = (
    value: unknown,
  ): StandardSchemaV1.Result<PgTableChange> | Promise<StandardSchemaV1.Result<PgTableChange>> => {
    const issues = issuesOf(value);
    if (issues.length > 0) return { issues };
    const change = value as PgTableChange;
    if (!key || change.keys === null) return { value: change };
    const results = change.keys.map((each) => key['~standard'].validate(each));
    if (!results.some((result) => isThenable(result))) return withKeys(change, results as KeyResult[]);
    return Promise.all(results.map(async (result) => result)).then((settled) => withKeys(change, settled));
  };
  // Marked as valibot marks its own: definePgChannel() refuses it then.
  const schema = {
    '~standard': { version: 1, vendor: 'nest-pg-notify', validate },
    async: key !== undefined && isAsynchronous(key),
  } as const;
  return schema;
}

type KeyResult = StandardSchemaV1.Result<unknown>;

function withKeys(change: PgTableChange, results: readonly KeyResult[]): StandardSchemaV1.Result<PgTableChange> {
  const issues = results.flatMap((result, index) =>
    (result.issues ?? []).map((issue) => ({
      ...issue,
      message: issue.message,
      path: ['keys', index, ...(issue.path ?? [])],
    })),
  );
  if (issues.length > 0) return { issues };
  return {
    value: { ...change, keys: results.map((result) => (result as StandardSchemaV1.SuccessResult<unknown>).value) },
  };
}

function issuesOf(value: unknown): StandardSchemaV1.Issue[] {
  if (typeof value !== 'object' || value === null) return [{ message: 'A change of a table is an object.' }];
  const { op, table, keys, count, at } = value as Readonly<Record<string, unknown>>;
  const issues: StandardSchemaV1.Issue[] = [];
  const expect = (holds: boolean, property: string, what: string): void => {
    if (!holds) issues.push({ message: `${property} must be ${what}.`, path: [property] });
  };
  expect((TABLE_OPERATIONS as readonly unknown[]).includes(op), 'op', `one of ${TABLE_OPERATIONS.join(', ')}`);
  expect(typeof table === 'string', 'table', 'a string');
  expect(keys === null || Array.isArray(keys), 'keys', 'an array or null');
  expect(count === undefined || (Number.isSafeInteger(count) && Number(count) >= 0), 'count', 'a whole number');
  expect(typeof at === 'string' && !Number.isNaN(Date.parse(at)), 'at', 'a date and time of ISO 8601');
  return issues;
}
