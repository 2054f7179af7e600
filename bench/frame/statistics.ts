/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = inOrder(values);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The smallest value that at least the given share (0 to 1) of the values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = inOrder(values);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** What several rounds measured of one figure. */
export interface Distribution {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function distribution(values: readonly number[]): Distribution {
  const sorted = inOrder(values);
  return { median: median(values), min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Half the range as a share of the median: 0.05 means that all rounds are within about 5 % of it. */
export function spread({ median: middle, min, max }: Distribution): number {
  return max === min ? 0 : (max - min) / 2 / Math.abs(middle);
}

/**
 * The straight line that is nearest to some points: `base + slope × x`. Distances count as shares of y, so that the small
 * values decide the base and not the large ones alone.
 */
export function fitLine(points: readonly { readonly x: number; readonly y: number }[]): {
  base: number;
  slope: number;
} {
  const weights = points.map(({ y }) => 1 / y ** 2);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value, index) => sum + value * weights[index]!, 0) / total;
  const meanX = mean(points.map(({ x }) => x));
  const meanY = mean(points.map(({ y }) => y));
  const covariance = mean(points.map(({ x, y }) => (x - meanX) * (y - meanY)));
  const variance = mean(points.map(({ x }) => (x - meanX) ** 2));
  const slope = covariance / variance;
  return { base: meanY - slope * meanX, slope };
}

function inOrder(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b);
}
