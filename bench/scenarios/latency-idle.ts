import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';
import { LATENCY_FIGURES, measureLatency } from '../receivers/latency.js';
import { ALL_RECEIVERS, RECEIVERS } from '../receivers/loaders.js';
import { QUEUES_CANNOT } from '../receivers/queues.js';

const scenario: Scenario = {
  name: 'latency-idle',
  measures: 'Time from COMMIT to the handler, one notification at a time',
  figures: LATENCY_FIGURES,
  contestants: contestantsOf(RECEIVERS, ALL_RECEIVERS, (receiver, bench) => measureLatency(bench, receiver)),
  targets: [
    { contestant: 'nest-pg-notify, handler', figure: 'p50', ratio: 0.95 },
    { contestant: 'nest-pg-notify, async handler', figure: 'p50', ratio: 0.95 },
    { contestant: 'nest-pg-notify, Observable', figure: 'p50', ratio: 0.95 },
  ],
  cannot: QUEUES_CANNOT,
  quick: true,
};

export default scenario;
