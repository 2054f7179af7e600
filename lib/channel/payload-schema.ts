import type { StandardSchemaV1 } from '@standard-schema/spec';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgChannel } from './pg-channel.js';
import { isThenable } from './thenable.js';

/**
 * What the channel's schema makes of a value; the value itself where it has none. A promise only where the schema
 * returns one.
 *
 * @throws PgNotifyError of kind `payload`, whose message does not quote the value: `issues` may.
 */
export function applySchema({ name, schema }: PgChannel, value: unknown): unknown {
  if (!schema) return value;
  let result: StandardSchemaV1.Result<unknown> | Promise<StandardSchemaV1.Result<unknown>>;
  try {
    result = schema['~standard'].validate(value);
  } catch (error) {
    throw schemaFailed(name, error);
  }
  if (!isThenable(result)) return valueOf(name, result);
  return Promise.resolve(result).then(
    (settled) => valueOf(name, settled),
    (error: unknown) => Promise.reject(schemaFailed(name, error)),
  );
}

function valueOf(channel: string, result: StandardSchemaV1.Result<unknown>): unknown {
  const { issues } = result;
  if (!issues) return result.value;
  const found = issues.length === 1 ? 'one issue' : `${issues.length} issues`;
  throw new PgNotifyError(
    'payload',
    `A payload for channel ${JSON.stringify(channel)} does not match the schema of the channel: ${found}, in the property issues of this error (errors$ has it). They are not printed, because they may quote the payload.`,
    { channel, issues },
  );
}

function schemaFailed(channel: string, cause: unknown): PgNotifyError {
  return new PgNotifyError(
    'payload',
    `The schema of channel ${JSON.stringify(channel)} did not check a payload but threw; what it threw is the cause of this error.`,
    { channel, cause },
  );
}
