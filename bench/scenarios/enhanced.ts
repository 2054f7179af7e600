import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';
import { deliver } from '../receivers/delivery.js';
import { RECEIVERS } from '../receivers/loaders.js';

const scenario: Scenario = {
  name: 'enhanced',
  measures:
    'CPU time for each message of a handler with a guard, a pipe and an interceptor. The floor calls the same method through ExternalContextCreator of Nest',
  figures: { cpu: { label: 'CPU', unit: 'µs a message', better: 'less' } },
  contestants: contestantsOf(
    RECEIVERS,
    ['pg, through ExternalContextCreator', 'nest-pg-notify, enhanced handler'],
    async (receiver, bench) => {
      const count = bench.size(50_000, 5_000);
      const warmUp = count / 5;
      const { cpuPerMessage, sequence } = await deliver(bench, {
        receiver,
        decode: 'json',
        shape: { before: '{"seq":', after: ',"kind":"updated","x":1}' },
        count,
        warmUp,
        perStatement: 1_000,
        bufferSize: count + warmUp,
      });
      return { figures: { cpu: cpuPerMessage / 1_000 }, sequence };
    },
  ),
  quick: true,
  targets: [{ contestant: 'nest-pg-notify, enhanced handler', figure: 'cpu', ratio: 1 / 1.2 }],
  cannot: {
    'pg-listen, pg-pubsub, postgres.js': 'they know nothing of Nest',
    'nestjs-pg-notify': 'it is a transport of microservices, with its own enhancers for messages',
  },
};

export default scenario;
