import { toPgChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import type { EventConsumerDefinition, EventRun } from '../event-log/event-consumer-definition.js';
import type { EventStart } from '../event-log/event-store.js';
import type { PgEvent } from '../event-log/pg-event.js';
import { failureText } from '../handlers/failure-text.js';
import type { DiscoveredHandler } from '../handlers/handler-discovery.js';
import type { HandlerInvoker, Invoke } from '../handlers/handler-invoker.js';
import { describeHandler, registrationOf } from '../handlers/handler-metadata.js';
import type { PgHandlerMetadata } from '../handlers/handler-metadata.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { readOnPgEventOptions } from './on-pg-event.options.js';
import type { EventConsumerDefaults, OnPgEventOptions } from './on-pg-event.options.js';
import type { PgEventContext } from './pg-event.context.js';

/** One use of `@OnPgEvent()`. */
export type DiscoveredEventHandler = DiscoveredHandler<Extract<PgHandlerMetadata, { kind: 'event' }>>;

/** A consumer as its decorator declares it. */
export interface EventHandler {
  readonly definition: EventConsumerDefinition;
  /** Where the consumer starts if the log does not know it yet. */
  readonly from: EventStart;
}

/**
 * Checks the decorated methods and makes a consumer of each.
 *
 * @throws PgNotifyError of kind `configuration` for invalid options, and if two methods have the same consumer name.
 */
export async function readEventHandlers(
  handlers: readonly DiscoveredEventHandler[],
  invoker: HandlerInvoker,
  defaults: EventConsumerDefaults,
): Promise<readonly EventHandler[]> {
  const read: EventHandler[] = [];
  const known = new Map<string, DiscoveredEventHandler>();
  for (const handler of handlers) {
    const where = describeHandler(handler.metadata, handler.label);
    const invoke = await invoker.bind(handler, where);
    const options = handler.metadata.options as Partial<OnPgEventOptions>;
    const { from, ...settings } = readOnPgEventOptions(options, where, defaults);
    const channels = channelsOf(handler, where);
    const other = known.get(settings.name);
    if (other) throw sameName(settings.name, other, handler);
    known.set(settings.name, handler);
    const { label, metadata } = handler;
    const place = { registration: registrationOf(metadata), handler: label, consumer: settings.name };
    const isBatch = settings.batch !== undefined;
    read.push({ from, definition: { ...settings, label, channels, ...callsOf(invoke, place, channels, isBatch) } });
  }
  return read;
}

/** The part of the context that is the same for all runs of a consumer. */
type Place = Pick<PgEventContext<unknown>, 'registration' | 'handler' | 'consumer'>;

function callsOf(
  invoke: Invoke,
  place: Place,
  channels: readonly PgChannel[],
  isBatch: boolean,
): Pick<EventConsumerDefinition, 'call' | 'describe'> {
  const describe = (thrown: unknown, events: readonly PgEvent[]): string =>
    failureText(
      thrown,
      events.map(({ payload }) => payload),
    );
  if (!isBatch) {
    const { registration, handler, consumer } = place;
    const call = (events: readonly PgEvent[], { attempt, signal, tx }: EventRun): unknown => {
      const event = events[0]!;
      const { channel, payload } = event;
      // No spread: it would take V8 as long as the rest of the work for one event.
      const context: PgEventContext<unknown> = {
        registration,
        handler,
        consumer,
        kind: 'event',
        channel,
        signal,
        attempt,
        tx,
        event,
      };
      return invoke(payload, event, context);
    };
    return { call, describe };
  }
  const channel = channels.map(({ name }) => name).join(', ');
  const call = (events: readonly PgEvent[], { attempt, signal, tx }: EventRun): unknown => {
    const payloads = events.map(({ payload }) => payload);
    const context: PgEventContext<unknown> = { ...place, kind: 'events', channel, signal, attempt, tx, events };
    return invoke(payloads, [...events], context);
  };
  return { call, describe };
}

/** @throws PgNotifyError of kind `configuration` for no channel, and for one given twice, whose two definitions may differ. */
function channelsOf({ metadata }: DiscoveredEventHandler, where: string): readonly PgChannel[] {
  const channels = metadata.channels.map((channel) => toPgChannel(channel));
  if (channels.length === 0) {
    throw new PgNotifyError('configuration', `${where} names no channel, so nothing would ever be delivered to it.`);
  }
  const repeated = channels.find(({ name }, index) => channels.findIndex((other) => other.name === name) < index);
  if (!repeated) return channels;
  throw new PgNotifyError(
    'configuration',
    `${where} names the channel ${JSON.stringify(repeated.name)} twice. Write it once, in one definition.`,
  );
}

function sameName(name: string, one: DiscoveredEventHandler, other: DiscoveredEventHandler): PgNotifyError {
  const [first, second] = [one, other].map(({ metadata, label }) => describeHandler(metadata, label));
  const isSame = one.label === other.label && one.metadata === other.metadata;
  const modules = [...new Set([one, other].map(({ host }) => host.host?.name))].join(', ');
  return new PgNotifyError(
    'configuration',
    isSame
      ? `${first} exists on two instances (in ${modules}), but the consumer '${name}' gets each event once. Provide its class in one module that exports it, and import that module.`
      : `${first} and ${second} have the same consumer '${name}', but a consumer gets each event once. Give each a name of its own, or call both from one method.`,
  );
}
