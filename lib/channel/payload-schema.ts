import { types } from 'node:util';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { PgChannel } from './pg-channel.js';
import { describeIssues } from './schema-issues.js';
import { isThenable } from './thenable.js';

/**
 * What the channel's schema makes of a value; the value itself where it has none. A promise only where the schema
 * returns one.
 *
 * @throws PgNotifyError of kind `payload`, whose message does not quote the value: `issues` may.
 */
export function applySchema({ name, schema }: Pick<PgChannel, 'name' | 'schema'>, value: unknown): unknown {
  if (!schema) return value;
  const checked = attempt(name, () => {
    const result = schema['~standard'].validate(value);
    return isThenable(result) ? Promise.resolve(result) : readResult(result);
  });
  if (!(checked instanceof Promise)) return valueOf(name, checked, value);
  return checked.then(
    (result) =>
      valueOf(
        name,
        attempt(name, () => readResult(result)),
        value,
      ),
    (error: unknown) => Promise.reject(schemaFailed(name, error)),
  );
}

/** A schema of somebody's own may return anything: to look at it belongs to what may throw. */
function readResult(result: StandardSchemaV1.Result<unknown>): Checked {
  if (result.issues) return { issues: [...result.issues] };
  if (!('value' in result)) throw new TypeError('The schema returned neither a value nor issues.');
  return { value: result.value };
}

type Checked = { readonly issues: readonly StandardSchemaV1.Issue[] } | { readonly value: unknown };

function attempt<T>(channel: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw schemaFailed(channel, error);
  }
}

function valueOf(channel: string, checked: Checked, payload: unknown): unknown {
  if (!('issues' in checked)) return checked.value;
  const { issues } = checked;
  throw new PgNotifyError(
    'payload',
    `A payload for channel ${JSON.stringify(channel)} does not match the schema of the channel: ${describeIssues(issues, payload)}. ` +
      `All that it found is in the property issues of this error, which is not printed, because it may quote the payload.`,
    { channel, issues },
  );
}

/** What was thrown may quote the payload as well, and a `cause` is printed with its error: so it is kept as an issue. */
function schemaFailed(channel: string, thrown: unknown): PgNotifyError {
  return new PgNotifyError(
    'payload',
    `The schema of channel ${JSON.stringify(channel)} could not check a payload: it threw, or returned what is no result of a Standard Schema. What it threw is in the property issues of this error; it is not printed, because it may quote the payload.`,
    { channel, issues: [issueOf(thrown)] },
  );
}

function issueOf(thrown: unknown): StandardSchemaV1.Issue {
  return types.isNativeError(thrown) ? thrown : { message: messageOf(thrown) };
}
