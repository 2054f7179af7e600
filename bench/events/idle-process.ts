/** A child process whose consumers have nothing to do. */
import { IDLERS, type IdlerName } from './idlers.js';

export interface Idling {
  readonly idler: IdlerName;
  readonly url: string;
  readonly consumers: number;
}

export async function start({ idler, url, consumers }: Idling): Promise<void> {
  await (
    await IDLERS[idler].load()
  )(url, consumers);
}

/** CPU time of this process, in milliseconds. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
