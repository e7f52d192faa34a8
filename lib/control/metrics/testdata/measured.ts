/**
 * Metrics without a program.
 *
 * @module
 */

import { RouteCounters, RouteCounterWriter } from "../../../edge/route_counters.ts";
import { type CountedRoute, RouteCounts } from "../../route_counts.ts";
import { Metrics } from "../metrics.ts";

/** Two workers, and two beside them that serve HTTP. */
const WRITERS = 4;

/** What of a test counts. */
export interface Measured {
  readonly metrics: Metrics;
  readonly routeCounts: RouteCounts;
  /** Of each thread. */
  readonly writers: readonly RouteCounterWriter[];
}

/** Metrics of these routes, of which nothing was counted yet; those of L7 have certificates. */
export function measured(routes: readonly CountedRoute[]): Measured {
  const counters = new RouteCounters(WRITERS);
  const routeCounts = new RouteCounts(counters, 5_000);
  for (const route of routes) routeCounts.add(route);
  const counts = { accepted: 3, active: 1, bytesIn: 10, bytesOut: 20, rejected: { blocked_ip: 2 } };
  const certificates = routes.filter(({ mode }) => mode === "l7")
    .map(({ hostname }) => ({ notAfter: new Date(1_000), hostnames: [hostname] }));
  const metrics = new Metrics({
    version: "1.2.3",
    commit: "1a2b3c4d5e6f",
    supervisor: { threads: { wanted: 4, up: 3 }, faults: { accept: new Map([[":443", 1]]), internal: 2 }, routeCounts },
    administration: {
      status: {
        engine: "epoll",
        workerFailures: 1,
        listeners: [{ addr: ":443", problem: undefined, maxConnections: 10, counts, routeCount: routes.length }],
        firewall: { ruleCount: 5, geoip: { path: "/geo.mmdb", builtAt: new Date(5_000), reloadFailures: 6 } },
      },
    },
    certificates: { counts: { reloads: 7, failures: 8 }, status: () => certificates },
    log: { dropped: 9 },
  });
  return { metrics, routeCounts, writers: counters.memory.map((memory) => new RouteCounterWriter(memory)) };
}
