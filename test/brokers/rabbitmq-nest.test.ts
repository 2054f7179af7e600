import { RabbitMqServer } from './support/rabbitmq-server.js';
import { relaySuite } from './support/relay-suite.js';

relaySuite({
  road: 'nest-rabbitmq',
  consumer: 'to-nest-rabbitmq',
  program: 'rabbitmq-server',
  start: () => RabbitMqServer.start(),
  deleteQueue: (broker) => (broker as RabbitMqServer).deleteQueue(),
  clients: ['@nestjs/microservices', 'amqplib'],
  acknowledgedBy: 'RabbitMQ, when a queue has stored the message',
  faults: ['frozen', 'killed', 'restarted', 'relay killed'],
});
