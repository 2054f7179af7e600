import type { Observable } from 'rxjs';
import type { Acknowledgement } from './acknowledgement.js';
import type { ChannelConsumer, GapObserver } from './channel-registry.js';
import type { PgNotifyStatus } from './pg-notify-status.js';
import type { PgQueueUsage } from './queue-usage.js';

/** The counts of a listener since its start. */
export interface ListenerFigures {
  readonly received: number;
  /** Notifications withheld from consumers while the delivery check was failing. */
  readonly discarded: number;
  readonly gaps: number;
  readonly reconnects: number;
}

/** The side of a registration that listens: to PostgreSQL, to a test's bus, or to nothing. */
export interface ListeningTransport {
  readonly isStopping: boolean;
  readonly currentStatus: PgNotifyStatus;
  /** Emits the status now, and when the state, the failures, the verdict or the acknowledged channels change. */
  readonly status$: Observable<PgNotifyStatus>;
  readonly figures: ListenerFigures;
  /** The channels that are covered now. */
  readonly coveredChannels: readonly string[];
  /** If it cannot listen, it is stopped and this rejects. */
  start(): Promise<void>;
  /** Resolves once all channels that are wanted now are acknowledged; rejects when stopped. */
  ready(): Promise<void>;
  /** Ends the session and all consumers, from any state. Repeated calls return the same promise. */
  stop(): Promise<void>;
  /** Adds a consumer, and returns a function that removes it. After a stop the consumer is completed at once. */
  subscribe(channel: string, consumer: ChannelConsumer): () => void;
  /**
   * Adds an observer of the gaps of all channels, called after a channel's consumers. Returns a function that removes
   * it.
   */
  observeGaps(observer: GapObserver): () => void;
  /** The acknowledgement by which the channel is covered on the current session; undefined while it is not. */
  acknowledgementOf(channel: string): Acknowledgement | undefined;
  /** Asks the server how full its notification queue is. Rejects while there is no session. */
  queueUsage(): Promise<PgQueueUsage>;
}
