import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Pool } from 'pg';
import { EventSessions } from '../event-log/event-sessions.js';
import { SqlEventSink } from '../event-log/sql-event-sink.js';
import { SqlEventStore } from '../event-log/sql-event-store.js';
import { invalidOption } from '../option-checks.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyParts } from '../pg-notify.parts.js';
import { DEFAULT_REGISTRATION } from '../pg-notify.tokens.js';
import { poolSettings } from '../session/connection-settings.js';
import type { RefuseAddress } from '../session/connection-url.js';
import { DisabledEventLog } from './disabled-event-log.js';
import type { EventLog } from './event-log.js';
import type { PgEventsOptions } from './pg-events.options.js';
import type { ResolvedPgEventsOptions } from './pg-events.resolved-options.js';

/** The time limit of a transactional method's statement, in milliseconds. It only has to exceed every reasonable statement. */
const STATEMENT_LIMIT = 600_000;

/** How much of a host's name is shown as the owner of a consumer, in characters. */
const LONGEST_HOST = 60;

/**
 * The event log in the database of a registration. Nothing is connected before it is asked for something.
 *
 * @throws PgNotifyError of kind `configuration` on a test bus: a test without a database must not reach a real one.
 */
export function createEventLog(
  { pool }: PgEventsOptions,
  { schema, lease, maxConnections, unitOfWork }: ResolvedPgEventsOptions,
  { options, connections, transport, registrations }: PgNotifyParts,
): EventLog {
  if (!options.enabled) return new DisabledEventLog();
  if (transport.replacesPostgres) throw notOverridden(registrations.own);
  const refuse: RefuseAddress = (problem) => invalidOption({ owner: 'PgEventsModule', path: 'pool' }, problem);
  const sessions = new EventSessions({
    connection: connections().publisherConnection,
    pool: pool && poolSettings('pool of PgEventsModule', pool, refuse),
    maxConnections: Math.min(maxConnections, pool ? sizeOf(pool, refuse) : Infinity),
    connectTimeout: options.connectTimeout,
    applicationName: 'nest-pg-notify events',
    lease,
    statementLimit: STATEMENT_LIMIT,
  });
  // The status of consumers shows it. It is unique to each start, because a restarted process does not own its earlier shards.
  const owner = `${hostname().slice(0, LONGEST_HOST)}:${process.pid}:${randomUUID().slice(0, 8)}`;
  const { timeout } = options.publisher;
  return {
    store: new SqlEventStore({ schema, sessions, owner, lease, unitOfWork }),
    sink: new SqlEventSink({ schema, ask: (statement) => sessions.ask({ ...statement, timeout }) }),
    close: () => sessions.close(),
  };
}

function notOverridden(registration: string): PgNotifyError {
  const name = registration === DEFAULT_REGISTRATION ? '' : `'${registration}'`;
  return new PgNotifyError(
    'configuration',
    `The registration '${registration}' is on a PgNotifyTestBus, but its event log would connect to PostgreSQL. Override it too: .overrideProvider(getPgEventLogToken(${name})).useValue(new PgEventsTestLog()).`,
  );
}

/** @throws PgNotifyError of kind `configuration` for a pool in which a transaction would keep leases from being renewed. */
function sizeOf({ options }: Pool, refuse: RefuseAddress): number {
  const { max = Infinity } = (options ?? {}) as Partial<Pool['options']>;
  if (max >= 2) return max;
  throw refuse(
    `has at most ${max} connection, and must have at least 2: a transaction keeps one while leases are renewed`,
  );
}
