import { setMaxListeners } from 'node:events';
import { EventConsumer } from '../../lib/event-log/event-consumer.js';
import { EventSessions } from '../../lib/event-log/event-sessions.js';
import type { EventStart, EventStore } from '../../lib/event-log/event-store.js';
import { SqlEventStore } from '../../lib/event-log/sql-event-store.js';
import { resolveConnections } from '../../lib/session/connection-settings.js';
import { systemClock } from '../../lib/time/clock.js';
import { consumerContext } from './consumer-context.js';
import { consumerDefinition } from './event-consumers.js';
import type { GivenConsumer } from './event-consumers.js';
import { Recorder } from './recorder.js';

export interface EventInstanceOptions {
  readonly url: string;
  readonly owner: string;
  /** In milliseconds. @default 60_000 */
  readonly lease?: number;
  /** @default 6 */
  readonly maxConnections?: number;
}

export interface RunOptions {
  /** The most events that are read at once. */
  readonly pageSize?: number;
  /** What stands between the consumer and the log. */
  readonly store?: Pick<EventStore, 'shard'>;
}

/** An instance of an application as far as the event log is concerned: sessions and consumers, on the system's clock. */
export class EventInstance {
  readonly sessions: EventSessions;
  readonly store: SqlEventStore;
  /** What was reported of failures. */
  readonly reports = new Recorder<string>();
  /** What was warned of, or noted for whoever debugs: that a consumer was taken over, for one. */
  readonly notes = new Recorder<string>();
  private readonly consumers: EventConsumer[] = [];
  private readonly closing = new AbortController();
  private readonly context = consumerContext({
    clock: systemClock,
    onError: (error) => this.reports.push((error as Error).message),
    onLine: (line) => this.notes.push(line),
  });

  constructor({ url, owner, lease = 60_000, maxConnections = 6 }: EventInstanceOptions) {
    setMaxListeners(0, this.closing.signal);
    this.sessions = new EventSessions({
      connection: resolveConnections({ connection: url }).connection,
      maxConnections,
      connectTimeout: 5_000,
      applicationName: 'events',
      lease,
      statementLimit: 60_000,
    });
    this.store = new SqlEventStore({ schema: 'nest_events', sessions: this.sessions, owner, lease });
  }

  /** Starts a consumer of the channel `orders`, unless it says otherwise, which exists from now on. */
  async consume(
    given: GivenConsumer,
    options: RunOptions & { readonly from?: EventStart } = {},
  ): Promise<EventConsumer> {
    const { name, shards, channels } = consumerDefinition(given);
    const names = channels.map((channel) => channel.name);
    await this.store.register([{ consumer: name, shards, channels: names, from: options.from ?? 'now' }]);
    return this.run(given, options);
  }

  /** Starts one that the log knows. */
  run(given: GivenConsumer, { pageSize, store = this.store }: RunOptions = {}): EventConsumer {
    const consumer = new EventConsumer(consumerDefinition(given), {
      store,
      context: this.context,
      trust: { isGiven: false, onChange: () => () => undefined },
      closing: this.closing.signal,
      ...(pageSize && { pageSize }),
    });
    this.consumers.push(consumer);
    consumer.start();
    return consumer;
  }

  /** Shuts it down: what runs is finished, and what it owns is given up. */
  async close(): Promise<void> {
    for (const consumer of this.consumers) consumer.end();
    await Promise.all(this.consumers.map((consumer) => consumer.settled()));
    await this.sessions.close();
  }

  /** Gives up all that runs, as at the end of the time that a shutdown waits. */
  abort(): void {
    this.closing.abort(new Error('The shutdown waits no longer.'));
  }
}
