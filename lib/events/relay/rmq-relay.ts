import { PgEventRejection } from '../../event-log/pg-event.js';
import type { PgEvent } from '../../event-log/pg-event.js';
import { unlessAborted } from '../../time/abort.js';
import { sendInOrderOfKeys } from './in-order-of-keys.js';
import { packetOf } from './relay-client.js';
import type { NestClient } from './relay-client.js';
import { bytesOf, jsonOf, refuseBytes } from './relay-content.js';
import { headersOf, madeOf } from './relay-message.js';
import type { MessageOptions, Send } from './relay-message.js';
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
  readonly connection: Connection | undefined;
}

interface Connection {
  createConfirmChannel(): Promise<ConfirmChannel>;
}

interface ConfirmChannel {
  on(event: 'error' | 'close', listener: () => void): unknown;
  on(event: 'return', listener: (message: Message) => void): unknown;
  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: object,
    confirmed: (error: unknown) => void,
  ): boolean;
}

interface Message {
  readonly properties: { readonly messageId?: unknown };
}

/** Where messages go: Nest's own rule. */
interface Route {
  readonly exchange: string;
  readonly routingKey: string;
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
    for (const name of ['CC', 'BCC']) {
      if (name in headers) throw new TypeError(`RabbitMQ takes the header ${name} for queues to deliver to as well`);
    }
    const timestamp = Math.floor(event.publishedAt.getTime() / 1_000);
    const properties = { timestamp, ...given, headers, messageId: event.id };
    return { event, key: event.key, route: routeOf(client, pattern), content, properties };
  };
  return async (events, onAcknowledged, signal) => {
    // All of them first: nothing is sent of a batch with an event that never has a message.
    const messages = events.map((event) => madeOf(event, messageOf));
    const { publish } = await unlessAborted(channelNow(), signal);
    const send = async ({ event, route, content, properties }: RmqMessage): Promise<void> => {
      await publish(route, content, properties);
      onAcknowledged(event);
    };
    await sendInOrderOfKeys(messages, send, signal);
  };
}

interface RmqMessage {
  readonly event: PgEvent;
  readonly key: string | undefined;
  readonly route: Route;
  readonly content: Buffer;
  readonly properties: { readonly messageId: string; readonly [property: string]: unknown };
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

/** A confirm channel of amqplib, with what RabbitMQ says of its messages. */
class RelayChannel {
  readonly opened: Promise<ConfirmChannel>;
  private isClosed = false;
  /**
   * How many messages of an id no queue has taken. RabbitMQ returns a message before it confirms it. Two consumers with one
   * relay may send the same event at the same time.
   */
  private readonly returned = new Map<unknown, number>();

  constructor(private readonly connection: Connection) {
    this.opened = this.open();
    this.opened.catch(() => (this.isClosed = true)); // Whoever publishes gets the error.
  }

  /** Whether it is a channel of this connection, and has not been closed. */
  isOf(connection: Connection): boolean {
    return this.connection === connection && !this.isClosed;
  }

  /** Resolves when RabbitMQ has confirmed the message, and a queue has taken it. */
  readonly publish = async (
    { exchange, routingKey }: Route,
    content: Buffer,
    properties: RmqMessage['properties'],
  ): Promise<void> => {
    const channel = await this.opened;
    const { messageId } = properties;
    const options = { ...properties, persistent: true, mandatory: true };
    await new Promise<void>((resolve, reject) => {
      channel.publish(exchange, routingKey, content, options, (error) => {
        if (error) reject(error instanceof Error ? error : new Error('RabbitMQ has refused the message.'));
        else resolve();
      });
    }).catch((error: unknown) => {
      // amqplib throws these for what AMQP has no room for: a name or a routing key of more than 255 bytes.
      if (!(error instanceof RangeError) && !(error instanceof TypeError)) throw error;
      throw new PgEventRejection(`AMQP cannot carry event ${messageId}: ${error.message}`, { cause: error });
    });
    if (!this.takeReturn(messageId)) return;
    const where =
      exchange === ''
        ? `There is no queue "${routingKey}"`
        : `The exchange "${exchange}" has no queue for "${routingKey}"`;
    throw new Error(`${where}: RabbitMQ has returned event ${messageId}.`);
  };

  /** Whether a message of this id was returned that no other call has taken note of. */
  private takeReturn(messageId: string): boolean {
    const count = this.returned.get(messageId);
    if (count === undefined) return false;
    if (count === 1) this.returned.delete(messageId);
    else this.returned.set(messageId, count - 1);
    return true;
  }

  private async open(): Promise<ConfirmChannel> {
    const channel = await this.connection.createConfirmChannel();
    channel.on('error', () => (this.isClosed = true)); // Whatever is under way fails with it.
    channel.on('close', () => (this.isClosed = true));
    channel.on('return', ({ properties: { messageId } }) =>
      this.returned.set(messageId, (this.returned.get(messageId) ?? 0) + 1),
    );
    return channel;
  }
}

function routeOf({ options = {} }: RmqClient, pattern: string): Route {
  const { queue = '', exchange = queue } = options;
  return usesExchange(options) ? { exchange, routingKey: pattern } : { exchange: '', routingKey: queue };
}

function usesExchange({ wildcards, exchangeType }: RmqOptions): boolean {
  return wildcards === true || exchangeType === 'fanout';
}
