import type { Bench } from '../frame/bench.js';
import type { ChildProcess } from '../frame/child-process.js';
import type * as channelProcess from './channel-process.js';

export function startChannels(bench: Bench): Promise<ChildProcess<typeof channelProcess>> {
  return bench.start<typeof channelProcess>(new URL('channel-process.js', import.meta.url));
}

/** Names that are as long as usual. */
export function namesOf(bench: Bench, count: number): string[] {
  const prefix = bench.newChannel();
  return Array.from({ length: count }, (_, index) => `${prefix}_${index}`);
}
