import type { Pool, PoolClient } from 'pg';
import { invalidOption } from '../option-checks.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyModuleOptions } from '../pg-notify.options.js';
import { readClientSettings } from './client-config.js';
import type { ClientSettings } from './client-config.js';
import { withoutCredentials } from './connection-failure.js';
import type { RefuseAddress } from './connection-url.js';
import { isNativePool } from './pg-client.js';

/** Where a session gets its settings. */
export interface ConnectionSettings {
  /** The option that they come from, for messages. */
  readonly option: string;
  /** Called anew for every attempt. A function, so that what holds it can be printed without printing a password. */
  readonly read: () => ClientSettings | Promise<ClientSettings>;
}

/** A pool of the user's own, to borrow clients from. */
export interface PoolSettings {
  /** The option that it comes from, for messages. */
  readonly option: string;
  /** A function, so that what holds it can be printed without printing a password. */
  readonly connect: () => Promise<PoolClient>;
  /** Whether others wait for a client. */
  readonly isShort: () => boolean;
}

/** Where a registration connects to. */
export interface ResolvedPgNotifyConnections {
  readonly connection: ConnectionSettings;
  readonly publisherConnection: ConnectionSettings;
  /** Takes precedence over `publisherConnection`. */
  readonly publisherPool?: PoolSettings;
}

/**
 * Checks where the user wants to connect to.
 *
 * @throws PgNotifyError of kind `configuration` that names the option and what it takes.
 */
export function resolveConnections({ connection, publisher }: PgNotifyModuleOptions): ResolvedPgNotifyConnections {
  const settings = connectionSettings('connection', connection, refuserOf('connection'));
  const { connection: own, pool } = publisher ?? {};
  if (pool !== undefined && own !== undefined) {
    throw refuserOf('publisher.pool')('goes without publisher.connection: leave one out');
  }
  return {
    connection: settings,
    publisherConnection:
      own === undefined ? settings : connectionSettings('publisher.connection', own, refuserOf('publisher.connection')),
    ...(pool !== undefined && {
      publisherPool: poolSettings('publisher.pool', pool, refuserOf('publisher.pool')),
    }),
  };
}

/**
 * Checks settings, or leaves that to each attempt if a function returns them.
 *
 * @param refuse Makes the error of settings that cannot be used.
 */
export function connectionSettings(option: string, given: unknown, refuse: RefuseAddress): ConnectionSettings {
  if (typeof given === 'function') {
    return { option, read: async () => readClientSettings(option, await (given as () => unknown)(), refuse) };
  }
  const settings = readClientSettings(option, given, refuse);
  return { option, read: () => settings };
}

/**
 * Asks for the settings of the next connection.
 *
 * @throws PgNotifyError of kind `connection`, or `configuration` for settings that cannot be used.
 */
export async function readSettings({ option, read }: ConnectionSettings): Promise<ClientSettings> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof PgNotifyError) throw error;
    // Not kept as the cause: an error of a secrets client may hold what must not be logged.
    const message = withoutCredentials(messageOf(error));
    throw new PgNotifyError('connection', `The function in the option ${option} failed: ${message}`, {
      permanent: false,
    });
  }
}

/**
 * Checks a pool.
 *
 * @param refuse Makes the error of what cannot be used.
 */
export function poolSettings(option: string, pool: Pool, refuse: RefuseAddress): PoolSettings {
  // A Client can connect as well, once.
  const { connect, totalCount } = (pool ?? {}) as Partial<Pool>;
  if (typeof connect !== 'function' || typeof totalCount !== 'number') {
    throw refuse('must be a Pool of pg');
  }
  if (isNativePool(pool)) throw refuse('is a pool of the native client. Give it one of pg.Pool');
  return { option, connect: () => pool.connect(), isShort: () => pool.waitingCount > 0 };
}

function refuserOf(option: string): RefuseAddress {
  return (problem, setting) => {
    const path = setting === undefined ? option : `${option}.${setting}`;
    return invalidOption({ owner: 'PgNotifyModule', path }, problem);
  };
}
