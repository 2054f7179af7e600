import type { EventSink } from '../event-log/event-sink.js';
import type { EventStore } from '../event-log/event-store.js';

/** The consumers of a log that run in this application. */
export interface RunningConsumers {
  /** Makes them look for events now. @param channel The channel of the new events; none if other state may have changed. */
  wake(channel?: string): void;
  /** Resolves when none of them has work. */
  settled(): Promise<void>;
}

/** The parts of an event log that tests replace: see `getPgEventLogToken()`. */
export interface EventLog {
  readonly store: EventStore;
  readonly sink: EventSink;
  /** Implemented by a log that wakes the consumers itself. Without it, the registration's notifications wake them. */
  serve?(consumers: RunningConsumers): void;
  /** Closes the sessions. After that, only `sink.write()` with an executor still works. Never rejects. */
  close(): Promise<void>;
}
