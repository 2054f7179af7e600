import type { PgListener } from '../listener/pg-listener.js';
import type { PgPublisher } from '../publisher/pg-publisher.js';

export interface SettlingConsumers {
  /** Resolves when they have handled all that they were given. */
  settled(): Promise<void>;
}

/** The side that listens. */
export type ListeningTransport = Pick<
  PgListener,
  | 'start'
  | 'ready'
  | 'stop'
  | 'subscribe'
  | 'observeGaps'
  | 'coveredSince'
  | 'coveredChannels'
  | 'queueUsage'
  | 'isStopping'
  | 'currentStatus'
  | 'status$'
  | 'figures'
>;

/** The side that sends. */
export type SendingTransport = Pick<PgPublisher, 'publish' | 'close'>;

/**
 * What a registration stands on: whatever listens and sends. Made of PostgreSQL, unless it is overridden: the seam of the
 * test kit.
 */
export interface PgNotifyTransport {
  readonly listener: ListeningTransport;
  readonly publisher: SendingTransport;
  /** Is told of the consumers that it serves, where it wants to wait for them. */
  serve?(consumers: SettlingConsumers): void;
}
