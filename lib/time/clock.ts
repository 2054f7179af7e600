import { setImmediate as turn } from 'node:timers/promises';

/** The time of a registration. It is injected, so that tests can run it by hand. */
export interface Clock {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Waits; rejects with the signal's reason as soon as it is aborted. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** Looks up the global timer at each call, so that fake timers of a test can let a poll or a retry fall due. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = (): void => end(() => reject(signal.reason as Error));
      const timer = setTimeout(() => end(resolve), milliseconds);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    }),
};

/** Calls back in a microtask. Jest's fake timers replace `queueMicrotask`, so it would never be called with that. */
export function soon(call: () => void): void {
  void Promise.resolve().then(call);
}

/**
 * Lets the event loop read what has arrived. After a pause of the whole process, timers that are overdue fire before
 * the bytes that came in meanwhile are read.
 */
export async function readArrived(): Promise<void> {
  await turn();
  await turn();
}
