import { readArrived } from './clock.js';

export interface AnswerWatch {
  /** How long nothing at all may be received, in milliseconds. */
  readonly timeout: number;
  /** How long the answer may take, whatever else is received meanwhile, in milliseconds. */
  readonly limit: number;
  /** When the last bytes were received, in milliseconds of `performance.now()`. */
  readonly lastHeard: () => number;
  /** Called once: there was silence for too long, or the answer took too long. */
  readonly onMissing: (why: 'silence' | 'no answer') => void;
}

/**
 * Watches for an answer that does not come; returns the function that ends the watch. An answer may stand behind a large
 * backlog, so any byte counts as a sign of life; but not without end, because what we send may be lost on its way while
 * what the server sends still arrives.
 */
export function watchAnswer({ timeout, limit, lastHeard, onMissing }: AnswerWatch): () => void {
  const begun = performance.now();
  let latest = begun + limit;
  const quietUntil = (): number => Math.max(begun, lastHeard()) + timeout;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  const look = async (due: number): Promise<void> => {
    // While the whole process stood still, nobody could read what had come in.
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
