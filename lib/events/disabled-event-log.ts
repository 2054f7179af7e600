import type { EventSink } from '../event-log/event-sink.js';
import type { EventShardStore, EventStore } from '../event-log/event-store.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { EventLog } from './event-log.js';

/** The event log of a registration with `enabled: false`: it connects to nothing and rejects every call. */
export class DisabledEventLog implements EventLog {
  readonly store: EventStore = new DisabledEventStore();
  readonly sink: EventSink = { write: (_, channel) => Promise.reject(refusal(channel)) };

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class DisabledEventStore implements EventStore {
  readonly check = refuse;
  readonly register = refuse;
  readonly consumers = refuse;
  readonly deadLetters = refuse;
  readonly requeue = refuse;
  readonly discard = refuse;
  readonly replay = refuse;
  readonly pause = refuse;
  readonly resume = refuse;
  readonly drop = refuse;
  readonly prune = refuse;
  readonly rebase = refuse;

  shard(): EventShardStore {
    throw refusal();
  }
}

function refuse(): Promise<never> {
  return Promise.reject(refusal());
}

function refusal(channel?: string): PgNotifyError {
  const nothing = channel === undefined ? 'The event log is not connected' : 'Nothing can be published';
  return new PgNotifyError(
    'publish',
    `${nothing}: the option enabled of PgNotifyModule is false. Set it to true, or do not use the event log there.`,
    { outcome: 'not-sent', ...(channel !== undefined && { channel }) },
  );
}
