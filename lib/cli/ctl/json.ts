/**
 * What `--json` prints: the names of the configuration file, numbers as numbers. docs/CTL.md lists the shapes.
 *
 * @module
 */

import type { ServedListener, ServerStatus } from "../../admin/client.ts";
import type { RouteConfig } from "../../control/config_types.ts";
import { routeDocumentOf } from "../../control/route_document.ts";
import { hasPostQuantum } from "../../control/tls_status.ts";

type Json = Readonly<Record<string, unknown>>;

/** A route of a listener. */
export function routeJson(listener: string, route: RouteConfig): Json {
  return { listener, ...routeDocumentOf(route) };
}

/** A listener and its counts. */
export function listenerJson({ counts, ...listener }: ServedListener): Json {
  return {
    addr: listener.addr,
    bound_addr: listener.boundAddr,
    problem: listener.problem ?? null,
    proxy_protocol: listener.proxyProtocol,
    max_connections: listener.maxConnections,
    active_connections: counts.active,
    total_connections: counts.accepted,
    rejected_connections: counts.rejected,
    bytes_in: counts.bytesIn,
    bytes_out: counts.bytesOut,
    route_count: listener.routeCount,
  };
}

/** A whole server at a moment. */
export function statusJson(status: ServerStatus, now: Date): Json {
  const { ruleCount, rateLimit, rateWindowMs, geoip } = status.firewall;
  return {
    version: status.version,
    started_at: status.startedAt.toISOString(),
    uptime_seconds: Math.max(0, Math.floor((now.getTime() - status.startedAt.getTime()) / 1000)),
    engine: status.engine,
    tls: status.tls === undefined ? null : {
      library: status.tls.library,
      path: status.tls.path || null,
      min_version: status.tls.minVersion,
      groups: status.tls.groups,
      post_quantum: hasPostQuantum(status.tls),
    },
    workers: status.workers,
    worker_failures: status.workerFailures,
    draining: status.draining,
    problems: status.problems,
    firewall: { rule_count: ruleCount, rate_limit: rateLimit, rate_window_seconds: rateWindowMs / 1000 },
    geoip: geoip === undefined ? null : {
      path: geoip.path,
      built_at: geoip.builtAt.toISOString(),
      loaded_at: geoip.loadedAt.toISOString(),
      reload_failures: geoip.reloadFailures,
    },
    listeners: status.listeners.map(listenerJson),
    certificates: status.certificates.map(({ certFile, keyFile, notAfter, routes, problem, failures }) => ({
      tls_cert: certFile,
      tls_key: keyFile,
      not_after: notAfter?.toISOString() ?? null,
      routes: routes.map(({ listener, hostname }) => ({ listener, hostname })),
      problem: problem ?? null,
      failures,
    })),
  };
}
