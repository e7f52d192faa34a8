/**
 * Quantities as people read them.
 *
 * @module
 */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/**
 * A number of bytes in three digits, in the unit that fits it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([0, 1023, 1024, 1536, 123_456_789].map(formatBytes), [
 *   "0 B", "1023 B", "1.00 KiB", "1.50 KiB", "118 MiB",
 * ]);
 * ```
 */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  if (unit === 0) return `${value} B`;
  return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${UNITS[unit]}`;
}

/**
 * A duration in its two largest units.
 *
 * @param ms In milliseconds; negative ones are none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([900, 61_000, 3_600_000, 90_061_000].map(formatDuration), ["0s", "1m 1s", "1h", "1d 1h"]);
 * ```
 */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0s";
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count}${unit}`)
    .join(" ");
}

/**
 * A moment to the second, in UTC.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(formatTime(new Date("2026-01-31T09:30:00.123Z")), "2026-01-31 09:30:00 UTC");
 * ```
 */
export function formatTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `1 rule`, `2 rules`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
