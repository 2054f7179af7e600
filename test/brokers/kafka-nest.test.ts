import { KafkaMock } from './support/kafka-mock.js';
import { relaySuite } from './support/relay-suite.js';

relaySuite({
  road: 'nest-kafka',
  consumer: 'to-kafka',
  program: 'kcat',
  start: () => KafkaMock.start(),
  clients: ['@nestjs/microservices', 'kafkajs'],
  acknowledgedBy: 'all replicas in sync',
  faults: ['frozen', 'relay killed'],
});
