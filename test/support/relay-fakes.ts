import { EventEmitter } from 'node:events';
import { of } from 'rxjs';
import type { Observable } from 'rxjs';
import { ClientKafka, ClientMqtt, ClientRMQ } from './nest-clients.js';
import { publishedEvent } from './published-event.js';
import { turns } from './turn.js';

interface KafkaRequest {
  readonly topic: string;
  readonly messages: readonly { readonly key?: string; readonly value: string | Buffer; readonly headers: object }[];
}

/** A producer whose requests the test sees and answers. */
export class FakeKafka extends ClientKafka {
  readonly requests: KafkaRequest[] = [];
  answer: () => Observable<unknown> = () => of(undefined);

  override emitBatch(topic: string, data: Omit<KafkaRequest, 'topic'>): Observable<unknown> {
    this.requests.push({ topic, ...data });
    return this.answer();
  }
}

type Confirmed = (error: unknown) => void;

/** A message that was published on a channel. */
export interface Sent {
  readonly exchange: string;
  readonly routingKey: string;
  readonly packet: unknown;
  readonly options: { readonly messageId: string; readonly [property: string]: unknown };
  readonly confirmed: Confirmed;
}

/** A confirm channel as amqplib has it; the test confirms. */
class FakeChannel extends EventEmitter {
  readonly sent: Sent[] = [];
  answer: (sent: Sent) => void = ({ confirmed }) => confirmed(null);

  async close(): Promise<void> {
    this.emit('close');
  }

  publish(exchange: string, routingKey: string, content: Buffer, options: Sent['options'], confirmed: Confirmed): true {
    const sent = { exchange, routingKey, packet: JSON.parse(content.toString()) as unknown, options, confirmed };
    this.sent.push(sent);
    this.answer(sent);
    return true;
  }

  /** As RabbitMQ does with what no queue takes: it returns the message, and confirms it. */
  readonly giveBack = ({ options, confirmed }: Sent): void => {
    this.emit('return', { properties: options });
    confirmed(null);
  };
}

/** A client whose connection is that of the test. */
export class FakeRmq extends ClientRMQ {
  readonly channels: FakeChannel[] = [];
  manager: { connection: unknown } = { connection: this.newConnection() };

  newConnection() {
    return {
      createConfirmChannel: async (): Promise<FakeChannel> => {
        await turns();
        this.channels.push(new FakeChannel());
        return this.channels.at(-1)!;
      },
    };
  }

  override unwrap(): unknown {
    return this.manager;
  }
}

/** A client of a broker whose limits and answers are those of the test. */
export class FakeMqtt extends ClientMqtt {
  /** What the broker names when it accepts the connection. */
  limits: { maximumPacketSize?: number; maximumQoS?: number; receiveMaximum?: number } = {};
  readonly sent: { topic: string; message: unknown; options: unknown }[] = [];
  failure: Error | undefined;
  answer = (done: (error?: Error) => void): void => done(this.failure);
  private readonly driver = {
    publish: (topic: string, message: string, options: unknown, done: (error?: Error) => void): void => {
      this.sent.push({ topic, message: JSON.parse(message), options });
      this.answer(done);
    },
    connackPacket: { properties: this.limits },
  };

  override unwrap(): unknown {
    return this.driver;
  }
}

/** An event, and what a message says of it beside the data. */
export const EVENT = publishedEvent({
  id: 'id-1',
  key: 'Ann',
  payload: { n: 1, options: 'kept' },
  headers: { trace: '7', id: 'x' },
});
export const HEADERS = {
  trace: '7',
  id: 'id-1',
  channel: 'orders',
  key: 'Ann',
  position: EVENT.position,
  'published-at': '2026-01-31T12:00:00.500Z',
};

/** Resolves with what a relay has rejected with. */
export async function rejectionOf(sending: Promise<void>): Promise<unknown> {
  return sending.then(
    () => 'it resolved',
    (error: unknown) => error,
  );
}
