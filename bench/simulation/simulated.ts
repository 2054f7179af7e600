/** How many consumers there are, and in how many parts each. */
export const CONSUMERS = 8;
export const SHARDS = 8;

/** How many of them are transactional. */
export const TRANSACTIONAL = 4;

/**
 * How many connections an instance may have at most: one that listens, one that sends, `maxConnections` for the event log, and
 * the application's own pool, which has one here.
 */
export const BUDGET = 1 + 1 + 5 + 1;

export const TABLES = `
  CREATE TABLE price (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
  CREATE TABLE job (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, done int NOT NULL DEFAULT 0);
  CREATE TABLE effect (consumer text, event uuid)`;
