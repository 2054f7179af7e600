import { describe, expect, it } from '@jest/globals';
import { relayTo } from 'nest-pg-notify/events';
import type { PgRelayClient, PgRelayOptions } from 'nest-pg-notify/events';
import { publishedEvent } from './published-event.js';
import type { NestClients } from './nest-clients.js';

/** What JavaScript or a cast may hold: the compiler sees none of it. */
const unchecked = (value: unknown): never => value as never;

const CONSENT = 'If events may be lost, write { acknowledged: false }.';

function refusalOf(client: PgRelayClient, options: PgRelayOptions = {}): unknown {
  try {
    return relayTo(client, options);
  } catch (error) {
    return error;
  }
}

const configuration = (message: string): object =>
  expect.objectContaining({ name: 'PgNotifyError', kind: 'configuration', permanent: true, message });

/** What `relayTo()` takes, and what it refuses. */
export function relayRefusalSuite(origin: string, nest: NestClients): void {
  const { ClientKafka, ClientMqtt, ClientNats, ClientRedis, ClientRMQ, ClientTCP } = nest;

  /** Of an application, with defaults of its own. */
  class OurQueue extends ClientRMQ {}

  describe(`relayTo() with ${origin}`, () => {
    it.each([
      [
        'ClientNats',
        new ClientNats({}),
        'NATS stores nothing, and acknowledges nothing. Publish to JetStream with @nats-io/jetstream (docs/relay.md).',
      ],
      [
        'ClientRedis',
        new ClientRedis({}),
        'Redis forgets what is published when nobody has subscribed. Write to a stream with XADD (docs/relay.md).',
      ],
      [
        'ClientTCP',
        new ClientTCP({}),
        'it resolves when the message was written to a socket. Call the service and await its answer (docs/relay.md).',
      ],
    ])('refuses %s when it is made, and says what to take instead', (name, client, problem) => {
      expect(refusalOf(client)).toEqual(configuration(`relayTo() refuses this ${name}: ${problem} ${CONSENT}`));
    });

    it.each([
      [
        new ClientKafka({ send: { acks: 0 } }),
        'its option send.acks is 0, with which no broker acknowledges anything. Leave it out: all replicas in sync acknowledge then.',
      ],
      [
        new ClientKafka({ send: { acks: 1 } }),
        'its option send.acks is 1, with which a message is acknowledged before it is replicated. Leave it out: all replicas in sync acknowledge then.',
      ],
      [
        new ClientRMQ({ queue: 'orders', persistent: false }),
        'its option persistent is false, with which RabbitMQ keeps messages in memory. Write persistent: true.',
      ],
      [
        new ClientRMQ({ queue: 'orders', queueOptions: { durable: false } }),
        'its queue has queueOptions.durable false, and is gone with its messages when RabbitMQ restarts. Write durable: true.',
      ],
      [
        new OurQueue({ queue: 'orders', queueOptions: { autoDelete: true } }),
        'its queue has queueOptions.autoDelete, and is deleted with its messages. Leave it out.',
      ],
      [
        new ClientRMQ({ queue: 'orders', queueOptions: { exclusive: true } }),
        'its queue has queueOptions.exclusive, and is deleted with its messages. Leave it out.',
      ],
      [
        new ClientRMQ({ queue: 'orders', queueOptions: { maxLength: 5 } }),
        "its queue has queueOptions.maxLength, and RabbitMQ drops the oldest messages when it is full. Write arguments: { 'x-overflow': 'reject-publish' } beside it.",
      ],
      [
        new ClientRMQ({
          queue: 'orders',
          queueOptions: { overflow: 'drop-head', arguments: { 'x-max-length-bytes': 5 } },
        }),
        "its queue has queueOptions.arguments['x-max-length-bytes'], and RabbitMQ drops the oldest messages when it is full. Write arguments: { 'x-overflow': 'reject-publish' } beside it.",
      ],
      [
        new ClientRMQ({ queue: 'orders', queueOptions: { messageTtl: 200, deadLetterExchange: 'late' } }),
        'its queue has queueOptions.messageTtl, and RabbitMQ drops what nobody has taken by then. Leave it out.',
      ],
      [
        new ClientRMQ({ queue: 'orders', queueOptions: { arguments: { 'x-message-ttl': 200 } } }),
        "its queue has queueOptions.arguments['x-message-ttl'], and RabbitMQ drops what nobody has taken by then. Leave it out.",
      ],
      [
        new ClientRMQ({ queue: 'orders', queueOptions: { expires: 500 } }),
        'its queue has queueOptions.expires, and is deleted with its messages when nobody has used it for that time. Leave it out.',
      ],
      [
        new ClientRMQ({ queue: 'orders', queueOptions: { arguments: { 'x-expires': 500 } } }),
        "its queue has queueOptions.arguments['x-expires'], and is deleted with its messages when nobody has used it for that time. Leave it out.",
      ],
      [
        new ClientMqtt({}),
        'before MQTT 5 a message has no headers, so nobody could tell a repeat by the id of its event. Write protocolVersion: 5, or have the option data put event.id into the message.',
      ],
    ])('refuses options of a client that would lose events or their ids (%#)', (client, problem) => {
      const { name } = client.constructor;
      expect(refusalOf(client)).toEqual(configuration(`relayTo() refuses this ${name}: ${problem} ${CONSENT}`));
    });

    it.each([
      [{}, 'its options name no queue, so no message would arrive anywhere. Write queue:.'],
      [{ queue: '' }, 'its options name no queue, so no message would arrive anywhere. Write queue:.'],
      [{ wildcards: true }, 'its options name no exchange to publish to. Write exchange: or queue:.'],
      [
        { exchange: 'events', exchangeType: 'topic', routingKey: 'orders' },
        "its options name an exchange and no queue, and Nest publishes to the queue, so no message would arrive anywhere. Write queue:, or wildcards: true (exchangeType: 'fanout') to publish to the exchange.",
      ],
    ])('refuses a ClientRMQ of which no message would arrive, acknowledged or not: %j', (options, problem) => {
      for (const acknowledged of [true, false]) {
        const refusal = refusalOf(new ClientRMQ(options), { acknowledged });
        expect(refusal).toEqual(configuration(`relayTo() refuses this ClientRMQ: ${problem}`));
      }
    });

    it('takes any of them once { acknowledged: false } is written down', () => {
      const clients = [
        new ClientNats({}),
        new ClientRedis({}),
        new ClientTCP({}),
        new ClientKafka({ send: { acks: 0 } }),
      ];
      const others = [
        new ClientRMQ({ queue: 'orders', persistent: false }),
        new ClientRMQ({ queue: 'orders', queueOptions: { messageTtl: 200 } }),
        new ClientMqtt({}),
      ];
      for (const client of [...clients, ...others]) {
        expect(refusalOf(client, { acknowledged: false })).toBeInstanceOf(Function);
      }
    });

    it('takes clients whose broker stores what it acknowledges', () => {
      for (const client of [
        new ClientKafka({}),
        new ClientKafka({ send: { acks: -1 } }),
        new ClientRMQ({ queue: 'orders' }),
        new ClientRMQ({ queue: 'orders', persistent: true, queueOptions: { durable: true } }),
        new ClientRMQ({ queue: 'orders', queueOptions: { maxLength: 5, overflow: 'reject-publish' } }),
        new ClientRMQ({
          queue: 'orders',
          queueOptions: { maxLength: 5, arguments: { 'x-overflow': 'reject-publish-dlx' } },
        }),
        new ClientRMQ({
          queue: 'orders',
          queueOptions: { arguments: { 'x-queue-type': 'stream', 'x-max-length-bytes': 5_000 } },
        }),
        // The queue is that of whoever receives: nothing of it is declared here.
        new ClientRMQ({ exchange: 'events', wildcards: true, queueOptions: { durable: false } }),
        new OurQueue({ queue: 'orders' }),
        new ClientMqtt({ protocolVersion: 5 }),
      ]) {
        expect(refusalOf(client)).toBeInstanceOf(Function);
      }
      const data = ({ id, payload }: { id: string; payload: unknown }): unknown => ({ id, payload });
      expect(refusalOf(new ClientMqtt({}), { data })).toBeInstanceOf(Function);
    });

    it('refuses payloads and a single event in the place of the events of a batch', async () => {
      const relay = relayTo(new ClientKafka({}));
      const remedy = 'Hand over the second argument of a method with the option batch, or [event].';
      const mistakes: [given: unknown, printed: string][] = [
        [[{ id: 7 }, null], '[an object, null]'],
        [publishedEvent(), 'an object'],
        [undefined, 'undefined'],
      ];
      for (const [given, printed] of mistakes) {
        const message = `A relay takes a list of events, not ${printed}. ${remedy}`;
        await expect(relay(unchecked(given))).rejects.toThrow(message);
      }
    });

    it('refuses what is no client, and options that it does not know', () => {
      expect(() => relayTo(unchecked(undefined))).toThrow(
        'relayTo() takes a client of @nestjs/microservices, not undefined.',
      );
      expect(() => relayTo(unchecked('kafka'))).toThrow(
        "relayTo() takes a client of @nestjs/microservices, not 'kafka'.",
      );
      expect(() => relayTo(unchecked({}))).toThrow('relayTo() takes a client of @nestjs/microservices, not an object.');
      const client = new ClientKafka({});
      expect(() => relayTo(client, unchecked({ acknowledge: false }))).toThrow(
        'relayTo() has no option acknowledge. Did you mean acknowledged?',
      );
      expect(() => relayTo(client, unchecked({ acknowledged: 'false' }))).toThrow(
        "The option acknowledged of relayTo() must be true or false, not 'false'.",
      );
      expect(() => relayTo(client, unchecked({ pattern: 'orders' }))).toThrow(
        "The option pattern of relayTo() must be a function of an event, not 'orders'.",
      );
    });
  });
}
