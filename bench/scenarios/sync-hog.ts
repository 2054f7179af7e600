import { setTimeout as sleep } from 'node:timers/promises';
import { LISTENERS } from '../channels/loaders.js';
import { namesOf, startChannels } from '../channels/start-channels.js';
import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';

/** Milliseconds. */
const BLOCKED = 3_000;
const PAUSE = 1_500;

const scenario: Scenario = {
  name: 'sync-hog',
  measures: 'Connections that are given up because the application blocks its event loop for 3 s, three times',
  figures: { reconnects: { label: 'false reconnects', unit: 'in 3 blocks', better: 'less', digits: 0 } },
  contestants: contestantsOf(
    LISTENERS,
    ['pg', 'nest-pg-notify, Observable', 'nest-pg-notify, checks every second'],
    async (receiver, bench) => {
      const child = await startChannels(bench);
      await child.call('open', { url: bench.url, receiver, channels: namesOf(bench, 1) });
      for (let block = 0; block < bench.size(3, 1); block += 1) {
        await sleep(PAUSE);
        await child.call('block', BLOCKED);
      }
      await sleep(PAUSE);
      return { figures: { reconnects: await child.call('reconnects') } };
    },
  ),
  targets: [
    { contestant: 'nest-pg-notify, Observable', figure: 'reconnects', atMost: 0 },
    { contestant: 'nest-pg-notify, checks every second', figure: 'reconnects', atMost: 0 },
  ],
  cannot: {
    'pg-listen, pg-pubsub, postgres.js, nestjs-pg-notify':
      'they do not notice a dead connection by themselves, so they cannot mistake one',
  },
  rounds: 2,
};

export default scenario;
