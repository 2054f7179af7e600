import type { Bench } from './bench.js';
import type { Contestant, Role, Sample } from './scenario.js';

/** How to load the code of a contestant, in the process that measures it. */
export interface Loader<Code> {
  readonly role: Role;
  readonly load: () => Promise<Code>;
}

/** One contestant for each name, all measured by the same function. */
export function contestantsOf<Name extends string>(
  loaders: Readonly<Record<Name, Loader<unknown>>>,
  names: readonly Name[],
  measure: (name: Name, bench: Bench) => Promise<Sample>,
): Contestant[] {
  return names.map((name) => ({ name, role: loaders[name].role, measure: (bench) => measure(name, bench) }));
}
