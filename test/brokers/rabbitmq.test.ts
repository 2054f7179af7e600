import { RabbitMqServer } from './support/rabbitmq-server.js';
import { relaySuite } from './support/relay-suite.js';

relaySuite({
  road: 'rabbitmq',
  consumer: 'to-rabbitmq',
  program: 'rabbitmq-server',
  start: () => RabbitMqServer.start(),
  deleteQueue: (broker) => (broker as RabbitMqServer).deleteQueue(),
  clients: ['rabbitmq-client'],
  acknowledgedBy: 'RabbitMQ, when a queue has stored the message',
  faults: ['frozen', 'killed', 'restarted', 'relay killed'],
});
