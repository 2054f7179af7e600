import { setTimeout as sleep } from 'node:timers/promises';
import { LISTENERS } from '../channels/loaders.js';
import { namesOf, startChannels } from '../channels/start-channels.js';
import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';
import { startPublisher } from '../receivers/delivery.js';

/** Milliseconds between two notifications to each channel: how exactly the time is known. */
const PACE = 10;
/** Milliseconds. */
const GIVE_UP = 30_000;

const scenario: Scenario = {
  name: 'reconnect-1k',
  measures:
    'Time from the end of the session on the server until each of 1,000 channels has received a notification. The floor reconnects at once',
  figures: { time: { label: 'time', unit: 'ms', better: 'less', digits: 0 } },
  contestants: contestantsOf(
    LISTENERS,
    ['pg', 'nest-pg-notify, handler', 'nest-pg-notify, Observable', 'pg-listen', 'pg-pubsub', 'postgres.js'],
    async (receiver, bench) => {
      const channels = namesOf(bench, bench.size(1_000, 100));
      const [child, publisher] = await Promise.all([startChannels(bench), startPublisher(bench)]);
      await child.call('open', { url: bench.url, receiver, channels });
      const list = channels.map((name) => `'${name}'`).join(',');
      let heardAt: number | undefined;
      const heard = child.call('awaitFirstMessages', channels).then((at) => (heardAt = at));
      const begun = await publisher.call('terminateListeners');
      const deadline = performance.now() + GIVE_UP;
      while (heardAt === undefined && performance.now() < deadline) {
        await publisher.call('query', `SELECT count(pg_notify(c, '{}')) FROM unnest(ARRAY[${list}]) AS c`);
        await Promise.race([heard, sleep(PACE)]);
      }
      if (heardAt === undefined) throw new Error(`not on all channels within ${GIVE_UP / 1_000} s`);
      return { figures: { time: (heardAt - begun) / 1e6 } };
    },
  ),
  targets: [{ contestant: 'nest-pg-notify, Observable', figure: 'time', aboveFloor: 100 }],
  cannot: { 'nestjs-pg-notify': 'it is pg-listen below' },
};

export default scenario;
