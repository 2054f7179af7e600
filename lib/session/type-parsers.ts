import type { CustomTypesConfig } from 'pg';

const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === 't', // bool
  23: Number, // int4
  701: Number, // float8
};

/**
 * The type parsers for our own statements. Those of the user's settings, or of `pg.types` for the whole process, may
 * return anything.
 */
export const OWN_TYPES: CustomTypesConfig = {
  getTypeParser: (oid: number) => PARSERS[oid] ?? String,
};
