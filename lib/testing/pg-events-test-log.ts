import { setImmediate as turn } from 'node:timers/promises';
import { channelName, toPgChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { encodeEvent } from '../event-log/event-encoding.js';
import type { EncodedEvent, PgEventOptions } from '../event-log/event-encoding.js';
import { EventDecoding } from '../event-log/event-decoding.js';
import type { EventSink } from '../event-log/event-sink.js';
import type { EventStore } from '../event-log/event-store.js';
import type { PgEvent } from '../event-log/pg-event.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import type { EventLog, RunningConsumers } from '../events/event-log.js';
import { checkedElsewhere, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import { MemoryEventStore } from './memory-event-store.js';

/** The options of a {@link PgEventsTestLog}. */
export interface PgEventsTestLogOptions {
  /** What transactional handlers get as `tx`: a fake of whatever they write with. */
  readonly tx?: unknown;
}

/** An event that the application has published. */
export interface PublishedPgEvent<T = unknown> extends PgEvent<T> {
  /** The executor that `publish()` was given. It is not called: what it writes counts as committed at once. */
  readonly executor?: PgExecutor;
}

const OPTIONS = { tx: checkedElsewhere } satisfies ChecksOf<PgEventsTestLogOptions>;

/**
 * Takes the place of the event log's tables in a test: no database. Consumers, their order, retries and dead letters,
 * codecs, schemas and limits are the real ones. What the application publishes is committed at once.
 *
 * ```ts
 * const log = new PgEventsTestLog();
 * const module = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(getPgNotifyTransportToken()).useValue(new PgNotifyTestBus())
 *   .overrideProvider(getPgEventLogToken()).useValue(log)
 *   .compile();
 * ```
 *
 * It serves one event log of one application after the other: what it holds stays when that has been closed, as in a table.
 */
export class PgEventsTestLog implements EventLog {
  /** @internal */
  readonly store: EventStore;
  /** @internal */
  readonly sink: EventSink = {
    write: async (executor, channel, events) =>
      this.publish(channel, events, executor === false ? undefined : executor),
  };
  private readonly memory: MemoryEventStore;
  private readonly byApplication: { readonly seq: string; readonly executor: PgExecutor | undefined }[] = [];
  private consumers: RunningConsumers | undefined;

  constructor(options: PgEventsTestLogOptions = {}) {
    readOptions('PgEventsTestLog', options, OPTIONS);
    const { tx } = options;
    this.memory = new MemoryEventStore({ tx, onChange: (channel) => this.consumers?.wake(channel) });
    this.store = this.memory;
  }

  /**
   * Publishes an event as another application would; returns its id. Handlers get it a moment later, which {@link settled}
   * waits for.
   *
   * @param payload Written by the channel's codec, and checked by its schema.
   * @throws PgNotifyError of kind `channel` or `payload` for what cannot be published.
   */
  deliver<Input = unknown>(
    channel: string | PgChannel<unknown, Input>,
    payload: NoInfer<Input>,
    options: PgEventOptions = {},
  ): string {
    const definition = toPgChannel(channel);
    const event = encodeEvent(definition, payload, options);
    this.add(definition.name, event);
    return event.id;
  }

  /** What the application has published so far, in order: to one channel, or to all. */
  published<Payload = unknown>(channel?: string | PgChannel<Payload, unknown>): readonly PublishedPgEvent<Payload>[] {
    const name = channel === undefined ? undefined : channelName(channel);
    return this.byApplication.flatMap(({ seq, executor }) => {
      const stored = this.memory.published(seq);
      if (name !== undefined && stored.channel !== name) return [];
      const definition = channel === undefined ? toPgChannel(stored.channel) : toPgChannel(channel);
      const event = new EventDecoding([{ ...definition }]).decode(stored) as PgEvent<Payload>;
      return [{ ...event, ...(executor && { executor }) }];
    });
  }

  /**
   * Resolves when all that was published is handled. What has failed and waits for its next attempt does not hold it up:
   * `PgEvents.consumers()` counts it.
   */
  async settled(): Promise<void> {
    let seen: number;
    do {
      seen = this.memory.lastSeq;
      await this.consumers?.settled();
      await turn(); // What a handler has published meanwhile wakes others.
    } while (this.memory.lastSeq !== seen);
  }

  /** @internal */
  serve(consumers: RunningConsumers): void {
    this.consumers = consumers;
  }

  /** @internal */
  close(): Promise<void> {
    this.consumers = undefined;
    return Promise.resolve();
  }

  private publish(channel: string, events: readonly EncodedEvent[], executor: PgExecutor | undefined): void {
    for (const event of events) this.byApplication.push({ seq: this.add(channel, event), executor });
  }

  private add(channel: string, { id, key, payload, headers }: EncodedEvent): string {
    return this.memory.publish({ channel, payload, id, key: key ?? undefined, headers: headers ?? undefined }).seq;
  }
}
