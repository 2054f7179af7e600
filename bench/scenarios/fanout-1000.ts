import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';
import { deliver } from '../receivers/delivery.js';
import { ALL_RECEIVERS, RECEIVERS } from '../receivers/loaders.js';

const CONSUMERS = 1_000;

const scenario: Scenario = {
  name: 'fanout-1000',
  measures:
    'CPU time for each call of a consumer, if one channel has 1,000 of them. The floor calls them in a loop with try/catch',
  figures: {
    call: { label: 'CPU', unit: 'ns a call', better: 'less', digits: 0 },
    decodes: { label: 'JSON.parse', unit: 'calls a message', better: 'less', compared: false, digits: 1 },
  },
  contestants: contestantsOf(
    RECEIVERS,
    ALL_RECEIVERS.filter((name) => name !== 'nestjs-pg-notify'),
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
    { contestant: 'nest-pg-notify, handler', figure: 'call', atMost: 200 },
    { contestant: 'nest-pg-notify, async handler', figure: 'call', atMost: 200 },
    { contestant: 'nest-pg-notify, Observable', figure: 'call', atMost: 80 },
    { contestant: 'nest-pg-notify, handler', figure: 'decodes', atMost: 1 },
    { contestant: 'nest-pg-notify, Observable', figure: 'decodes', atMost: 1 },
  ],
  cannot: { 'nestjs-pg-notify': 'its README has one handler for an event' },
  quick: true,
};

export default scenario;
