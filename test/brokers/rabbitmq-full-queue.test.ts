import { beforeAll, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { ClientRMQ } from '@nestjs/microservices';
import { connect } from 'amqplib';
import type { Channel } from 'amqplib';
import { OnPgEvent, relayTo } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import { eventsSuite } from '../support/app/events-suite.js';
import { eventually } from '../support/recorder.js';
import { describeWithProgram } from './support/broker.js';
import { RabbitMqServer } from './support/rabbitmq-server.js';

const QUEUE = 'few';
/** A queue that refuses what it has no room for, and does not drop older messages. */
const QUEUE_OPTIONS = { durable: true, arguments: { 'x-max-length': 5, 'x-overflow': 'reject-publish' } };
const COUNT = 40;
const RETRY = { attempts: Infinity, delay: 20, maxDelay: 20 };

describeWithProgram('rabbitmq-server', 'the relay to a RabbitMQ queue that is shorter than a batch', () => {
  const suite = eventsSuite();
  let broker: RabbitMqServer;
  let client: ClientRMQ;
  let channel: Channel;

  beforeAll(async () => {
    broker = suite.use(await RabbitMqServer.start());
    client = suite.use(new ClientRMQ({ urls: [broker.url], queue: QUEUE, queueOptions: QUEUE_OPTIONS }));
    const connection = suite.use(await connect(broker.url));
    channel = await connection.createChannel();
    await channel.assertQueue(QUEUE, QUEUE_OPTIONS);
  }, 240_000);

  it('delivers every event once, in the order of keys, although the queue rejects most of each attempt', async () => {
    let attempts = 0;
    @Injectable()
    class Relay {
      private readonly relay = relayTo(client);

      @OnPgEvent('crowd', { consumer: 'crowd', batch: { maxSize: COUNT }, retry: RETRY })
      async forward(_payloads: unknown[], events: PgEvent[]): Promise<void> {
        attempts += 1;
        await this.relay(events);
      }
    }
    const { events } = await suite.start({ providers: [Relay] });
    const crowd = Array.from({ length: COUNT }, (_, n) => ({ payload: n, key: `k${n % 20}` }));
    await events.publishMany('crowd', crowd, { executor: false });

    // Whoever receives takes what is there only when the queue is full: so each attempt finds room for a part.
    const received: number[] = [];
    const takeWhatIsThere = async (): Promise<void> => {
      for (let message = await channel.get(QUEUE); message; message = await channel.get(QUEUE)) {
        received.push((JSON.parse(message.content.toString()) as { data: number }).data);
        channel.ack(message);
      }
    };
    await eventually(
      async () => {
        const seen = attempts;
        await eventually(
          async () => attempts > seen || (await events.consumers())[0]?.waiting === 0,
          (isOver) => isOver,
        );
        await takeWhatIsThere();
        return (await events.consumers())[0]?.waiting;
      },
      (waiting) => waiting === 0,
    );
    await takeWhatIsThere();
    expect(attempts).toBeGreaterThan(3);
    expect(received.length).toBe(COUNT);
    for (let key = 0; key < 20; key += 1) {
      expect(received.filter((n) => n % 20 === key)).toEqual([key, key + 20]);
    }
  }, 240_000);
});
