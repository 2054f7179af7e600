import type { Pool, PoolClient } from 'pg';
import { invalidOption } from '../option-checks.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyModuleOptions } from '../pg-notify.options.js';
import { readClientSettings } from './client-config.js';
import type { ClientSettings } from './client-config.js';
import { withoutCredentials } from './connection-failure.js';
import type { RefuseAddress } from './connection-url.js';
import { isNativePool } from './pg-client.js';

/** The source of a session's settings. */
export interface ConnectionSettings {
  /** The option that they come from, for messages. */
  readonly option: string;
  /** Called for every attempt. It is a function, so that printing this object prints no password. */
  readonly read: () => ClientSettings | Promise<ClientSettings>;
}

/** The user's own pool, to borrow clients from. */
export interface PoolSettings {
  /** The option that it comes from, for messages. */
  readonly option: string;
  /** A function, so that printing this object prints no password. */
  readonly connect: () => Promise<PoolClient>;
  /** Whether other users wait for a client. */
  readonly isShort: () => boolean;
}

/** The connections of a registration. */
export interface ResolvedPgNotifyConnections {
  readonly connection: ConnectionSettings;
  readonly publisherConnection: ConnectionSettings;
  /** Takes precedence over `publisherConnection`. */
  readonly publisherPool?: PoolSettings;
}

/**
 * Checks the connections that the user has given.
 *
 * @throws PgNotifyError of kind `configuration` that names the option and its valid values.
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
 * Checks settings. If a function returns them, they are checked at each attempt.
 *
 * @param refuse Makes the error of invalid settings.
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
    // The error is not kept as the cause, because that of a secrets client may contain secrets.
    const message = withoutCredentials(messageOf(error));
    throw new PgNotifyError('connection', `The function in the option ${option} failed: ${message}`, {
      permanent: false,
    });
  }
}

/**
 * Checks a pool.
 *
 * @param refuse Makes the error of an invalid pool.
 */
export function poolSettings(option: string, pool: Pool, refuse: RefuseAddress): PoolSettings {
  // A Client has connect() as well, but can only connect once.
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
