/**
 * Order statistics of a few samples.
 *
 * @module
 */

/**
 * The value below which a share of the samples lie, interpolated between the two nearest.
 *
 * @param share 0 to 1: 0.5 is the median.
 * @throws {RangeError} If there is no sample.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
 * assert.equal(quantile([4, 1, 3, 2], 1), 4);
 * ```
 */
export function quantile(samples: Iterable<number>, share: number): number {
  const sorted = Float64Array.from(samples).sort();
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) throw new RangeError("no samples");
  return below + (above - below) * (at - Math.floor(at));
}

/** The middle of the samples. */
export function median(samples: Iterable<number>): number {
  return quantile(samples, 0.5);
}

/** How far apart the samples lie: the interquartile range as a share of the median; 0 where all are 0. */
export function spread(samples: readonly number[]): number {
  const range = quantile(samples, 0.75) - quantile(samples, 0.25);
  return range === 0 ? 0 : range / median(samples);
}
