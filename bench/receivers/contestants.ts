import type { Bench } from '../frame/bench.js';
import type { Contestant, Role, Sample } from '../frame/scenario.js';
import type { ReceiverName } from './loaders.js';

const OURS: readonly ReceiverName[] = ['handler', 'async handler', 'Observable'];

/** One contestant for each receiver, all measured by the same function. */
export function receiving(
  receivers: readonly ReceiverName[],
  measure: (receiver: ReceiverName, bench: Bench) => Promise<Sample>,
): Contestant[] {
  return receivers.map((receiver) => ({
    name: nameOf(receiver),
    role: roleOf(receiver),
    measure: (bench) => measure(receiver, bench),
  }));
}

/** The name in tables. */
export function nameOf(receiver: ReceiverName): string {
  return OURS.includes(receiver) ? `nest-pg-notify, ${receiver}` : receiver;
}

function roleOf(receiver: ReceiverName): Role {
  if (receiver === 'pg') return 'floor';
  return OURS.includes(receiver) ? 'ours' : 'peer';
}
