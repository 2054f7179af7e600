import { PgEventRejection } from '../../event-log/pg-event.js';
import type { PgEvent } from '../../event-log/pg-event.js';
import { messageOf } from '../../pg-notify.errors.js';
import { madeOf } from './relay-message.js';
import { refuseLargeProperties } from './rmq-limits.js';
import type { AmqpProperties } from './rmq-limits.js';

/** A connection of amqplib. */
export interface RmqConnection {
  createConfirmChannel(): Promise<ConfirmChannel>;
  /** Beneath it, the one that has agreed with the broker on the size of frames. */
  readonly connection?: { readonly frameMax?: number };
}

interface ConfirmChannel {
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  on(event: 'return', listener: (message: ReturnedMessage) => void): unknown;
  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: object,
    confirmed: (error: unknown) => void,
  ): boolean;
  close(): Promise<unknown>;
}

interface ReturnedMessage {
  readonly properties: { readonly messageId?: unknown };
}

/** Where messages go: Nest's own rule. */
export interface RmqRoute {
  readonly exchange: string;
  readonly routingKey: string;
}

export interface RmqMessage {
  readonly event: PgEvent;
  readonly key: string | undefined;
  readonly route: RmqRoute;
  readonly content: Buffer;
  readonly properties: AmqpProperties & { readonly messageId: string };
}

/** The largest content that the broker of a connection takes, as far as it has said that. */
const maxContent = new WeakMap<RmqConnection, number>();

/** A confirm channel of amqplib, with what RabbitMQ says of its messages. */
export class RelayChannel {
  readonly opened: Promise<ConfirmChannel>;
  private isClosed = false;
  /**
   * How many messages of an id no queue has taken. RabbitMQ returns a message before it confirms it. Two consumers with one
   * relay may send the same event at the same time.
   */
  private readonly returned = new Map<unknown, number>();

  constructor(private readonly connection: RmqConnection) {
    this.opened = this.open();
    this.opened.catch(() => (this.isClosed = true)); // Whoever publishes gets the error.
  }

  /** Whether it is a channel of this connection, and has not been closed. */
  isOf(connection: RmqConnection): boolean {
    return this.connection === connection && !this.isClosed;
  }

  /** @throws PgEventRejection for a message that RabbitMQ would end the connection or the channel for */
  refuseLarger({ event, content, properties }: RmqMessage): void {
    madeOf(event, () => refuseLargeProperties(properties, this.connection.connection?.frameMax));
    const limit = maxContent.get(this.connection) ?? Infinity;
    if (content.length <= limit) return;
    throw new PgEventRejection(
      `RabbitMQ takes messages of ${limit} bytes at most, and that of event ${event.id} has ${content.length}.`,
    );
  }

  /** Resolves when RabbitMQ has confirmed the message, and a queue has taken it. */
  async publish({ route: { exchange, routingKey }, content, properties }: RmqMessage): Promise<void> {
    const channel = await this.opened;
    const { messageId } = properties;
    const options = { ...properties, persistent: true, mandatory: true };
    await new Promise<void>((resolve, reject) => {
      channel.publish(exchange, routingKey, content, options, (error) => {
        if (error) reject(error instanceof Error ? error : new Error('RabbitMQ has refused the message.'));
        else resolve();
      });
    }).catch((error: unknown) => {
      // amqplib throws these for properties that AMQP does not have.
      if (!(error instanceof RangeError) && !(error instanceof TypeError)) throw error;
      this.isClosed = true; // Its older versions count such a message, and take the confirmation of the next one for it.
      channel.close().catch(() => undefined); // It is closed already.
      throw new PgEventRejection(`AMQP cannot carry event ${messageId}: ${error.message}`, { cause: error });
    });
    if (!this.takeReturn(messageId)) return;
    const where =
      exchange === ''
        ? `There is no queue "${routingKey}"`
        : `The exchange "${exchange}" has no queue for "${routingKey}"`;
    throw new Error(`${where}: RabbitMQ has returned event ${messageId}.`);
  }

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
    channel.on('error', (error) => {
      this.isClosed = true; // Whatever is under way fails with it.
      const limit = /is larger than (?:configured )?max size (\d+)/.exec(messageOf(error))?.[1];
      if (limit !== undefined) maxContent.set(this.connection, Number(limit));
    });
    channel.on('close', () => (this.isClosed = true));
    channel.on('return', ({ properties: { messageId } }) =>
      this.returned.set(messageId, (this.returned.get(messageId) ?? 0) + 1),
    );
    return channel;
  }
}
