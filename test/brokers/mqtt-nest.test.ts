import { Mosquitto } from './support/mosquitto.js';
import { relaySuite } from './support/relay-suite.js';

relaySuite({
  road: 'nest-mqtt',
  consumer: 'to-mqtt',
  program: 'mosquitto',
  start: () => Mosquitto.start(),
  clients: ['@nestjs/microservices', 'mqtt'],
  acknowledgedBy: 'the broker, which keeps it in memory until it ends',
  faults: ['frozen', 'killed', 'restarted', 'relay killed'],
  forgets: ['killed'],
});
