import { setImmediate as turn } from 'node:timers/promises';
import { channelProperties } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { isThenable } from '../channel/thenable.js';
import { chosenExecutor, executorOption, refuseBareExecutor } from '../executor/call-executor.js';
import type { CallOptions, CurrentExecutor } from '../executor/call-executor.js';
import { isExecutor } from '../executor/pg-executor.js';
import { isPool } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import { checkedElsewhere, readOptions } from '../option-checks.js';
import type { ChecksOf } from '../option-checks.js';
import type { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import { isPgNotifyError, messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { encodeEvent } from './event-encoding.js';
import type { EncodedEvent, PgEventOptions, PublishingChannel } from './event-encoding.js';
import { eventPublishError } from './event-publish-error.js';
import type { EventSink } from './event-sink.js';

/** One event of a `publishMany()` call. */
export interface PgNewEvent<Payload = unknown> extends PgEventOptions {
  readonly payload: Payload;
}

export interface EventPublisherOptions {
  readonly sink: EventSink;
  /** Returns the transaction that a call is made in, if the call names none. */
  readonly currentExecutor?: CurrentExecutor | undefined;
  readonly diagnostics?: PgNotifyDiagnostics;
  /** Called for events that were not, or perhaps not, published. The caller of `publish()` gets the error too. */
  readonly onFailure?: (error: PgNotifyError) => void;
}

/** The limits of one statement. */
const MOST_EVENTS = 5_000;
const MOST_BYTES = 8_000_000;
/** How many events one turn of the event loop checks. */
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

/** Writes events into the log in the caller's transaction. It makes the ids itself, because libraries return rows in many forms. */
export class EventPublisher {
  constructor(private readonly options: EventPublisherOptions) {}

  /**
   * Resolves with the event's id.
   *
   * @throws PgNotifyError of kind `configuration` if there is neither a transaction nor `executor: false`; of kind `channel`
   * or `payload`, before anything is sent, if the event is invalid; of kind `publish` if the statement fails.
   */
  async publish(
    channel: string | PgChannel,
    payload: unknown,
    options: CallOptions & PgEventOptions = {},
  ): Promise<string> {
    const definition = channelProperties(channel);
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
    // No await before this: the caller's next statement must run after it.
    await this.write(executor, name, [event]);
    return event.id;
  }

  /**
   * Resolves with the ids in the order of the events. All are checked before anything is sent.
   *
   * @throws PgNotifyError as {@link publish}. One of kind `payload` names the index of the invalid event.
   */
  async publishMany(
    channel: string | PgChannel,
    events: readonly PgNewEvent[],
    options: CallOptions = {},
  ): Promise<readonly string[]> {
    const definition = channelProperties(channel);
    const { name } = definition;
    if (!Array.isArray(events)) {
      const found = isThenable(events) ? 'a promise: await it' : events === null ? 'null' : typeof events;
      throw new PgNotifyError('payload', `publishMany() takes an array of events, not ${found}.`, { channel: name });
    }
    refuseBareExecutor('publishMany()', options);
    const { executor: given } = readOptions('publishMany()', options, PUBLISH_MANY);
    const executor = this.executorOf('publishMany()', name, given);
    const encoded = await encodeAll(definition, [...(events as readonly PgNewEvent[])]); // A copy: the caller may change the array.
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

  private executorOf(call: string, channel: string, given: PgExecutor | false | undefined): PgExecutor | false {
    const executor = chosenExecutor(given, this.options.currentExecutor);
    const written = call === 'publish()' ? 'publish(channel, payload, ' : 'publishMany(channel, events, ';
    if (executor && isPool(executor)) {
      throw new PgNotifyError(
        'configuration',
        `The executor of ${call} is a pool, which runs each statement on any of its connections, so the event for channel ${JSON.stringify(channel)} would not be part of your transaction. ` +
          `Pass the client that has run BEGIN: ${written}{ executor: client }). To publish at once, on purpose, write { executor: false }.`,
        { channel },
      );
    }
    if (executor !== undefined) return executor;
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

/** Calls `readOptions()` only to report a mistake: there may be many events. */
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

/** Splits events into the parts that one statement each can carry. */
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

/** Whether a call without a payload passes the options in its place. An executor cannot be a payload, so there is no doubt. */
function isOptions(payload: unknown): boolean {
  if (typeof payload !== 'object' || payload === null || !('executor' in payload)) return false;
  const isKnown = (name: string): boolean => Object.hasOwn(PUBLISH, name);
  return Object.keys(payload).every(isKnown) && isExecutor(payload.executor);
}
