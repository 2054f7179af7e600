import { contestantsOf } from '../frame/contestants.js';
import type { Scenario, Target } from '../frame/scenario.js';
import { SENDERS, type SenderName } from './loaders.js';
import type * as senderProcess from './sender-process.js';

export interface PublishScenario extends Pick<senderProcess.Load, 'callers' | 'what'> {
  readonly name: string;
  readonly measures: string;
  readonly senders: readonly SenderName[];
  readonly targets: readonly Target[];
  readonly cannot?: Readonly<Record<string, string>>;
}

/** How many notifications a second are committed. Nobody listens. */
export function publishScenario({ callers, what, senders, ...rest }: PublishScenario): Scenario {
  return {
    ...rest,
    figures: { rate: { label: 'sent', unit: '1/s', better: 'more', digits: 0 } },
    contestants: contestantsOf(SENDERS, senders, async (name, bench) => {
      const milliseconds = bench.size(2_000, 200);
      const channel = bench.newChannel();
      const child = await bench.start<typeof senderProcess>(new URL('sender-process.js', import.meta.url));
      await child.call('open', { url: bench.url, name });
      await child.call('rate', { channel, callers, what, milliseconds: milliseconds / 4 }); // Warms up.
      return { figures: { rate: await child.call('rate', { channel, callers, what, milliseconds }) } };
    }),
  };
}

/** One after the other, and several at once. */
export const SENDERS_OF_ONE: readonly SenderName[] = [
  'pg client',
  'nest-pg-notify',
  'pg pool of 10',
  'pg-listen',
  'pg-pubsub',
  'postgres.js',
];

export const ONLY_RECEIVES = { 'nestjs-pg-notify': 'it sends with pg-listen' };
