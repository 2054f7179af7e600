import { setImmediate as turn } from 'node:timers/promises';
import { toSendingChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { isThenable } from '../channel/thenable.js';
import { chosenExecutor, executorOption, refuseBareExecutor } from '../executor/call-executor.js';
import type { CallOptions, CurrentExecutor } from '../executor/call-executor.js';
import { isExecutor } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import { checkedElsewhere, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import type { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import { isPgNotifyError, messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { encodeEvent } from './event-encoding.js';
import type { EncodedEvent, PgEventOptions, PublishingChannel } from './event-encoding.js';
import { eventPublishError } from './event-publish-error.js';
import type { EventSink } from './event-sink.js';

/** One of the events of a `publishMany()`. */
export interface PgNewEvent<Payload = unknown> extends PgEventOptions {
  readonly payload: Payload;
}

export interface EventPublisherOptions {
  /** Where the events are written to. */
  readonly sink: EventSink;
  /** Tells the transaction that a call is made in. */
  readonly currentExecutor?: CurrentExecutor | undefined;
  readonly diagnostics?: PgNotifyDiagnostics;
  /** Gets what was not, or perhaps not, published; the caller gets it in any case. */
  readonly onFailure?: (error: PgNotifyError) => void;
}

/** How much one statement carries, of events and of bytes. */
const MOST_EVENTS = 5_000;
const MOST_BYTES = 8_000_000;
/** How many events are checked in one turn of the event loop. */
const CHECKED_AT_ONCE = 1_000;

const PUBLISH = {
  executor: executorOption,
  key: checkedElsewhere,
  headers: checkedElsewhere,
} satisfies ChecksOf<CallOptions & PgEventOptions>;

const PUBLISH_MANY = { executor: executorOption } satisfies ChecksOf<CallOptions>;

const EVENT = {
  payload: checkedElsewhere,
  key: checkedElsewhere,
  headers: checkedElsewhere,
} satisfies ChecksOf<PgNewEvent>;

/**
 * Writes events into the log, in the caller's transaction. An event's id is made here, so that no answer has to be read:
 * libraries hand rows on in many ways.
 */
export class EventPublisher {
  constructor(private readonly options: EventPublisherOptions) {}

  /**
   * Resolves with the id of the event.
   *
   * @throws PgNotifyError of kind `configuration` if there is no transaction and the call does not say that none is meant;
   * of kind `channel` or `payload` for what cannot be published, before anything is sent; of kind `publish` if the statement
   * fails.
   */
  async publish(
    channel: string | PgChannel,
    payload: unknown,
    options: CallOptions & PgEventOptions = {},
  ): Promise<string> {
    const definition = toSendingChannel(channel);
    const { name } = definition;
    refuseBareExecutor('publish()', options);
    const { executor: given } = readOptions('publish()', options, PUBLISH);
    if (isOptions(payload)) {
      throw new PgNotifyError(
        'configuration',
        `The payload for channel ${JSON.stringify(name)} is what the options would be: write publish(channel, undefined, { executor: … }).`,
        { channel: name },
      );
    }
    const executor = this.executorOf('publish()', name, given);
    const event = encodeEvent(definition, payload, options);
    // At once: a statement of the caller's that follows must come after this one.
    await this.write(executor, name, [event]);
    return event.id;
  }

  /**
   * Resolves with the ids of the events, in their order. All are checked before anything is sent.
   *
   * @throws PgNotifyError as {@link publish}; of kind `payload` it names the place of the event.
   */
  async publishMany(
    channel: string | PgChannel,
    events: readonly PgNewEvent[],
    options: CallOptions = {},
  ): Promise<readonly string[]> {
    const definition = toSendingChannel(channel);
    const { name } = definition;
    if (!Array.isArray(events)) {
      const found = isThenable(events) ? 'a promise: await it' : events === null ? 'null' : typeof events;
      throw new PgNotifyError('payload', `publishMany() takes an array of events, not ${found}.`, { channel: name });
    }
    refuseBareExecutor('publishMany()', options);
    const { executor: given } = readOptions('publishMany()', options, PUBLISH_MANY);
    const executor = this.executorOf('publishMany()', name, given);
    const encoded = await encodeAll(definition, [...(events as readonly PgNewEvent[])]); // The caller's own may change meanwhile.
    let sent = 0;
    for (const part of partsOf(encoded)) {
      const all =
        encoded.length === 1 ? undefined : `The ${encoded.length} events for channel ${JSON.stringify(name)} were`;
      const rest = `Of ${encoded.length} events for channel ${JSON.stringify(name)} those from [${sent}] on were`;
      await this.write(executor, name, part, sent === 0 ? all : rest);
      sent += part.length;
    }
    return encoded.map(({ id }) => id);
  }

  /** @throws PgNotifyError of kind `configuration` if there is none and the call does not say so. */
  private executorOf(call: string, channel: string, given: PgExecutor | false | undefined): PgExecutor | false {
    const executor = chosenExecutor(given, this.options.currentExecutor);
    if (executor !== undefined) return executor;
    const written = call === 'publish()' ? 'publish(channel, payload, ' : 'publishMany(channel, events, ';
    throw new PgNotifyError(
      'configuration',
      `${call} has no transaction, so the event for channel ${JSON.stringify(channel)} would not be part of one: it could announce what is rolled back, or be missing for what is committed. ` +
        `Write ${written}{ executor: tx }), or let publisher.executor of PgNotifyModule return the transaction. To publish at once, on purpose, write { executor: false }.`,
      { channel },
    );
  }

  private async write(
    executor: PgExecutor | false,
    channel: string,
    events: readonly EncodedEvent[],
    what = `The event for channel ${JSON.stringify(channel)} was`,
  ): Promise<void> {
    const { sink, diagnostics, onFailure } = this.options;
    const isWatched = diagnostics?.isWatched('nest-pg-notify.published') === true;
    const begun = isWatched ? performance.now() : 0;
    try {
      await sink.write(executor, channel, events);
    } catch (error) {
      const failure = eventPublishError(channel, what, error, executor ? 'not-sent' : 'unknown');
      if (failure.kind === 'publish') onFailure?.(failure);
      throw failure;
    }
    if (!isWatched) return;
    const duration = performance.now() - begun;
    for (const { payload } of events) {
      diagnostics.publish('nest-pg-notify.published', { channel, kind: 'event', size: payload.length, duration });
    }
  }
}

async function encodeAll(channel: PublishingChannel, events: readonly PgNewEvent[]): Promise<readonly EncodedEvent[]> {
  const encoded: EncodedEvent[] = [];
  for (const [index, event] of events.entries()) {
    if (index > 0 && index % CHECKED_AT_ONCE === 0) await turn();
    try {
      checkNames(event);
      encoded.push(encodeEvent(channel, event.payload, event));
    } catch (error) {
      throw refusedEvent(channel.name, events.length, index, error);
    }
  }
  return encoded;
}

/** There may be many, so that what is right is only looked at. */
function checkNames(event: PgNewEvent): void {
  const isRight = typeof event === 'object' && event !== null && Object.keys(event).every(isNameOfEvent);
  if (!isRight) readOptions('An event of publishMany()', event, EVENT);
}

function isNameOfEvent(name: string): boolean {
  return Object.hasOwn(EVENT, name);
}

function refusedEvent(channel: string, count: number, index: number, error: unknown): unknown {
  if (!isPgNotifyError(error)) return error;
  const { kind, issues, size, limit } = error;
  return new PgNotifyError(
    kind,
    `None of the ${count} events for channel ${JSON.stringify(channel)} was published, because of [${index}]. ${messageOf(error)}`,
    {
      channel,
      failures: [{ index, error }],
      ...(issues && { issues }),
      ...(size !== undefined && { size }),
      ...(limit !== undefined && { limit }),
      cause: error,
    },
  );
}

/** As many events at a time as one statement carries. */
function* partsOf(events: readonly EncodedEvent[]): Generator<readonly EncodedEvent[]> {
  let part: EncodedEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const size = Buffer.byteLength(event.payload) + Buffer.byteLength(event.headers ?? '');
    if (part.length > 0 && (part.length === MOST_EVENTS || bytes + size > MOST_BYTES)) {
      yield part;
      [part, bytes] = [[], 0];
    }
    part.push(event);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

/** Without a payload the options are easily written in its place; what runs statements is no payload in any case. */
function isOptions(payload: unknown): boolean {
  if (typeof payload !== 'object' || payload === null || !('executor' in payload)) return false;
  const isKnown = (name: string): boolean => Object.hasOwn(PUBLISH, name);
  return Object.keys(payload).every(isKnown) && isExecutor(payload.executor);
}
