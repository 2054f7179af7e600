import type { EventSink } from '../event-log/event-sink.js';
import type { EventStore } from '../event-log/event-store.js';

/** What a PgEventsModule stands on. */
export interface EventLog {
  readonly store: EventStore;
  readonly sink: EventSink;
  /** Ends the sessions; nothing can be asked or written without an executor any more. Never rejects. */
  close(): Promise<void>;
}
