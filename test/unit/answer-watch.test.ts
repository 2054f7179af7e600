import { afterEach, describe, expect, it } from '@jest/globals';
import { watchAnswer } from '../../lib/time/silence.js';

const ends: (() => void)[] = [];

afterEach(() => ends.splice(0).forEach((end) => end()));

/** Watches until something is missing; resolves with what, and after how long. */
function watch(options: { timeout: number; limit: number; lastHeard: () => number }) {
  const begun = performance.now();
  return new Promise<{ readonly why: string; readonly after: number }>((resolve) => {
    const onMissing = (why: string): void => resolve({ why, after: performance.now() - begun });
    ends.push(watchAnswer({ ...options, onMissing }));
  });
}

function block(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

describe('the wait for an answer', () => {
  it('ends after silence', async () => {
    const { why, after } = await watch({ timeout: 50, limit: 10_000, lastHeard: () => 0 });
    expect(why).toBe('silence');
    expect(after).toBeGreaterThanOrEqual(49);
  });

  it('ends at its limit, however much else comes in', async () => {
    const { why, after } = await watch({ timeout: 1_000, limit: 120, lastHeard: () => performance.now() });
    expect(why).toBe('no answer');
    expect(after).toBeGreaterThanOrEqual(119);
  });

  it('does not count what the process stood still for against the limit', async () => {
    const begun = performance.now();
    const watching = watch({ timeout: 40, limit: 100, lastHeard: () => performance.now() });
    block(400); // All but the first 40 ms of it are nobody's fault.
    await watching;
    expect(performance.now() - begun).toBeGreaterThanOrEqual(400 + 55);
  });
});
