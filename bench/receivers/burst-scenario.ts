import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';
import { deliver } from './delivery.js';
import { ALL_RECEIVERS, RECEIVERS } from './loaders.js';

const HANDLERS = ['nest-pg-notify, handler', 'nest-pg-notify, async handler'];

/** One transaction with many notifications, for every receiver with its default options. */
export function burstScenario(name: string, size: number, quick: boolean): Scenario {
  return {
    name,
    measures: `One transaction that sends ${size.toLocaleString('en-US')} notifications (or \`--count\`), all options at their defaults: from the commit to the last handler`,
    figures: {
      drain: { label: 'last handler', unit: 'ms', better: 'less', digits: 0 },
      cpu: { label: 'CPU', unit: 'µs a message', better: 'less' },
      loop: { label: 'event loop p99', unit: 'ms', better: 'less', compared: false, digits: 1 },
      stop: { label: 'longest stop', unit: 'ms', better: 'less', compared: false, digits: 0 },
      memory: { label: 'peak RSS', unit: 'MB', better: 'less', compared: false, digits: 0 },
      dropped: { label: 'dropped', unit: 'messages', better: 'less', compared: false, digits: 0 },
    },
    contestants: contestantsOf(RECEIVERS, ALL_RECEIVERS, async (receiver, bench) => {
      const count = bench.size(size, 50_000);
      const received = await deliver(bench, {
        receiver,
        decode: 'json',
        shape: { before: '{"seq":', after: ',"kind":"updated","x":1}' },
        count,
        warmUp: 5_000,
        perStatement: count,
      });
      const { sequence, cpuPerMessage, loopDelay, peakMemory, lastAt, committedAt } = received;
      return {
        figures: {
          drain: (lastAt - committedAt) / 1e6,
          cpu: cpuPerMessage / 1_000,
          loop: loopDelay.p99,
          stop: loopDelay.max,
          memory: peakMemory,
          dropped: sequence.dropped,
        },
        sequence,
      };
    }),
    targets: HANDLERS.flatMap((contestant) => [
      { contestant, figure: 'dropped', atMost: 0 },
      { contestant, figure: 'drain', ratio: 0.95 },
      { contestant, figure: 'loop', atMost: 50 },
      { contestant, figure: 'memory', aboveFloor: 48 },
    ]),
    quick,
  };
}
