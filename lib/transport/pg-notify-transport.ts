import type { ListeningTransport } from '../listener/listening-transport.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { PgPublisher } from '../publisher/pg-publisher.js';

export type { ListeningTransport };

export interface SettlingConsumers {
  /** Resolves when they have handled everything that they were given. */
  settled(): Promise<void>;
}

/** The side that sends. */
export type SendingTransport = Pick<PgPublisher, 'publish' | 'publishMany' | 'waiting' | 'close'>;

/** The listening and the sending side of a registration. */
export interface PgNotifyTransport {
  readonly listener: ListeningTransport;
  readonly publisher: SendingTransport;
  /** Passes the consumers to a transport that has to wait for them. */
  serve?(consumers: SettlingConsumers): void;
  /** Whether it takes the place of PostgreSQL in a test, so that nothing else of the registration should connect. */
  readonly replacesPostgres?: boolean;
}

/**
 * The provider of `getPgNotifyTransportToken()`, which the test kit overrides. By default it connects to PostgreSQL.
 */
export interface PgNotifyTransportSource {
  /** Makes the transport of a registration. */
  connect(context: RegistrationContext): PgNotifyTransport;
}
