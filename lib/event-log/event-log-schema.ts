import { identifier } from '../executor/identifier-check.js';
import { quoteIdentifier } from '../executor/sql-text.js';
import { invalidOption } from '../option-checks.js';
import type { OptionCheck } from '../option-checks.js';

/** Where the tables are, unless it is said otherwise. */
export const DEFAULT_EVENT_SCHEMA = 'nest_events';

/** A name that a schema may have. It is also the channel of the wake-ups, so its length counts for both. */
export const eventSchemaName: OptionCheck<string> = (given, place) => {
  const name = identifier()(given, place);
  if (!name.startsWith('pg_')) return name;
  throw invalidOption(place, `is ${JSON.stringify(name)}: PostgreSQL keeps names that begin with pg_ for itself`);
};

/** The names of what the schema holds, quoted. */
export interface EventTables {
  readonly schema: string;
  readonly event: string;
  readonly consumer: string;
  readonly failure: string;
  /** The function that returns the form of the tables. */
  readonly version: string;
}

export function eventTables(schema: string): EventTables {
  const within = (name: string): string => `${quoteIdentifier(schema)}.${name}`;
  return {
    schema: quoteIdentifier(schema),
    event: within('event'),
    consumer: within('consumer'),
    failure: within('failure'),
    version: within('version'),
  };
}
