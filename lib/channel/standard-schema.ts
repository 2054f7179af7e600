import type { StandardSchemaV1 } from '@standard-schema/spec';
import { invalidOption } from '../option-checks.js';
import type { OptionCheck } from '../option-checks.js';

/** An option that takes a Standard Schema. */
export const standardSchema: OptionCheck<StandardSchemaV1> = (given, place) => {
  const schema = given as Partial<StandardSchemaV1> | null | undefined;
  if (typeof schema?.['~standard']?.validate === 'function') return schema as StandardSchemaV1;
  throw invalidOption(
    place,
    'must be a Standard Schema (https://standardschema.dev): of zod 3.24, valibot 1.0, arktype 2.0 or later, or of another library that implements it',
  );
};
