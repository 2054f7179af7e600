import type { PgEvent } from '../../event-log/pg-event.js';
import { unlessAborted } from '../../time/abort.js';
import { sendInOrderOfKeys } from './in-order-of-keys.js';
import { packetOf } from './relay-client.js';
import type { NestClient } from './relay-client.js';
import { bytesOf, jsonOf, refuseBytes } from './relay-content.js';
import { headersOf, madeOf } from './relay-message.js';
import type { MessageOptions, Send } from './relay-message.js';
import { RelayChannel } from './rmq-channel.js';
import type { RmqConnection, RmqMessage, RmqRoute } from './rmq-channel.js';
import { checkNames } from './rmq-limits.js';
import { weaknessOfQueue } from './rmq-queue.js';
import type { RmqQueueOptions } from './rmq-queue.js';

/** The options of Nest's `ClientRMQ` that decide where its messages go, and what becomes of them. */
interface RmqOptions {
  readonly queue?: string;
  readonly queueOptions?: RmqQueueOptions;
  readonly exchange?: string;
  readonly exchangeType?: string;
  readonly wildcards?: boolean;
  readonly persistent?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Nest's `ClientRMQ`, as far as this needs it. */
export type RmqClient = NestClient<RmqOptions>;

/** What `unwrap()` returns: the manager of amqp-connection-manager, which has a connection of amqplib while it is connected. */
interface ConnectionManager {
  readonly connection: RmqConnection | undefined;
}

/**
 * Why no queue would ever get a message of this client; undefined if its options name where messages go. Nest publishes to an
 * exchange for two kinds of options only, and to its queue for all others.
 */
export function mistakeOfRmq({ options = {} }: RmqClient): string | undefined {
  const { queue, exchange } = options;
  if (queue || (exchange && usesExchange(options))) return undefined;
  if (usesExchange(options)) return 'its options name no exchange to publish to. Write exchange: or queue:.';
  if (!exchange) return 'its options name no queue, so no message would arrive anywhere. Write queue:.';
  return (
    'its options name an exchange and no queue, and Nest publishes to the queue, so no message would arrive anywhere. ' +
    "Write queue:, or wildcards: true (exchangeType: 'fanout') to publish to the exchange."
  );
}

/** Why events could be lost with this client; undefined if they could not. */
export function weaknessOfRmq({ options = {} }: RmqClient): string | undefined {
  const { persistent, queueOptions = {} } = options;
  if (persistent === false) {
    return 'its option persistent is false, with which RabbitMQ keeps messages in memory. Write persistent: true.';
  }
  return usesExchange(options) ? undefined : weaknessOfQueue(queueOptions);
}

/**
 * Publishes on a confirm channel of its own, because that of Nest sends what was not confirmed again after a reconnection, behind
 * later messages, and says nothing of what no queue takes.
 */
export function rmqRelay(client: RmqClient, options: MessageOptions): Send {
  let channel: RelayChannel | undefined;
  const channelNow = async (): Promise<RelayChannel> => {
    await client.connect();
    const { connection } = client.unwrap() as ConnectionManager;
    if (!connection) throw new Error('RabbitMQ is not connected.');
    if (!channel?.isOf(connection)) channel = new RelayChannel(connection);
    const current = channel;
    await current.opened;
    return current;
  };
  const messageOf = (event: PgEvent): RmqMessage => {
    const pattern = options.pattern(event);
    const { content, given } = contentOf(client, pattern, options.data(event));
    const headers = { ...client.options?.headers, ...given?.headers, ...headersOf(event) };
    const route = routeOf(client, pattern);
    checkNames(route.routingKey, headers);
    const timestamp = Math.floor(event.publishedAt.getTime() / 1_000);
    const properties = { timestamp, ...given, headers, messageId: event.id };
    return { event, key: event.key, route, content, properties };
  };
  return async (events, onAcknowledged, signal) => {
    // All of them first: nothing is sent of a batch with an event that never has a message.
    const messages = events.map((event) => madeOf(event, messageOf));
    const current = await unlessAborted(channelNow(), signal);
    for (const message of messages) current.refuseLarger(message);
    const send = async (message: RmqMessage): Promise<void> => {
      await current.publish(message);
      onAcknowledged(message.event);
    };
    await sendInOrderOfKeys(messages, send, signal);
  };
}

/** What a message may say beside its content: all that `RmqRecordBuilder.setOptions()` takes. */
interface RecordOptions {
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * As Nest does it: the JSON of what the serializer makes, and the options of a record that `data` may have made. Bytes that a
 * serializer makes are sent as they are.
 */
function contentOf(
  client: RmqClient,
  pattern: string,
  data: unknown,
): { readonly content: Buffer; readonly given: RecordOptions | undefined } {
  const packet = packetOf(client, pattern, data);
  const bytes = bytesOf(packet);
  if (bytes || typeof packet !== 'object' || packet === null) {
    return { content: bytes ?? Buffer.from(jsonOf(packet)), given: undefined };
  }
  const { options: given, ...rest } = packet as { readonly data?: unknown; readonly options?: RecordOptions };
  refuseBytes(rest.data);
  return { content: Buffer.from(jsonOf(rest)), given };
}

function routeOf({ options = {} }: RmqClient, pattern: string): RmqRoute {
  const { queue = '', exchange = queue } = options;
  return usesExchange(options) ? { exchange, routingKey: pattern } : { exchange: '', routingKey: queue };
}

function usesExchange({ wildcards, exchangeType }: RmqOptions): boolean {
  return wildcards === true || exchangeType === 'fanout';
}
