import { describe, expect, it } from '@jest/globals';
import { WakeLimiter } from '../../lib/event-log/wake-limiter.js';

describe('WakeLimiter', () => {
  let now = 0;
  const limiterAt = (time: number): WakeLimiter => {
    now = time;
    return new WakeLimiter(() => now);
  };
  const takenOf = (limiter: WakeLimiter, count: number, channel = 'orders'): number =>
    Array.from({ length: count }, () => limiter.take(channel)).filter(Boolean).length;

  it('lets 20 wake at once, and then one each 50 ms', () => {
    const limiter = limiterAt(1_000);
    expect(takenOf(limiter, 100)).toBe(20);
    now += 49;
    expect(takenOf(limiter, 5)).toBe(0);
    now += 1;
    expect(takenOf(limiter, 5)).toBe(1);
    now += 500;
    expect(takenOf(limiter, 100)).toBe(10);
  });

  it('lets no more than 20 wake after a long pause', () => {
    const limiter = limiterAt(0);
    takenOf(limiter, 1);
    now += 3_600_000;
    expect(takenOf(limiter, 100)).toBe(20);
  });

  it('counts each channel by itself', () => {
    const limiter = limiterAt(0);
    expect(takenOf(limiter, 30, 'orders')).toBe(20);
    expect(takenOf(limiter, 30, 'refunds')).toBe(20);
  });

  it('forgets channels that have had a pause, and none whose limit is used up', () => {
    const limiter = limiterAt(0);
    for (let n = 0; n < 999; n += 1) limiter.take(`channel ${n}`);
    now += 60;
    takenOf(limiter, 20, 'busy');
    limiter.take('one more');
    expect(limiter['buckets'].size).toBe(2);
    expect(limiter.take('busy')).toBe(false);
  });
});
