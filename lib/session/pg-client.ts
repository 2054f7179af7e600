import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { Client, types } from 'pg';
import type { CustomTypesConfig, Pool } from 'pg';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { ClientSettings } from './client-config.js';
import { withoutCredentials } from './connection-failure.js';
import { OWN_TYPES } from './type-parsers.js';

export interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/** The part of a client that its types lack. */
export interface ClientConnection extends EventEmitter {
  readonly stream: Duplex;
  /** Connects pg's parser to the stream. It is undocumented, so it may be absent. */
  attachListeners?: (stream: EventEmitter) => void;
}

/** The process-wide type parsers of clients that have none of their own. */
export const PROCESS_TYPES: CustomTypesConfig = types;

export function connectionOf(client: Client): ClientConnection {
  return (client as unknown as { readonly connection: ClientConnection }).connection;
}

/**
 * The silence after which the kernel probes the other side (TCP keep-alive), in milliseconds. The usual default is two
 * hours, but NAT gateways and load balancers of clouds drop a silent connection after four to ten minutes.
 */
const KEEP_ALIVE_DELAY = 10_000;

/** Whether a pool has native clients. Only a client shows it, so one is made that never connects. */
export function isNativePool(pool: Pool): boolean {
  const { Client: Own } = pool as { readonly Client?: typeof Client };
  return typeof Own === 'function' && isNative(new Own({ sslnegotiation: 'postgres' })); // Whatever the environment asks for.
}

/** The native client hides its connection: its socket and the server's messages are inaccessible. */
function isNative(client: Client): boolean {
  return !('connection' in client);
}

/**
 * Makes a client that is not connected yet. This is the only file that uses `pg`.
 *
 * @param option The option that the settings come from, for messages.
 * @throws PgNotifyError of kind `configuration` for settings that cannot be used.
 */
export function createClient(settings: ClientSettings, option: string, applicationName: string): Client {
  const client = makeClient(settings, option, applicationName);
  if (isNative(client)) {
    throw new PgNotifyError(
      'configuration',
      'The client of pg is the native one, which this module cannot use. Unset the variable NODE_PG_FORCE_NATIVE for this process.',
    );
  }
  return client;
}

function makeClient(settings: ClientSettings, option: string, applicationName: string): Client {
  const ours = { keepAlive: true, connectionTimeoutMillis: 0, pipeline: false, binary: false, types: OWN_TYPES };
  try {
    const defaults = { fallback_application_name: applicationName, keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY };
    return new Client({ ...defaults, ...settings, ...ours });
  } catch (error) {
    // Not kept as the cause: Node's error for an invalid URL holds the whole URL.
    const message = withoutCredentials(messageOf(error));
    throw new PgNotifyError('configuration', `The settings in the option ${option} cannot be used: ${message}.`);
  }
}
