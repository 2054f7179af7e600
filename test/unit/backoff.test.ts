import { describe, expect, it } from '@jest/globals';
import { Backoff } from '../../lib/time/backoff.js';
import { SeededRandom } from '../support/seeded-random.js';

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

  it('brings 200 listeners back within 5 s of a 10 s outage, half of them within 2.5 s, and crowds no more than with 30 s', () => {
    const short = outage(5_000);
    const long = outage(30_000);
    const backAfter = short.backAfter.toSorted((a, b) => a - b);
    expect(backAfter[100]).toBeLessThan(2_500);
    expect(backAfter.at(-1)).toBeLessThan(5_000);
    expect(short.crowd).toBeLessThanOrEqual(long.crowd * 1.5);
  });
});

/** 200 listeners whose server is away for 10 s: when each is back, and the most attempts within 100 ms, in simulated time. */
function outage(maxDelay: number): { readonly backAfter: number[]; readonly crowd: number } {
  const random = new SeededRandom(1);
  const attempts = new Map<number, number>();
  const backAfter = Array.from({ length: 200 }, () => {
    const backoff = new Backoff({ minDelay: 100, maxDelay }, () => random.next());
    for (let at = backoff.next(); ; at += backoff.next()) {
      const tick = Math.floor(at / 100);
      attempts.set(tick, (attempts.get(tick) ?? 0) + 1);
      if (at >= 10_000) return at - 10_000;
    }
  });
  return { backAfter, crowd: Math.max(...attempts.values()) };
}
