import type { CustomTypesConfig } from 'pg';

const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === 't', // bool
  23: Number, // int4
  701: Number, // float8
};

/**
 * Reads what our own statements return. The parsers of the user's settings, or those set on `pg.types` for the whole
 * process, may make anything of it.
 */
export const OWN_TYPES: CustomTypesConfig = {
  getTypeParser: (oid: number) => PARSERS[oid] ?? String,
};
