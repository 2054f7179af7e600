import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { withoutCredentials } from './connection-failure.js';
import { OWN_TYPES } from './type-parsers.js';

export interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/** The parts of a client that its types do not have. */
export function connectionOf(client: Client): EventEmitter & { readonly stream: Duplex } {
  return (client as unknown as { readonly connection: EventEmitter & { readonly stream: Duplex } }).connection;
}

/**
 * How long a connection may be silent before the kernel asks whether the other side is there, in milliseconds. The usual
 * default is two hours; NAT gateways and load balancers of clouds forget a silent connection after four to ten minutes.
 */
const KEEP_ALIVE_DELAY = 10_000;

/**
 * A client that is not connected yet. This is the only file that touches `pg`.
 *
 * @param option Where the settings come from, for messages.
 * @throws PgNotifyError of kind `configuration` for settings that cannot be used.
 */
export function createClient(config: ClientConfig, option: string, applicationName: string): Client {
  const ours = { keepAlive: true, connectionTimeoutMillis: 0, pipeline: false, binary: false, types: OWN_TYPES };
  try {
    const defaults = { fallback_application_name: applicationName, keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY };
    return new Client({ ...defaults, ...config, ...ours });
  } catch (error) {
    // Not kept as the cause: Node's error for an invalid URL holds the whole URL.
    const message = withoutCredentials(messageOf(error));
    throw new PgNotifyError('configuration', `The settings in the option ${option} cannot be used: ${message}.`, {
      permanent: true,
    });
  }
}
