import { beforeAll } from '@jest/globals';
import type { Pool } from 'pg';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { EventSessions } from '../../lib/event-log/event-sessions.js';
import type { EventSessionsOptions } from '../../lib/event-log/event-sessions.js';
import { SqlEventStore } from '../../lib/event-log/sql-event-store.js';
import type { SqlEventStoreOptions } from '../../lib/event-log/sql-event-store.js';
import { resolveConnections } from '../../lib/session/connection-settings.js';
import { appSuite } from './app/app-suite.js';
import type { AppSuite, AppSuiteOptions } from './app/app-suite.js';
import type { RawEvent } from './event-store-contract.js';

/** What runs a statement. */
export interface RawClient {
  query(text: string, values: unknown[]): Promise<unknown>;
}

export interface SqlStoreOptions extends Partial<EventSessionsOptions>, Partial<SqlEventStoreOptions> {
  readonly url?: string;
  readonly userPool?: Pool;
}

export interface EventLogSuite extends AppSuite {
  /** The log, on sessions of its own, as an instance of this name sees it. */
  readonly store: (owner: string, options?: SqlStoreOptions) => SqlEventStore;
  /** Sessions to the database. */
  readonly sessions: (options?: SqlStoreOptions) => EventSessions;
  /** Publishes in one transaction of its own, or by this client in the one that it is in. */
  readonly publish: (events: readonly RawEvent[], client?: RawClient) => Promise<void>;
  /** A schema of its own beside the others, for tests that need the log for themselves. */
  readonly createSchema: () => Promise<string>;
}

const PUBLISH = (schema: string): string => `INSERT INTO "${schema}".event (channel, key, payload, headers)
  SELECT e.value->>'channel', e.value->>'key', coalesce(e.value->>'payload', 'null')::json, (e.value->>'headers')::json
  FROM json_array_elements($1::json) WITH ORDINALITY AS e(value, n) ORDER BY e.n`;

/** Publishes by a statement of its own, as a trigger or another language would. */
export async function publishRaw(
  client: RawClient,
  events: readonly RawEvent[],
  schema = 'nest_events',
): Promise<void> {
  await client.query(PUBLISH(schema), [JSON.stringify(events)]);
}

/** A database with an event log for a test file. */
export function eventLogSuite(options: AppSuiteOptions = {}): EventLogSuite {
  const suite = appSuite(options);
  let schemas = 0;

  beforeAll(async () => {
    await suite.database.query(eventLog().up);
  });

  const sessions = ({ url, userPool, ...more }: SqlStoreOptions = {}): EventSessions => {
    const connection = url ?? suite.database.url;
    const publisher = userPool && { pool: userPool };
    const resolved = resolveConnections({ connection, ...(publisher && { publisher }) });
    const made = new EventSessions({
      connection: resolved.connection,
      pool: resolved.publisherPool,
      maxConnections: 3,
      connectTimeout: 10_000,
      applicationName: 'test-events',
      lease: 60_000,
      statementLimit: 60_000,
      ...more,
    });
    return suite.use(made);
  };

  return Object.assign(suite, {
    sessions,
    store: (owner: string, more: SqlStoreOptions = {}) => {
      const { schema = 'nest_events', lease = 60_000, unitOfWork } = more;
      return new SqlEventStore({ schema, owner, lease, unitOfWork, sessions: more.sessions ?? sessions(more) });
    },
    publish: (events: readonly RawEvent[], client: RawClient = suite.database) => publishRaw(client, events),
    createSchema: async () => {
      schemas += 1;
      const schema = `log_${schemas}`;
      await suite.database.query(eventLog({ schema }).up);
      return schema;
    },
  });
}
