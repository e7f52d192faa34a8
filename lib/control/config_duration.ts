/**
 * Durations as people write them.
 *
 * @module
 */

const MAX_LENGTH = 32;
const MILLISECONDS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** The longest duration that is taken, in milliseconds: a day. */
export const MAX_DURATION_MS = 24 * 3_600_000;

/**
 * Reads a duration: decimal numbers, each with its unit `h`, `m`, `s` or `ms`, as Go's `time.ParseDuration` does.
 *
 * @returns Whole milliseconds, from 1 to {@linkcode MAX_DURATION_MS}; `undefined` where `text` is no such duration.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseDuration("1m30s"), 90_000);
 * assert.equal(parseDuration("1.5s"), 1_500);
 * assert.equal(parseDuration("30"), undefined);
 * ```
 */
export function parseDuration(text: string): number | undefined {
  if (text.length > MAX_LENGTH || !/^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(h|ms|m|s)/g)) {
    total += Number(amount) * (MILLISECONDS[unit ?? ""] ?? 0);
  }
  const whole = Math.round(total);
  return whole >= 1 && whole <= MAX_DURATION_MS ? whole : undefined;
}

/**
 * Writes a duration as {@linkcode parseDuration} reads it, in as few units as there may be.
 *
 * @param milliseconds Whole ones, at least 1.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([10_000, 90_000, 3_600_000, 1_500].map(formatDuration), ["10s", "1m30s", "1h", "1s500ms"]);
 * ```
 */
export function formatDuration(milliseconds: number): string {
  let text = "";
  let rest = milliseconds;
  for (const [unit, size] of Object.entries(MILLISECONDS)) {
    if (rest >= size) text += `${Math.floor(rest / size)}${unit}`;
    rest %= size;
  }
  return text;
}
