import { describe, expect, it } from '@jest/globals';
import { distribution, fitLine, median, quantile, spread } from './statistics.js';

describe('statistics of the benchmark', () => {
  it('takes the middle value as the median, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5);
  });

  it('takes the mean of the two middle values as the median of an even number', () => {
    expect(median([4, 1, 3, 100])).toBe(3.5);
  });

  it('sorts by value and not by text', () => {
    expect(median([100, 20, 3])).toBe(20);
  });

  it('leaves the values of the caller in their order', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  it('finds the quantile that the share of the values do not exceed', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0, 0.5, 0.99, 1].map((share) => quantile(values, share))).toEqual([1, 50, 99, 100]);
  });

  it('finds the line that points lie on', () => {
    const points = [1, 10, 100].map((x) => ({ x, y: 3 + 0.5 * x }));
    expect(fitLine(points).base).toBeCloseTo(3);
    expect(fitLine(points).slope).toBeCloseTo(0.5);
  });

  it('lets small values decide the base of a line, though a large one is off', () => {
    const points = [
      { x: 1, y: 4 },
      { x: 2, y: 5 },
      { x: 1_000, y: 1_500 },
    ];
    expect(fitLine(points).base).toBeGreaterThan(2);
    expect(fitLine(points).base).toBeLessThan(4);
  });

  it('says not-a-number of no values', () => {
    expect([median([]), quantile([], 0.5), distribution([]).max]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  it('gives half the range as a share of the median as the spread', () => {
    expect(spread(distribution([90, 100, 110]))).toBeCloseTo(0.1);
  });

  it('gives no spread for rounds that agree, also if they measured zero', () => {
    expect(spread(distribution([0, 0, 0]))).toBe(0);
  });
});
