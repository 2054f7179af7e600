import type { PgExecutor } from '../executor/pg-executor.js';
import type { EncodedEvent } from './event-encoding.js';

/** Takes published events. */
export interface EventSink {
  /**
   * Writes events, at least one, in their order, all or none. It starts synchronously, so that a later statement of the caller
   * on the same executor runs after it.
   *
   * @param executor The caller's transaction; false for a transaction of its own.
   */
  write(executor: PgExecutor | false, channel: string, events: readonly EncodedEvent[]): Promise<void>;
}
