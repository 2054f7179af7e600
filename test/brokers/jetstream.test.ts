import { NatsServer } from './support/nats-server.js';
import { relaySuite } from './support/relay-suite.js';

relaySuite({
  road: 'jetstream',
  consumer: 'to-jetstream',
  program: 'nats-server',
  start: () => NatsServer.start(),
  clients: ['@nats-io/jetstream'],
  acknowledgedBy: 'the stream, when it has stored the message',
  faults: ['frozen', 'killed', 'restarted', 'relay killed'],
});
