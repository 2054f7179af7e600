import { readArrived } from './clock.js';

export interface AnswerWatch {
  /** The longest silence, in milliseconds. */
  readonly timeout: number;
  /** How long the answer may take even if other messages are received, in milliseconds. */
  readonly limit: number;
  /** When the last bytes were received, in milliseconds of `performance.now()`. */
  readonly lastHeard: () => number;
  /** Called once when the silence or the answer has taken too long. */
  readonly onMissing: (why: 'silence' | 'no answer') => void;
}

/**
 * Watches for a missing answer, and returns a function that ends the watch. An answer may be queued behind a large
 * backlog, so any byte counts as a sign of life. This has a limit, because our messages may be lost while those of the
 * server still arrive.
 */
export function watchAnswer({ timeout, limit, lastHeard, onMissing }: AnswerWatch): () => void {
  const begun = performance.now();
  let latest = begun + limit;
  const quietUntil = (): number => Math.max(begun, lastHeard()) + timeout;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  const look = async (due: number): Promise<void> => {
    // The time during which the event loop was blocked does not count, because nothing could be read.
    latest += Math.max(0, performance.now() - due);
    await readArrived();
    if (ended) return;
    const now = performance.now();
    if (now >= quietUntil()) onMissing('silence');
    else if (now >= latest) onMissing('no answer');
    else schedule();
  };
  const schedule = (): void => {
    const due = Math.min(quietUntil(), latest);
    timer = setTimeout(() => void look(due), Math.max(0, due - performance.now()));
  };
  schedule();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
