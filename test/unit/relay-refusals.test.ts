import { describe, expect, it } from '@jest/globals';
import { relayTo } from 'nest-pg-notify/events';
import { ClientNats, ClientProxy, FAKE_CLIENTS } from '../support/nest-clients.js';
import { publishedEvent } from '../support/published-event.js';
import { relayRefusalSuite } from '../support/relay-refusal-suite.js';

relayRefusalSuite('fakes of the clients of @nestjs/microservices', FAKE_CLIENTS);

/** A transport that somebody else has written. */
class ClientCarrierPigeon extends ClientProxy {}

describe('relayTo() with another client', () => {
  it('refuses it when it is made, as nobody knows what it resolves for', () => {
    expect(() => relayTo(new ClientCarrierPigeon())).toThrow(
      'relayTo() refuses this ClientCarrierPigeon: nothing is known of when a ClientCarrierPigeon has stored a message. ' +
        'Take ClientKafka, ClientRMQ or ClientMqtt, or await the acknowledgement in the method itself (docs/relay.md). ' +
        'If events may be lost, write { acknowledged: false }.',
    );
    const plain = Object.assign(Object.create(null), { emit: () => undefined });
    expect(() => relayTo(plain)).toThrow('relayTo() refuses this object: nothing is known');
  });

  it.each([new ClientNats(), new ClientCarrierPigeon()])(
    'sends one event after the other once it was asked to (%#)',
    async (client) => {
      const relay = relayTo(client, { acknowledged: false, pattern: ({ key }) => `to.${key}` });
      await relay([publishedEvent({ key: 'a', payload: 1 }), publishedEvent({ key: 'b', payload: 'two' })]);
      expect(client.emitted).toEqual([
        ['to.a', 1],
        ['to.b', 'two'],
      ]);
    },
  );
});
