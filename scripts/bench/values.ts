/**
 * What is made of a measurement: the lines of a row's table.
 *
 * @module
 */

import type { Measurement } from "./measurement.ts";

const GB = 1e9;
const KIB = 1024;

/** Of downloads, which are counted in bytes. */
export function bulkValues({ count, seconds, cpuSeconds }: Measurement): Record<string, number> {
  return {
    "CPU s per GB": cpuSeconds / count * GB,
    "GB/s": count / GB / seconds,
    "CPU busy, %": 100 * cpuSeconds / seconds,
  };
}

/** Of new connections. */
export function newValues({ count, seconds, cpuSeconds }: Measurement): Record<string, number> {
  return {
    "CPU µs per connection": cpuSeconds / count * 1e6,
    "connections/s": count / seconds,
    "CPU busy, %": 100 * cpuSeconds / seconds,
  };
}

/** Of messages and their echoes. */
export function exchangeValues(measurement: Measurement): Record<string, number> {
  return countedValues("exchange", measurement);
}

/** Of requests and their answers. */
export function requestValues(measurement: Measurement): Record<string, number> {
  return countedValues("request", measurement);
}

/** Of connections that are left alone. */
export function idleValues({ count, memory, resident }: Measurement): Record<string, number> {
  return { "KiB per connection": memory / KIB / count, "RSS of all, MiB": resident / KIB / KIB };
}

/** Of new connections by a proxy that logs each, and by one that does not. @param lines How many lines there were. */
export function logValues(logged: Measurement, lines: number, silent: Measurement): Record<string, number> {
  const { "CPU µs per connection": cost = NaN, ...rest } = newValues(logged);
  const { "CPU µs per connection": silentCost = NaN } = newValues(silent);
  return {
    "CPU µs per connection": cost,
    "without the log": silentCost,
    "cost of the log, %": 100 * (cost / silentCost - 1),
    "lines per connection": lines / logged.total,
    ...rest,
  };
}

/** Of messages beside handshakes, and of such without. */
export function latencyValues(busy: Measurement, alone: Measurement): Record<string, number> {
  const p99 = busy.latency?.p99 ?? NaN;
  const p99Alone = alone.latency?.p99 ?? NaN;
  return {
    "p50, µs": busy.latency?.p50 ?? NaN,
    "p99, µs": p99,
    "p50 without handshakes, µs": alone.latency?.p50 ?? NaN,
    "p99 without handshakes, µs": p99Alone,
    "p99 / p99 without": p99 / p99Alone,
    "handshakes/s": (busy.handshakes ?? NaN) / busy.seconds,
    "CPU µs per handshake": (busy.cpuSeconds / busy.seconds - alone.cpuSeconds / alone.seconds) * busy.seconds /
      (busy.handshakes ?? NaN) * 1e6,
    "CPU busy, %": 100 * busy.cpuSeconds / busy.seconds,
  };
}

function countedValues(unit: string, { count, seconds, cpuSeconds, latency }: Measurement): Record<string, number> {
  return {
    [`CPU µs per ${unit}`]: cpuSeconds / count * 1e6,
    [`${unit}s/s`]: count / seconds,
    "p50, µs": latency?.p50 ?? NaN,
    "p99, µs": latency?.p99 ?? NaN,
    "CPU busy, %": 100 * cpuSeconds / seconds,
  };
}
