import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { z } from 'zod';

/** A schema of zod that is asked asynchronously, once. */
export function asynchronous<Output, Input>(schema: z.ZodType<Output, Input>): StandardSchemaV1<Input, Output> {
  const validate = async (value: unknown): Promise<StandardSchemaV1.Result<Output>> => {
    const result = await schema.safeParseAsync(value);
    return result.success ? { value: result.data } : { issues: result.error.issues };
  };
  return { '~standard': { version: 1, vendor: 'zod', validate } };
}
