import { contestantsOf } from '../frame/contestants.js';
import type { Scenario, Target } from '../frame/scenario.js';
import type { PayloadShape } from '../publisher/payload-shape.js';
import { deliver } from './delivery.js';
import { ALL_RECEIVERS, RECEIVERS, type ReceiverName } from './loaders.js';
import { QUEUES_CANNOT } from './queues.js';

export interface DeliveryScenario {
  readonly name: string;
  readonly measures: string;
  readonly decode: 'json' | 'text';
  readonly shape: PayloadShape;
  readonly count: number;
  /** @default 1_000 */
  readonly perStatement?: number;
  /** How much CPU time of the floor ours should need: floor / ours, at least. */
  readonly ratios: Readonly<Partial<Record<ReceiverName, number>>>;
  readonly quick?: boolean;
}

/** Many messages as fast as the receiver takes them, for every receiver. Nothing is dropped: buffers hold all of them. */
export function deliveryScenario(options: DeliveryScenario): Scenario {
  const { name, measures, decode, shape, perStatement = 1_000, ratios, quick = false } = options;
  const receivers = ALL_RECEIVERS.filter((receiver) => decode === 'json' || receiver !== 'nestjs-pg-notify');
  return {
    name,
    measures,
    quick,
    figures: {
      cpu: { label: 'CPU', unit: 'µs a message', better: 'less' },
      rate: { label: 'rate', unit: 'messages/s', better: 'more', digits: 0 },
    },
    contestants: contestantsOf(RECEIVERS, receivers, async (receiver, bench) => {
      const count = bench.size(options.count, options.count / 10);
      const warmUp = count; // With a tenth, V8 still compiles while it is measured: the more code, the more of it.
      const bufferSize = count + warmUp;
      const received = await deliver(bench, { receiver, decode, shape, count, warmUp, perStatement, bufferSize });
      const seconds = (received.lastAt - received.firstAt) / 1e9;
      const figures = { cpu: received.cpuPerMessage / 1_000, rate: received.sequence.received / seconds };
      return { figures, sequence: received.sequence };
    }),
    targets: Object.entries(ratios).flatMap(([receiver, ratio]) => targetsOf(receiver, ratio)),
    cannot: { ...QUEUES_CANNOT, ...(decode === 'text' && { 'nestjs-pg-notify': 'it parses every payload as JSON' }) },
  };
}

function targetsOf(contestant: string, ratio: number): Target[] {
  return [
    { contestant, figure: 'cpu', ratio },
    { contestant, figure: 'rate', ratio: 1 },
  ];
}
