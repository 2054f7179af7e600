import type { ModuleMetadata } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';

/** A relay as its recipe writes it. */
export interface Road {
  /** The environment variable from which the recipe takes the URL of its broker. */
  readonly variable: string;
  /** What goes into the module of an application. Loads one recipe and its client, because others take time as well. */
  readonly load: () => Promise<ModuleMetadata>;
}

export type RoadName = keyof typeof ROADS;

/** What no recipe does: it does not wait for the acknowledgement. */
async function loadCarelessRelay(): Promise<ModuleMetadata> {
  const [{ connect }, { jetstream }] = await Promise.all([
    import('@nats-io/transport-node'),
    import('@nats-io/jetstream'),
  ]);
  const js = jetstream(await connect({ servers: process.env['NATS_URL']! }));

  @Injectable()
  class CarelessRelay {
    @OnPgEvent('order_events', { consumer: 'careless', concurrency: 100 })
    forward(_order: unknown, { id, channel, payload }: PgEvent): void {
      js.publish(`events.${channel}`, JSON.stringify(payload), { msgID: id }).catch(() => undefined);
    }
  }
  return { providers: [CarelessRelay] };
}

export const ROADS = {
  jetstream: {
    variable: 'NATS_URL',
    load: async () => ({ imports: [(await import('../recipes/jetstream.js')).JetStreamRelayModule] }),
  },
  careless: { variable: 'NATS_URL', load: loadCarelessRelay },
  redis: {
    variable: 'REDIS_URL',
    load: async () => ({ providers: [(await import('../recipes/redis-streams.js')).RedisStreamRelay] }),
  },
  rabbitmq: {
    variable: 'RABBITMQ_URL',
    load: async () => ({ providers: [(await import('../recipes/rabbitmq.js')).RabbitMqRelay] }),
  },
  webhook: {
    variable: 'WEBHOOK_URL',
    load: async () => ({ providers: [(await import('../recipes/webhook.js')).WebhookRelay] }),
  },
  'nest-rabbitmq': {
    variable: 'RABBITMQ_URL',
    load: async () => ({ imports: [(await import('../recipes/rabbitmq-nest.js')).OrderRelayModule] }),
  },
  'nest-mqtt': {
    variable: 'MQTT_URL',
    load: async () => ({ imports: [(await import('../recipes/mqtt-nest.js')).OrderRelayModule] }),
  },
  'nest-kafka': {
    variable: 'KAFKA_BROKER',
    load: async () => ({ imports: [(await import('../recipes/kafka-nest.js')).OrderRelayModule] }),
  },
} satisfies Record<string, Road>;
