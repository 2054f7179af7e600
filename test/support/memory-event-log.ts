import { definePgChannel } from 'nest-pg-notify';
import type { PgExecutor } from 'nest-pg-notify';
import type { PgNotifyTestBus } from 'nest-pg-notify/testing';
import type { EncodedEvent } from '../../lib/event-log/event-encoding.js';
import type { EventLog } from '../../lib/events/event-log.js';
import { MemoryEventStore } from '../../lib/testing/memory-event-store.js';

/** As the publishing statement sends them. */
const WakeUps = definePgChannel('nest_events', { codec: 'text' });

/** The log of an application on a bus: in memory, with wake-ups that the bus delivers. */
export class MemoryEventLog implements EventLog {
  readonly store = new MemoryEventStore();
  /** The executors that events were published with. */
  readonly executors: (PgExecutor | false)[] = [];
  isClosed = false;
  readonly sink = {
    write: (executor: PgExecutor | false, channel: string, events: readonly EncodedEvent[]): Promise<void> => {
      for (const { id, payload, key, headers } of events) {
        this.store.publish({ id, channel, payload, key: key ?? undefined, headers: headers ?? undefined });
      }
      this.executors.push(executor);
      this.bus.emit(WakeUps, channel);
      return Promise.resolve();
    },
  };

  constructor(private readonly bus: Pick<PgNotifyTestBus, 'emit'>) {}

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}
