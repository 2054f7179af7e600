/** A child process at the end of a road. It writes down the number of each message before its handler returns. */
import { appendFileSync } from 'node:fs';
import { monotonic } from '../frame/monotonic.js';
import { ROADS, type RoadName } from './roads.js';

export interface Reading {
  readonly road: RoadName;
  readonly url: string;
  readonly file: string;
}

let delays: number[] = [];

/** Resolves when it reads. */
export async function start({ road, url, file }: Reading): Promise<void> {
  const read = await ROADS[road].load();
  await read(url, ({ n, at }) => {
    delays.push((monotonic() - at) / 1e6);
    appendFileSync(file, `${n}\n`);
  });
}

/** How long each message was under way since this was asked the last time, in milliseconds. */
export function takeDelays(): number[] {
  const taken = delays;
  delays = [];
  return taken;
}
