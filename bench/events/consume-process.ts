/** A child process that handles messages as they are published, and measures how long they were under way. */
import { deferred } from '../frame/deferred.js';
import { monotonic } from '../frame/monotonic.js';
import { SequenceCheck, type SequenceResult } from '../frame/sequence-check.js';
import { CONSUMERS, type Timed } from './consumers.js';

/** How long it waits for messages that do not come, in milliseconds. */
const PATIENCE = 15_000;

let check = new SequenceCheck(0, 0);
let expected = 0;
let delays: number[] = [];
let complete = deferred<void>();

export async function start({ consumer, url }: { readonly consumer: string; readonly url: string }): Promise<void> {
  await (
    await CONSUMERS[consumer]!.load()
  )(url, note);
}

function note({ n, at }: Timed): void {
  delays.push((monotonic() - at) / 1e6);
  check.note(n);
  if (check.arrivals === expected) complete.resolve();
}

/** Expects messages that are numbered from 0 on, in any order: the transactions that publish them overlap. */
export function expect(count: number): void {
  check = new SequenceCheck(0, count, count);
  expected = count;
  delays = [];
  complete = deferred();
}

export interface Arrived {
  /** From the call that has published a message to the handler, in milliseconds. */
  readonly delays: readonly number[];
  readonly sequence: SequenceResult;
}

/** Resolves when all have come, or when nobody would wait any longer. */
export async function arrived(): Promise<Arrived> {
  const timer = setTimeout(() => complete.resolve(), PATIENCE);
  await complete.promise;
  clearTimeout(timer);
  return { delays, sequence: check.result(0) };
}
