import { contestantsOf } from '../frame/contestants.js';
import type { Scenario } from '../frame/scenario.js';
import { LISTENERS, type ListenerName } from './loaders.js';
import { namesOf, startChannels } from './start-channels.js';

const WITHOUT_PEERS: readonly ListenerName[] = ['pg', 'nest-pg-notify, Observable'];
/** They listen to one channel after the other: more would take minutes. */
const LIMIT_OF_PEERS = 10_000;

/** The time until the server has acknowledged many channels. */
export function subscribeScenario(name: string, size: number, rounds: number): Scenario {
  const withPeers = size <= LIMIT_OF_PEERS;
  const names: readonly ListenerName[] = [...WITHOUT_PEERS, ...(withPeers ? PEERS : [])];
  return {
    name,
    measures: `Time until the server has acknowledged ${size.toLocaleString('en-US')} channels, on an open connection. The floor sends 1,000 LISTENs in a statement`,
    figures: { time: { label: 'time', unit: 'ms', better: 'less', digits: 0 } },
    contestants: contestantsOf(LISTENERS, names, async (receiver, bench) => {
      const channels = namesOf(bench, bench.size(size, Math.min(size, 1_000)));
      const child = await startChannels(bench);
      await child.call('open', { url: bench.url, receiver, channels: namesOf(bench, 1) });
      const { milliseconds } = await child.call('listen', channels);
      return { figures: { time: milliseconds } };
    }),
    targets: withPeers ? [{ contestant: 'nest-pg-notify, Observable', figure: 'time', ratio: 1 / 1.5 }] : [],
    cannot: {
      'nestjs-pg-notify': 'its channels are fixed when the application starts',
      ...(!withPeers && { [PEERS.join(', ')]: 'they listen to one channel after the other, which takes minutes' }),
    },
    rounds,
  };
}

const PEERS: readonly ListenerName[] = ['pg-listen', 'pg-pubsub', 'postgres.js'];
