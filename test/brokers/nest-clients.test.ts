import { describe, expect, it } from '@jest/globals';
import {
  ClientKafka,
  ClientMqtt,
  ClientNats,
  ClientProxy,
  ClientProxyFactory,
  ClientRedis,
  ClientRMQ,
  ClientTCP,
  RmqRecordBuilder,
  Transport,
} from '@nestjs/microservices';
import { relayTo } from 'nest-pg-notify/events';
import type { PgRelayClient } from 'nest-pg-notify/events';
import { relayRefusalSuite } from '../support/relay-refusal-suite.js';

relayRefusalSuite('the clients of @nestjs/microservices', {
  ClientKafka,
  ClientMqtt,
  ClientNats,
  ClientRedis,
  ClientRMQ,
  ClientTCP,
});

describe('the clients of @nestjs/microservices', () => {
  it('are taken by relayTo() as their own types, and as ClientProxy', () => {
    const clients: PgRelayClient[] = [new ClientKafka({}), new ClientMqtt({ protocolVersion: 5 })];
    for (const client of clients) expect(relayTo(client)).toBeInstanceOf(Function);
    const made: ClientProxy = ClientProxyFactory.create({ transport: Transport.RMQ, options: { queue: 'orders' } });
    expect(relayTo(made)).toBeInstanceOf(Function);
  });

  it('have what a relay uses of them', () => {
    for (const client of [new ClientRMQ({}), new ClientMqtt({}), new ClientKafka({})]) {
      expect(client).toMatchObject({ connect: expect.any(Function), unwrap: expect.any(Function), options: {} });
    }
    expect(new ClientKafka({})).toMatchObject({ emitBatch: expect.any(Function) });
    const record = new RmqRecordBuilder('hello').setOptions({ priority: 3 }).build();
    const { serializer } = new ClientRMQ({}) as unknown as { serializer: { serialize(packet: object): unknown } };
    expect(serializer.serialize({ pattern: 'p', data: record })).toEqual({
      pattern: 'p',
      data: 'hello',
      options: { priority: 3 },
    });
  });
});
