import type { DynamicModule, Provider, Type } from '@nestjs/common';
import { Inject, Injectable, Module } from '@nestjs/common';
import { jetstream } from '@nats-io/jetstream';
import type { JetStreamClient } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { Connection } from 'rabbitmq-client';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import { JetStreamRelay } from '../recipes/jetstream.js';
import { OrderRelayModule as KafkaRelayModule } from '../recipes/kafka-nest.js';
import { OrderRelayModule as MqttRelayModule } from '../recipes/mqtt-nest.js';
import { OrderRelayModule as RmqRelayModule } from '../recipes/rabbitmq-nest.js';
import { RabbitMqRelay } from '../recipes/rabbitmq.js';
import { RedisStreamRelay } from '../recipes/redis-streams.js';
import { WebhookRelay } from '../recipes/webhook.js';

/** A relay as its recipe writes it, with the client that it needs. */
export interface Road {
  readonly module: Type | DynamicModule;
  readonly close: () => Promise<unknown>;
}

export type RoadName = keyof typeof ROADS;

@Module({})
class RelayModule {}

function road(relay: Type, client: Provider, close: () => Promise<unknown>): Road {
  return { module: { module: RelayModule, providers: [relay, client] }, close };
}

/** A module of Nest, which closes its client itself. */
function nestRoad(module: Type, variable: string, url: string): Road {
  process.env[variable] = url;
  return { module, close: async () => undefined };
}

/** What no recipe does: it does not wait for the acknowledgement. */
@Injectable()
class CarelessRelay {
  constructor(@Inject('JETSTREAM') private readonly js: JetStreamClient) {}

  @OnPgEvent('order_events', { consumer: 'careless', concurrency: 100 })
  forward(_order: unknown, { id, channel, payload }: PgEvent): void {
    this.js.publish(`events.${channel}`, JSON.stringify(payload), { msgID: id }).catch(() => undefined);
  }
}

async function jetStreamRoad(url: string, relay: Type): Promise<Road> {
  const patience = { maxReconnectAttempts: -1, reconnectTimeWait: 100, waitOnFirstConnect: true };
  const connection = await connect({ servers: url, ...patience });
  const js = jetstream(connection, { timeout: 2_000 });
  return road(relay, { provide: 'JETSTREAM', useValue: js }, () => connection.close());
}

/** Makes each of them, for a broker at a URL that may be away. */
export const ROADS = {
  jetstream: async (url: string): Promise<Road> => jetStreamRoad(url, JetStreamRelay),
  careless: async (url: string): Promise<Road> => jetStreamRoad(url, CarelessRelay),
  redis: async (url: string): Promise<Road> => {
    const redis = new Redis(url, { retryStrategy: () => 100 });
    redis.on('error', () => undefined);
    return road(RedisStreamRelay, { provide: Redis, useValue: redis }, async () => redis.disconnect());
  },
  rabbitmq: async (url: string): Promise<Road> => {
    const connection = new Connection({ url, retryLow: 100, retryHigh: 500 });
    connection.on('error', () => undefined);
    return road(RabbitMqRelay, { provide: Connection, useValue: connection }, () => connection.close());
  },
  webhook: async (url: string): Promise<Road> =>
    road(WebhookRelay, { provide: 'WEBHOOK_URL', useValue: url }, async () => undefined),
  'nest-rabbitmq': async (url: string): Promise<Road> => nestRoad(RmqRelayModule, 'RABBITMQ_URL', url),
  'nest-mqtt': async (url: string): Promise<Road> => nestRoad(MqttRelayModule, 'MQTT_URL', url),
  'nest-kafka': async (url: string): Promise<Road> => nestRoad(KafkaRelayModule, 'KAFKA_BROKER', url),
} satisfies Record<string, (url: string) => Promise<Road>>;
