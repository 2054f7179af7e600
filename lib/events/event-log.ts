import type { EventSink } from '../event-log/event-sink.js';
import type { EventStore } from '../event-log/event-store.js';

/** The consumers of a log that run in this application. */
export interface RunningConsumers {
  /** Has them look at once. @param channel Where there are events; none if more than that may have changed. */
  wake(channel?: string): void;
  /** Resolves when none of them has anything to do now. */
  settled(): Promise<void>;
}

/** What a PgEventsModule stands on. */
export interface EventLog {
  readonly store: EventStore;
  readonly sink: EventSink;
  /** Gets the consumers, if it wakes them by itself: notifications of the registration do otherwise. */
  serve?(consumers: RunningConsumers): void;
  /** Ends the sessions; nothing can be asked or written without an executor any more. Never rejects. */
  close(): Promise<void>;
}
