/**
 * What happens a second, out of what was counted at two moments.
 *
 * @module
 */

import { OTHERS } from "../route_counts.ts";
import type { BackendStats, Durations, HostnameStats, Stats } from "./stats.ts";

/** What happened between two moments, a second. Those of which nothing was counted yet are 0. */
export interface Rates {
  readonly listeners: readonly ListenerRates[];
  readonly backends: readonly BackendRates[];
  readonly hostnames: readonly HostnameRates[];
  /** Of each reason on each listener that ever occurred. */
  readonly rejections: readonly RejectionRate[];
  /** Of all backends, and all host names. */
  readonly dials: Quantiles;
  readonly requests: Quantiles;
}

/** Of one listener. */
export interface ListenerRates {
  readonly addr: string;
  /** Open at the second moment. */
  readonly active: number;
  readonly maxConnections: number;
  readonly accepted: number;
  readonly rejected: number;
  /** In bytes. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Of one backend. */
export interface BackendRates extends Quantiles {
  readonly backend: string;
  readonly dials: number;
  readonly dialErrors: number;
}

/** Of one host name. */
export interface HostnameRates extends Quantiles {
  readonly hostname: string;
  readonly requests: number;
  /** By the first digit of the status; `other` stands at 0. */
  readonly classes: readonly [number, number, number, number, number, number];
  readonly policyBlocks: number;
}

/** Of one reason on one listener. */
export interface RejectionRate {
  readonly listener: string;
  readonly reason: string;
  readonly rate: number;
  /** Since the start. */
  readonly total: number;
}

/** How long something took, in seconds; `undefined` where it was not done. */
export interface Quantiles {
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** What happened from one moment to a later one of the same program. */
export function ratesBetween(before: Stats, now: Stats): Rates {
  const seconds = (now.uptimeMs - before.uptimeMs) / 1000;
  // What went and came back may have begun anew.
  const rate = (then: number | undefined, count: number) =>
    seconds > 0 ? Math.max(0, count - (then ?? 0)) / seconds : 0;
  const listenersBefore = new Map(before.listeners.map((each) => [each.addr, each.counts]));
  const backendsBefore = new Map(before.backends.map((each) => [each.backend, each]));
  const hostnamesBefore = new Map(before.hostnames.map((each) => [each.hostname, each]));
  // What comes out of the sum of the others has counts of which nobody knows how old they are: for one interval, none.
  const backendBefore = (each: BackendStats) =>
    backendsBefore.get(each.backend) ?? (backendsBefore.has(OTHERS) ? each : undefined);
  const hostnameBefore = (each: HostnameStats) =>
    hostnamesBefore.get(each.hostname) ?? (hostnamesBefore.has(OTHERS) ? each : undefined);
  const dials = now.backends.map((each) => sinceThen(backendBefore(each)?.dials, each.dials));
  const requests = now.hostnames.map((each) => sinceThen(hostnameBefore(each)?.requests, each.requests));
  return {
    listeners: now.listeners.map(({ addr, maxConnections, counts }) => {
      const then = listenersBefore.get(addr);
      return {
        addr,
        maxConnections,
        active: counts.active,
        accepted: rate(then?.accepted, counts.accepted),
        rejected: rate(then && sum(then.rejected), sum(counts.rejected)),
        bytesIn: rate(then?.bytesIn, counts.bytesIn),
        bytesOut: rate(then?.bytesOut, counts.bytesOut),
      };
    }),
    backends: now.backends.map((each, i) => {
      const { backend, dials: { buckets }, dialErrors } = each;
      const then = backendBefore(each);
      return {
        backend,
        dials: rate(then && sum(then.dials.buckets), sum(buckets)),
        dialErrors: rate(then?.dialErrors, dialErrors),
        ...quantiles(now.dialBounds, dials[i] ?? []),
      };
    }),
    hostnames: now.hostnames.map((each, i) => {
      const { hostname, responses, policyBlocks } = each;
      const then = hostnameBefore(each);
      const [thenClasses, classes] = [classesOf(then?.responses ?? {}), classesOf(responses)];
      const of = (digit: number) => rate(thenClasses[digit], classes[digit] ?? 0);
      return {
        hostname,
        requests: rate(sum(then?.responses ?? {}), sum(responses)),
        classes: [of(0), of(1), of(2), of(3), of(4), of(5)],
        policyBlocks: rate(sum(then?.policyBlocks ?? {}), sum(policyBlocks)),
        ...quantiles(now.requestBounds, requests[i] ?? []),
      };
    }),
    rejections: now.listeners.flatMap(({ addr, counts }) =>
      Object.entries(counts.rejected).map(([reason, total]) => {
        const then: Readonly<Record<string, number>> = listenersBefore.get(addr)?.rejected ?? {};
        return { listener: addr, reason, total, rate: rate(then[reason], total) };
      })
    ),
    dials: quantiles(now.dialBounds, together(dials)),
    requests: quantiles(now.requestBounds, together(requests)),
  };
}

/**
 * The value that a share of what was observed does not exceed: within its bucket, as if that were filled evenly, which is
 * how Prometheus has it.
 *
 * @param bounds Of every bucket but the last.
 * @param buckets How many are in each bucket and no other.
 * @param share From 0 to 1.
 * @returns `undefined` where nothing was observed; the last bound where it is beyond that.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(quantile([1, 2, 4], [0, 10, 0, 0], 0.5), 1.5);
 * assert.equal(quantile([1, 2, 4], [0, 0, 0, 3], 0.5), 4);
 * assert.equal(quantile([1, 2, 4], [0, 0, 0, 0], 0.5), undefined);
 * ```
 */
export function quantile(bounds: readonly number[], buckets: readonly number[], share: number): number | undefined {
  const count = sum(buckets);
  if (count === 0) return undefined;
  const wanted = share * count;
  let below = 0;
  for (const [i, inBucket] of buckets.entries()) {
    const upper = bounds[i];
    if (upper === undefined) break;
    if (inBucket > 0 && below + inBucket >= wanted) {
      const lower = bounds[i - 1] ?? 0;
      return lower + (upper - lower) * (wanted - below) / inBucket;
    }
    below += inBucket;
  }
  return bounds.at(-1);
}

function quantiles(bounds: readonly number[], buckets: readonly number[]): Quantiles {
  return { p50: quantile(bounds, buckets, 0.5), p99: quantile(bounds, buckets, 0.99) };
}

function sinceThen(then: Durations | undefined, { buckets }: Durations): number[] {
  return buckets.map((count, i) => Math.max(0, count - (then?.buckets[i] ?? 0)));
}

function together(all: readonly (readonly number[])[]): number[] {
  const [first = []] = all;
  return first.map((_, i) => all.reduce((sum, buckets) => sum + (buckets[i] ?? 0), 0));
}

function classesOf(responses: Readonly<Record<string, number>>): number[] {
  const classes = [0, 0, 0, 0, 0, 0];
  for (const [code, count] of Object.entries(responses)) {
    const digit = /^[1-5]/.test(code) ? Number(code[0]) : 0;
    classes[digit] = (classes[digit] ?? 0) + count;
  }
  return classes;
}

function sum(counts: readonly number[] | Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
