import type { PgExecutor } from '../executor/pg-executor.js';
import type { EncodedEvent } from './event-encoding.js';

/** What takes the events that are published. */
export interface EventSink {
  /**
   * Writes events, at least one, in their order, all of them or none. It begins at once: what the caller asks of the same
   * executor next comes after it.
   *
   * @param executor The caller's transaction; false for one of its own.
   */
  write(executor: PgExecutor | false, channel: string, events: readonly EncodedEvent[]): Promise<void>;
}
