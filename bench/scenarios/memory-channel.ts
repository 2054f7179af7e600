import { LISTENERS, type ListenerName } from '../channels/loaders.js';
import { namesOf, startChannels } from '../channels/start-channels.js';
import type { Bench } from '../frame/bench.js';
import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';

const scenario: Scenario = {
  name: 'memory-channel',
  measures: 'Memory for each of 10,000 channels with one consumer each, after a garbage collection',
  figures: { memory: { label: 'memory', unit: 'bytes a channel', better: 'less', digits: 0 } },
  contestants: contestantsOf(
    LISTENERS,
    ['pg', 'nest-pg-notify, handler', 'nest-pg-notify, Observable', 'pg-listen', 'pg-pubsub', 'postgres.js'],
    async (receiver, bench) => {
      const names = namesOf(bench, bench.size(10_000, 500));
      const bytes =
        receiver === 'nest-pg-notify, handler'
          ? await ofHandlers(bench, names)
          : await ofSubscribers(receiver, bench, names);
      return { figures: { memory: bytes / names.length } };
    },
  ),
  targets: [
    { contestant: 'nest-pg-notify, Observable', figure: 'memory', atMost: 2_500 },
    { contestant: 'nest-pg-notify, handler', figure: 'memory', atMost: 3_500 },
  ],
  cannot: { 'nestjs-pg-notify': 'it is pg-listen below' },
};

async function ofSubscribers(receiver: ListenerName, bench: Bench, names: readonly string[]): Promise<number> {
  const child = await startChannels(bench);
  await child.call('open', { url: bench.url, receiver, channels: namesOf(bench, 1) });
  return (await child.call('listen', names)).bytes;
}

/** Decorated methods are there from the start: what the same application weighs without running them is subtracted. */
async function ofHandlers(bench: Bench, channels: readonly string[]): Promise<number> {
  const [withHandlers, without] = [await startChannels(bench), await startChannels(bench)];
  const whole = await withHandlers.call('open', { url: bench.url, receiver: 'nest-pg-notify, handler', channels });
  const rest = await without.call('open', { url: bench.url, receiver: 'nest-pg-notify, handlers not run', channels });
  return whole.bytes - rest.bytes;
}

export default scenario;
