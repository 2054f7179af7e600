import { describe, expect, it } from '@jest/globals';
import { Backoff } from '../../lib/listener/backoff.js';

describe('Backoff', () => {
  it('draws between zero and a bound that doubles up to the largest', () => {
    const backoff = new Backoff({ minDelay: 100, maxDelay: 1_000 }, () => 0.999_999);
    const delays = Array.from({ length: 6 }, () => Math.round(backoff.next()));
    expect(delays).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    backoff.reset();
    expect(Math.round(backoff.next())).toBe(100);
  });

  it('spreads the delays over the whole range', () => {
    const delays = Array.from({ length: 1_000 }, () => new Backoff({ minDelay: 100, maxDelay: 100 }).next());
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThan(100);
    const quarters = [0, 1, 2, 3].map((quarter) => delays.filter((delay) => Math.floor(delay / 25) === quarter).length);
    for (const count of quarters) expect(count).toBeGreaterThan(150);
  });
});
