import { identifier } from '../executor/identifier-check.js';
import { quoteIdentifier } from '../executor/sql-text.js';
import { invalidOption } from '../option-checks.js';
import type { OptionCheck } from '../option-checks.js';

/** The schema of the tables by default. */
export const DEFAULT_EVENT_SCHEMA = 'nest_events';

/** Checks the name of the schema. It is also the channel of the wake-ups, so both limits of length apply. */
export const eventSchemaName: OptionCheck<string> = (given, place) => {
  const name = identifier()(given, place);
  if (!name.startsWith('pg_')) return name;
  throw invalidOption(place, `is ${JSON.stringify(name)}: PostgreSQL keeps names that begin with pg_ for itself`);
};

/** The quoted names of the schema and of what is in it. `version` is the function that returns the form of the tables. */
export function eventTables(schema: string) {
  const within = (name: string): string => `${quoteIdentifier(schema)}.${name}`;
  return {
    schema: quoteIdentifier(schema),
    event: within('event'),
    consumer: within('consumer'),
    failure: within('failure'),
    version: within('version'),
  };
}
