import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';

/** Time as the listener needs it; injected, so that a test can run it by hand. */
export interface Clock {
  /** Milliseconds of a clock that is never set back. */
  now(): number;
  /** Waits; rejects with an `AbortError` as soon as the signal is aborted. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) => delay(milliseconds, undefined, { signal }),
};

/**
 * Lets the event loop read what has arrived. After a pause of the whole process, timers that are overdue fire before
 * the bytes that came in meanwhile are read.
 */
export async function readArrived(): Promise<void> {
  await turn();
  await turn();
}
