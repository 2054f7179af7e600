import type { ListeningTransport } from '../listener/listening-transport.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { PgPublisher } from '../publisher/pg-publisher.js';

export type { ListeningTransport };

export interface SettlingConsumers {
  /** Resolves when they have handled all that they were given. */
  settled(): Promise<void>;
}

/** The side that sends. */
export type SendingTransport = Pick<PgPublisher, 'publish' | 'publishMany' | 'waiting' | 'close'>;

/** What a registration of an application stands on: whatever listens and sends. */
export interface PgNotifyTransport {
  readonly listener: ListeningTransport;
  readonly publisher: SendingTransport;
  /** Gets the consumers that it serves, if it has to wait for them. */
  serve?(consumers: SettlingConsumers): void;
}

/**
 * What is injected for `getPgNotifyTransportToken()`: the seam of the test kit. Without an override it is PostgreSQL.
 */
export interface PgNotifyTransportSource {
  /** Makes the transport of one registration of one application. */
  connect(context: RegistrationContext): PgNotifyTransport;
}
