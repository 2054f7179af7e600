import type { Scenario } from '../frame/scenario.js';
import { nameOf, receiving } from '../receivers/contestants.js';
import { deliver } from '../receivers/delivery.js';

const CONSUMERS = 1_000;

const scenario: Scenario = {
  name: 'fanout-1000',
  measures:
    'CPU time for each call of a consumer, if one channel has 1,000 of them. The floor calls them in a loop with try/catch',
  figures: {
    call: { label: 'CPU', unit: 'ns a call', better: 'less', digits: 0 },
    decodes: { label: 'JSON.parse', unit: 'calls a message', better: 'less', compared: false, digits: 1 },
  },
  contestants: receiving(
    ['pg', 'handler', 'async handler', 'Observable', 'pg-listen', 'pg-pubsub', 'postgres.js'],
    async (receiver, bench) => {
      const count = bench.size(1_000, 200);
      const received = await deliver(bench, {
        receiver,
        decode: 'json',
        shape: { before: '{"seq":', after: ',"kind":"updated","x":1}' },
        count,
        warmUp: Math.ceil(count / 5),
        perStatement: 100,
        consumers: CONSUMERS,
        countDecodes: true,
      });
      const { cpuPerMessage, decodesPerMessage, sequence } = received;
      return { figures: { call: cpuPerMessage / CONSUMERS, decodes: decodesPerMessage }, sequence };
    },
  ),
  targets: [
    { contestant: nameOf('handler'), figure: 'call', atMost: 200 },
    { contestant: nameOf('async handler'), figure: 'call', atMost: 200 },
    { contestant: nameOf('Observable'), figure: 'call', atMost: 80 },
    { contestant: nameOf('handler'), figure: 'decodes', atMost: 1 },
    { contestant: nameOf('Observable'), figure: 'decodes', atMost: 1 },
  ],
  cannot: { 'nestjs-pg-notify': 'its README has one handler for an event' },
  quick: true,
};

export default scenario;
