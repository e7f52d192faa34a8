/**
 * What was counted, as a document for programs. docs/CTL.md lists its keys.
 *
 * @module
 */

import type { Stats } from "./stats.ts";

/** The document: names as those of `ctl status --json`, numbers as numbers. */
export function statsJson(stats: Stats): Readonly<Record<string, unknown>> {
  return {
    time: stats.time.toISOString(),
    uptime_seconds: stats.uptimeMs / 1000,
    started_at: stats.startedAt.toISOString(),
    version: stats.version,
    engine: stats.engine,
    worker_threads: stats.threads.wanted,
    worker_threads_up: stats.threads.up,
    worker_restarts: stats.workerRestarts,
    internal_errors: stats.internalErrors,
    listeners: stats.listeners.map(({ addr, maxConnections, routeCount, counts, acceptFailures }) => ({
      addr,
      max_connections: maxConnections,
      active_connections: counts.active,
      total_connections: counts.accepted,
      rejected_connections: counts.rejected,
      bytes_in: counts.bytesIn,
      bytes_out: counts.bytesOut,
      route_count: routeCount,
      accept_failures: acceptFailures,
    })),
    firewall_blocked: stats.firewallBlocked,
    dial_bounds: stats.dialBounds,
    backends: stats.backends.map(({ backend, dials, dialErrors }) => ({ backend, dials, dial_errors: dialErrors })),
    request_bounds: stats.requestBounds,
    hostnames: stats.hostnames.map(({ hostname, requests, responses, policyBlocks }) => ({
      hostname,
      requests,
      responses,
      policy_blocks: policyBlocks,
    })),
    certificates: stats.certificates.map(({ hostname, notAfter }) => ({
      hostname,
      not_after: notAfter.toISOString(),
    })),
  };
}
