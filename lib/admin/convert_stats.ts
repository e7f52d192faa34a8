/**
 * What was counted, to and from the messages of WatchStats.
 *
 * @module
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ListenerCounts } from "../control/administration.ts";
import type { Durations, Stats } from "../control/metrics/stats.ts";
import type {
  Durations as DurationsMessage,
  WatchStatsResponse,
  WatchStatsResponseSchema,
} from "./gen/mc_proxy/v1/admin_pb.ts";

/** The message of what was counted. */
export function statsMessage(stats: Stats): MessageInitShape<typeof WatchStatsResponseSchema> {
  return {
    time: timestampFromDate(stats.time),
    uptime: durationOf(stats.uptimeMs),
    startedAt: timestampFromDate(stats.startedAt),
    version: stats.version,
    engine: stats.engine,
    workerThreads: stats.threads.wanted,
    workerThreadsUp: stats.threads.up,
    workerRestarts: BigInt(stats.workerRestarts),
    internalErrors: BigInt(stats.internalErrors),
    listeners: stats.listeners.map(({ addr, maxConnections, routeCount, counts, acceptFailures }) => ({
      addr,
      maxConnections,
      routeCount,
      activeConnections: counts.active,
      totalConnections: BigInt(counts.accepted),
      rejected: countsMessage(counts.rejected),
      bytesIn: BigInt(counts.bytesIn),
      bytesOut: BigInt(counts.bytesOut),
      acceptFailures: BigInt(acceptFailures),
    })),
    firewallBlocked: countsMessage(stats.firewallBlocked),
    dialBounds: [...stats.dialBounds],
    backends: stats.backends.map(({ backend, dials, dialErrors }) => ({
      backend,
      dials: durationsMessage(dials),
      dialErrors: BigInt(dialErrors),
    })),
    requestBounds: [...stats.requestBounds],
    hostnames: stats.hostnames.map(({ hostname, requests, responses, policyBlocks }) => ({
      hostname,
      requests: durationsMessage(requests),
      responses: countsMessage(responses),
      policyBlocks: countsMessage(policyBlocks),
    })),
    certificates: stats.certificates.map(({ hostname, notAfter }) => ({
      hostname,
      notAfter: timestampFromDate(notAfter),
    })),
  };
}

/** What a message says was counted. */
export function statsOfMessage(message: WatchStatsResponse): Stats {
  return {
    time: dateOf(message.time),
    uptimeMs: message.uptime === undefined ? 0 : millisecondsOf(message.uptime),
    startedAt: dateOf(message.startedAt),
    version: message.version,
    engine: message.engine,
    threads: { wanted: message.workerThreads, up: message.workerThreadsUp },
    workerRestarts: Number(message.workerRestarts),
    internalErrors: Number(message.internalErrors),
    listeners: message.listeners.map((listener) => ({
      addr: listener.addr,
      maxConnections: listener.maxConnections,
      routeCount: listener.routeCount,
      counts: {
        accepted: Number(listener.totalConnections),
        active: listener.activeConnections,
        bytesIn: Number(listener.bytesIn),
        bytesOut: Number(listener.bytesOut),
        rejected: countsOf(listener.rejected) as ListenerCounts["rejected"],
      },
      acceptFailures: Number(listener.acceptFailures),
    })),
    firewallBlocked: countsOf(message.firewallBlocked),
    dialBounds: message.dialBounds,
    backends: message.backends.map(({ backend, dials, dialErrors }) => ({
      backend,
      dials: durationsOf(dials),
      dialErrors: Number(dialErrors),
    })),
    requestBounds: message.requestBounds,
    hostnames: message.hostnames.map(({ hostname, requests, responses, policyBlocks }) => ({
      hostname,
      requests: durationsOf(requests),
      responses: countsOf(responses),
      policyBlocks: countsOf(policyBlocks),
    })),
    certificates: message.certificates.map(({ hostname, notAfter }) => ({ hostname, notAfter: dateOf(notAfter) })),
  };
}

/** A duration in milliseconds. */
export function millisecondsOf({ seconds, nanos }: Pick<Duration, "seconds" | "nanos">): number {
  return Number(seconds) * 1000 + nanos / 1_000_000;
}

/** A duration of so many milliseconds, to the nanosecond. */
export function durationOf(ms: number): { readonly seconds: bigint; readonly nanos: number } {
  const seconds = Math.floor(ms / 1000);
  // Rounded, it may be a whole second.
  const nanos = Math.min(Math.round((ms - seconds * 1000) * 1_000_000), 999_999_999);
  return { seconds: BigInt(seconds), nanos };
}

function durationsMessage({ buckets, sum }: Durations): { readonly buckets: bigint[]; readonly sum: number } {
  return { buckets: buckets.map(BigInt), sum };
}

function durationsOf(durations: DurationsMessage | undefined): Durations {
  return { buckets: (durations?.buckets ?? []).map(Number), sum: durations?.sum ?? 0 };
}

function countsMessage(counts: Readonly<Record<string, number>>): Record<string, bigint> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, BigInt(count)]));
}

function countsOf(counts: Readonly<Record<string, bigint>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Number(count)]));
}

function dateOf(timestamp: Parameters<typeof timestampDate>[0] | undefined): Date {
  return timestamp === undefined ? new Date(0) : timestampDate(timestamp);
}
