import { types } from 'node:util';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { PgChannel } from './pg-channel.js';
import { describeIssues } from './schema-issues.js';
import { SYNCHRONOUS_REMEDY } from './standard-schema.js';
import { isThenable } from './thenable.js';

/**
 * Returns the output of the channel's schema for a value, or the value itself if the channel has no schema.
 *
 * @throws PgNotifyError of kind `payload`, whose message does not quote the value: `issues` may. Of kind
 * `configuration` if the schema returns a promise.
 */
export function applySchema({ name, schema }: Pick<PgChannel, 'name' | 'schema'>, value: unknown): unknown {
  if (!schema) return value;
  const checked = check(schema, name, value);
  if ('value' in checked) return checked.value;
  const { issues } = checked;
  throw new PgNotifyError(
    'payload',
    `A payload for channel ${JSON.stringify(name)} does not match the schema of the channel: ${describeIssues(issues, value)}. ` +
      `All findings are in the property issues of this error. It is not printed, because it may quote the payload.`,
    { channel: name, issues },
  );
}

type Checked = { readonly issues: readonly StandardSchemaV1.Issue[] } | { readonly value: unknown };

function check(schema: StandardSchemaV1, channel: string, value: unknown): Checked {
  try {
    const result = schema['~standard'].validate(value);
    if (!isThenable(result)) return readResult(result);
    Promise.resolve(result).catch(() => undefined); // The schema is refused, so its answer is ignored.
  } catch (error) {
    throw schemaFailed(channel, error);
  }
  throw new PgNotifyError(
    'configuration',
    `The schema of channel ${JSON.stringify(channel)} returned a promise, but the schema of a channel must answer at once. ${SYNCHRONOUS_REMEDY}`,
    { channel },
  );
}

/** A custom schema may return anything, so reading its result may throw as well. */
function readResult(result: StandardSchemaV1.Result<unknown>): Checked {
  if (result.issues) return { issues: [...result.issues] };
  if (!('value' in result)) throw new TypeError('The schema returned neither a value nor issues.');
  return { value: result.value };
}

/**
 * The thrown value may quote the payload. A `cause` is printed with its error, so the value is kept as an issue
 * instead.
 */
function schemaFailed(channel: string, thrown: unknown): PgNotifyError {
  return new PgNotifyError(
    'payload',
    `The schema of channel ${JSON.stringify(channel)} could not check a payload: it threw, or returned something that is not a Standard Schema result. The thrown value is in the property issues of this error. It is not printed, because it may quote the payload.`,
    { channel, issues: [issueOf(thrown)] },
  );
}

function issueOf(thrown: unknown): StandardSchemaV1.Issue {
  return types.isNativeError(thrown) ? thrown : { message: messageOf(thrown) };
}
