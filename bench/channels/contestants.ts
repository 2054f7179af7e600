import type { Bench } from '../frame/bench.js';
import type { ChildProcess } from '../frame/child-process.js';
import type { Contestant, Role, Sample } from '../frame/scenario.js';
import type * as channelProcess from './channel-process.js';
import type { ManyName } from './loaders.js';

const OURS: readonly ManyName[] = ['handler', 'Observable', 'decorated, not run'];

/** One contestant for each that listens to many channels, all measured by the same function. */
export function listeningToMany(
  receivers: readonly ManyName[],
  measure: (receiver: ManyName, bench: Bench) => Promise<Sample>,
): Contestant[] {
  return receivers.map((receiver) => ({
    name: nameOf(receiver),
    role: roleOf(receiver),
    measure: (bench) => measure(receiver, bench),
  }));
}

/** The name in tables. */
export function nameOf(receiver: ManyName): string {
  return OURS.includes(receiver) ? `nest-pg-notify, ${receiver}` : receiver;
}

function roleOf(receiver: ManyName): Role {
  if (receiver === 'pg') return 'floor';
  return OURS.includes(receiver) ? 'ours' : 'peer';
}

export function startChannels(bench: Bench): Promise<ChildProcess<typeof channelProcess>> {
  return bench.start<typeof channelProcess>(new URL('channel-process.js', import.meta.url));
}

/** Names that are as long as usual. */
export function namesOf(bench: Bench, count: number): string[] {
  const prefix = bench.newChannel();
  return Array.from({ length: count }, (_, index) => `${prefix}_${index}`);
}
