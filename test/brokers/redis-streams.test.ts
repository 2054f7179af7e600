import { RedisServer } from './support/redis-server.js';
import { relaySuite } from './support/relay-suite.js';

relaySuite({
  road: 'redis',
  consumer: 'to-redis',
  program: 'redis-server',
  start: () => RedisServer.start(),
  clients: ['ioredis'],
  acknowledgedBy: 'Redis, when the transaction is in its file (`appendfsync always`)',
  faults: ['frozen', 'killed', 'restarted', 'relay killed'],
});
