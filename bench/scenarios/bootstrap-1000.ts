import type * as startProcess from '../bootstrap/start-process.js';
import type { Contestant, Role, Scenario } from '../frame/scenario.js';

const EVENT_EMITTER = 'Nest with @nestjs/event-emitter, and pg';
const OURS = 'Nest with nest-pg-notify';

function contestant(name: string, role: Role, scan: startProcess.Scan): Contestant {
  return {
    name,
    role,
    measure: async (bench) => {
      const module = new URL('../bootstrap/start-process.js', import.meta.url);
      const child = await bench.start<typeof startProcess>(module);
      const application = { url: bench.url, scan, providers: 1_000, methods: 10, handlers: 100 };
      return { figures: { start: await child.call('start', application) } };
    },
  };
}

const scenario: Scenario = {
  name: 'bootstrap-1000',
  measures:
    'Start of an application of 1,000 providers with 10 methods each and 100 handlers. All connect and listen to 100 channels',
  figures: { start: { label: 'start', unit: 'ms', better: 'less', digits: 0 } },
  contestants: [
    contestant('Nest, and pg', 'floor', 'nothing'),
    contestant(OURS, 'ours', 'nest-pg-notify'),
    contestant(EVENT_EMITTER, 'peer', '@nestjs/event-emitter'),
  ],
  targets: [
    { contestant: OURS, figure: 'start', aboveFloor: 40 },
    { contestant: OURS, figure: 'start', ratio: 1 / 1.2, against: EVENT_EMITTER },
  ],
};

export default scenario;
