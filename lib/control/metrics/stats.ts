/**
 * What was counted, as one value: for those who watch it.
 *
 * @module
 */

import { BLOCKED } from "../../edge/end.ts";
import { type BackendCounts, DIAL_BOUNDS, type HostnameCounts, REQUEST_BOUNDS } from "../../edge/route_counters.ts";
import type { ListenerCounts } from "../administration.ts";
import type { CertificateStatus } from "../certificate_files.ts";
import { OTHERS } from "../route_counts.ts";
import { MAX_TOLD, tellBusiest } from "./busiest.ts";
import type { MeasuredStatus, MetricSources } from "./sources.ts";

/** A running program at one moment. Counts are since its start. */
export interface Stats {
  /** By the clock of the machine, which may be set. */
  readonly time: Date;
  /** How long the program runs, in milliseconds, by a clock that nobody sets: for rates. */
  readonly uptimeMs: number;
  /** When it began to serve; another one means that counts began anew. */
  readonly startedAt: Date;
  readonly version: string;
  readonly engine: string;
  /** How many threads are to serve, and how many do. */
  readonly threads: { readonly wanted: number; readonly up: number };
  /** Threads that died and were replaced. */
  readonly workerRestarts: number;
  /** Faults of the program's own that ended one connection each. */
  readonly internalErrors: number;
  /** In the order of the configuration. */
  readonly listeners: readonly ListenerStats[];
  /** Connections that the firewall refused, on any listener, by reason; reasons that did not occur are left out. */
  readonly firewallBlocked: Readonly<Record<string, number>>;
  /** Up to how many seconds a dial took, for each bucket but the last. */
  readonly dialBounds: readonly number[];
  /** Those that were dialled: the busiest {@linkcode MAX_TOLD}, and the sum of all others as {@linkcode OTHERS}. */
  readonly backends: readonly BackendStats[];
  /** Up to how many seconds a request took, for each bucket but the last. */
  readonly requestBounds: readonly number[];
  /** Those of L7 routes that were asked for, likewise. */
  readonly hostnames: readonly HostnameStats[];
  /** The first {@linkcode MAX_TOLD} to end, where there are more. */
  readonly certificates: readonly CertificateExpiry[];
}

/** One listener at one moment. */
export interface ListenerStats {
  /** As configured. */
  readonly addr: string;
  /** 0: no limit. */
  readonly maxConnections: number;
  readonly routeCount: number;
  readonly counts: ListenerCounts;
  /** Times that the system began to refuse to accept connections. */
  readonly acceptFailures: number;
}

/** Observed durations. */
export interface Durations {
  /** How many fell into each bucket, the last of which has no bound. */
  readonly buckets: readonly number[];
  /** In seconds. */
  readonly sum: number;
}

/** One backend at one moment. */
export interface BackendStats {
  /** `host:port`. */
  readonly backend: string;
  /** Those that succeeded. */
  readonly dials: Durations;
  readonly dialErrors: number;
}

/** One host name of L7 routes at one moment. */
export interface HostnameStats {
  /** The routes' pattern. */
  readonly hostname: string;
  readonly requests: Durations;
  /** By status code, and `other`. */
  readonly responses: Readonly<Record<string, number>>;
  /** By the type of the policy; types that blocked nothing are left out. */
  readonly policyBlocks: Readonly<Record<string, number>>;
}

/** When the certificate of a host name ends: the earliest, where listeners have different ones. */
export interface CertificateExpiry {
  readonly hostname: string;
  readonly notAfter: Date;
}

/** Where the values come from. */
export interface StatsSources extends Omit<MetricSources, "log" | "administration"> {
  readonly administration: { readonly status: MeasuredStatus & { readonly startedAt: Date } };
}

/** Reads the counters that are shared with the engine, once; nobody else is asked. */
export function readStats({ version, supervisor, administration, certificates }: StatsSources): Stats {
  const { startedAt, engine, workerFailures, listeners } = administration.status;
  const { threads, faults, routeCounts } = supervisor;
  return {
    time: new Date(),
    uptimeMs: performance.now(),
    startedAt,
    version,
    engine,
    threads,
    workerRestarts: workerFailures,
    internalErrors: faults.internal,
    listeners: listeners.map(({ addr, maxConnections, routeCount, counts }) => ({
      addr,
      maxConnections,
      routeCount,
      counts,
      acceptFailures: faults.accept.get(addr) ?? 0,
    })),
    firewallBlocked: Object.fromEntries(firewallBlocked(listeners).filter(([, count]) => count > 0)),
    dialBounds: DIAL_BOUNDS,
    requestBounds: REQUEST_BOUNDS,
    ...routeStats(routeCounts),
    certificates: firstToEnd(certificateExpiries(certificates.status())),
  };
}

function firstToEnd(certificates: readonly CertificateExpiry[]): readonly CertificateExpiry[] {
  if (certificates.length <= MAX_TOLD) return certificates;
  return certificates.toSorted((a, b) => a.notAfter.getTime() - b.notAfter.getTime()).slice(0, MAX_TOLD);
}

/** What is counted of the routes. */
export function routeStats(
  routeCounts: StatsSources["supervisor"]["routeCounts"],
): Pick<Stats, "backends" | "hostnames"> {
  return {
    backends: tellBusiest<BackendCounts, MutableBackend>({
      read: () => routeCounts.backends("return"),
      weigh: ({ dials, dialErrors }) => dials.count + dialErrors,
      tell: (backend, { dials, dialErrors }) => ({ backend, dials: durations(dials), dialErrors }),
      add: (others, { dials, dialErrors }) => {
        addDurations(others.dials, dials);
        others.dialErrors += dialErrors;
      },
      others: OTHERS,
    }),
    hostnames: tellBusiest<HostnameCounts, MutableHostname>({
      read: () => routeCounts.hostnames("return"),
      weigh: ({ requests }) => requests.count,
      tell: (hostname, { requests, codes, policyBlocks }) => ({
        hostname,
        requests: durations(requests),
        responses: Object.fromEntries(codes),
        policyBlocks: Object.fromEntries(Object.entries(policyBlocks).filter(([, count]) => count > 0)),
      }),
      add: (others, { requests, codes, policyBlocks }) => {
        addDurations(others.requests, requests);
        for (const [code, count] of codes) addCount(others.responses, String(code), count);
        for (const [type, count] of Object.entries(policyBlocks)) {
          if (count > 0) addCount(others.policyBlocks, type, count);
        }
      },
      others: OTHERS,
    }),
  };
}

/** How often the firewall refused a connection on any listener, by each reason that it has. */
export function firewallBlocked(
  listeners: readonly { readonly counts: ListenerCounts }[],
): (readonly [reason: string, count: number])[] {
  return Object.entries(BLOCKED).map(([reason, rejection]) => [
    reason,
    listeners.reduce((sum, { counts }) => sum + (counts.rejected[rejection] ?? 0), 0),
  ]);
}

/** See {@linkcode CertificateExpiry}; host names whose certificates were never sound are left out. */
export function certificateExpiries(
  certificates: readonly Pick<CertificateStatus, "notAfter" | "hostnames">[],
): CertificateExpiry[] {
  const earliest = new Map<string, Date>();
  for (const { notAfter, hostnames } of certificates) {
    if (notAfter === undefined) continue;
    for (const hostname of hostnames) {
      const known = earliest.get(hostname);
      if (known === undefined || notAfter < known) earliest.set(hostname, notAfter);
    }
  }
  return Array.from(earliest, ([hostname, notAfter]) => ({ hostname, notAfter }));
}

type MutableDurations = { readonly buckets: number[]; sum: number };
type MutableBackend = { readonly backend: string; readonly dials: MutableDurations; dialErrors: number };
type MutableCounts = Record<string, number>;
type MutableHostname = {
  readonly hostname: string;
  readonly requests: MutableDurations;
  readonly responses: MutableCounts;
  readonly policyBlocks: MutableCounts;
};

function durations({ buckets, sum }: Durations): MutableDurations {
  return { buckets: [...buckets], sum };
}

function addDurations(to: MutableDurations, { buckets, sum }: Durations): void {
  for (const [i, count] of buckets.entries()) to.buckets[i] = (to.buckets[i] ?? 0) + count;
  to.sum += sum;
}

function addCount(to: MutableCounts, key: string, count: number): void {
  to[key] = (to[key] ?? 0) + count;
}
