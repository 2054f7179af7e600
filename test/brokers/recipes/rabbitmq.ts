import { setImmediate } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import { Connection } from 'rabbitmq-client';

@Injectable()
export class RabbitMqRelay implements OnApplicationShutdown {
  private readonly connection = new Connection({ url: process.env['RABBITMQ_URL']!, retryLow: 100, retryHigh: 1_000 });
  private readonly publisher = this.connection.createPublisher({
    confirm: true,
    queues: [{ queue: 'orders', durable: true }],
  });
  private readonly returned = new Set<unknown>();

  constructor() {
    // It connects again by itself. Without a listener the error would end the process.
    this.connection.on('error', ({ message }: Error) => Logger.warn(message, RabbitMqRelay.name));
    this.publisher.on('basic.return', ({ messageId }) => this.returned.add(messageId));
  }

  /** RabbitMQ confirms also what no queue has taken. With `mandatory` it returns such a message first. */
  @OnPgEvent('order_events', { consumer: 'to-rabbitmq', concurrency: 100, retry: { attempts: Infinity } })
  async forward(_order: unknown, { id, key, position, payload }: PgEvent): Promise<void> {
    const message = { routingKey: 'orders', durable: true, mandatory: true, messageId: id, headers: { key, position } };
    await this.publisher.send(message, payload);
    await setImmediate(); // By then this client has told of a return that came in one piece with the confirmation.
    if (this.returned.delete(id)) throw new Error(`No queue has taken event ${id}.`);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.publisher.close();
    await this.connection.close();
  }
}
