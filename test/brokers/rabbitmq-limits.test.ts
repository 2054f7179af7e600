import { beforeAll, expect, it } from '@jest/globals';
import { ClientRMQ } from '@nestjs/microservices';
import { connect } from 'amqplib';
import type { Channel } from 'amqplib';
import { PgEventRejection, relayTo } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import { cleanups } from '../support/cleanups.js';
import { publishedEvent } from '../support/published-event.js';
import { describeWithProgram } from './support/broker.js';
import { RabbitMqServer } from './support/rabbitmq-server.js';

const EXCHANGE = 'shop';
const QUEUE = 'all';
const FRAME_MAX = 8_192;

describeWithProgram('rabbitmq-server', 'the relay to RabbitMQ of an event that AMQP has no room for', () => {
  const { use } = cleanups();
  let broker: RabbitMqServer;
  let channel: Channel;

  beforeAll(async () => {
    broker = use(await RabbitMqServer.start());
    const connection = use(await connect(broker.url));
    channel = await connection.createChannel();
    await channel.assertExchange(EXCHANGE, 'topic', { durable: true });
    await channel.assertQueue(QUEUE, { durable: true });
    await channel.bindQueue(QUEUE, EXCHANGE, '#');
  }, 240_000);

  const headersOf = (size: number): Partial<PgEvent> => ({ headers: { trace: 'x'.repeat(size) } });

  it.each<[string, string, Partial<PgEvent>, Partial<PgEvent>]>([
    ['the routing key', '', { channel: 'x'.repeat(255) }, { channel: 'x'.repeat(256) }],
    ['the name of a header', '', { headers: { ['x'.repeat(255)]: '1' } }, { headers: { ['x'.repeat(256)]: '1' } }],
    ['its headers', '', headersOf(65_000), headersOf(65_500)],
    ['its headers, in small frames', `?frameMax=${FRAME_MAX}`, headersOf(FRAME_MAX - 400), headersOf(FRAME_MAX - 100)],
  ])(
    'delivers what just fits into %s, and rejects what does not for good, without a lost connection',
    async (_name, query, fitting, tooLong) => {
      const client = use(
        new ClientRMQ({ urls: [broker.url + query], exchange: EXCHANGE, exchangeType: 'topic', wildcards: true }),
      );
      const relay = relayTo(client);
      await client.connect();
      const manager = client.unwrap<{ connection: { on(event: 'close', listener: () => void): unknown } }>();
      let closed = 0;
      manager.connection.on('close', () => (closed += 1));
      await relay([publishedEvent({ id: 'fits', ...fitting })]);
      const failure: unknown = await relay([publishedEvent({ id: 'long', ...tooLong })]).catch(
        (error: unknown) => error,
      );
      expect(failure).toBeInstanceOf(PgEventRejection);
      await relay([publishedEvent({ id: 'next' })]);
      const ids: unknown[] = [];
      for (let message = await channel.get(QUEUE, { noAck: true }); message;) {
        ids.push(message.properties.messageId);
        message = await channel.get(QUEUE, { noAck: true });
      }
      expect(ids).toEqual(['fits', 'next']);
      expect(closed).toBe(0);
    },
    60_000,
  );
});
