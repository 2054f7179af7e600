import { readArrived } from './clock.js';

export interface SilenceWatch {
  /** How long nothing at all may be received, in milliseconds. */
  readonly timeout: number;
  /** When the last bytes were received, in milliseconds of `performance.now()`. */
  readonly lastHeard: () => number;
  /** Called once, when there was silence for too long. */
  readonly onSilence: () => void;
}

/**
 * Watches for silence; returns the function that ends the watch. An answer may stand behind a large backlog: any byte
 * counts as a sign of life.
 */
export function watchSilence({ timeout, lastHeard, onSilence }: SilenceWatch): () => void {
  const begun = performance.now();
  const quietUntil = (): number => Math.max(begun, lastHeard()) + timeout;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  const look = async (): Promise<void> => {
    await readArrived();
    if (ended) return;
    if (performance.now() < quietUntil()) schedule();
    else onSilence();
  };
  const schedule = (): void => {
    timer = setTimeout(() => void look(), Math.max(0, quietUntil() - performance.now()));
  };
  schedule();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
