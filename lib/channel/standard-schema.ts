import { types } from 'node:util';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { invalidOption } from '../option-checks.js';
import type { OptionCheck } from '../option-checks.js';

/** The alternative to an asynchronous schema of a channel. */
export const SYNCHRONOUS_REMEDY =
  'Move the asynchronous check into a pipe of the handler (@UsePipes), and into the code that calls notify().';

/** An option that takes a Standard Schema. */
export const standardSchema: OptionCheck<StandardSchemaV1> = (given, place) => {
  const schema = given as Partial<StandardSchemaV1> | null | undefined;
  if (typeof schema?.['~standard']?.validate === 'function') return schema as StandardSchemaV1;
  throw invalidOption(
    place,
    'must be a Standard Schema (https://standardschema.dev): of zod 3.24, valibot 1.0, arktype 2.0 or later, or of another library that implements it',
  );
};

/** An option that takes a synchronous Standard Schema. */
export const synchronousSchema: OptionCheck<StandardSchemaV1> = (given, place) => {
  const schema = standardSchema(given, place);
  if (!isAsynchronous(schema)) return schema;
  throw invalidOption(place, `must answer at once, but this schema returns a promise. ${SYNCHRONOUS_REMEDY}`);
};

/**
 * Whether a schema is known to be asynchronous before it has checked anything: valibot marks such schemas, and an
 * `async` function (yup's, say) always returns a promise. Schemas of other libraries are only known by their results.
 */
export function isAsynchronous(schema: StandardSchemaV1): boolean {
  return ('async' in schema && schema.async === true) || types.isAsyncFunction(schema['~standard'].validate);
}
