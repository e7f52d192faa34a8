import { RouteCounters, RouteCounterWriter } from "../../edge/route_counters.ts";
import { RouteCounts } from "../route_counts.ts";
import { Metrics } from "./metrics.ts";

const ROUTES = 10_000;
const WRITERS = 4; // two workers, and two beside them that serve HTTP

/** Metrics of many routes, the first `used` of which were all used by every worker. */
function measured(mode: "l4" | "l7", used: number): Metrics {
  const counters = new RouteCounters(WRITERS);
  const routeCounts = new RouteCounts(counters, 5_000);
  const routes = Array.from({ length: ROUTES }, (_, i) => ({
    hostname: `www${i}.apps.example.net`,
    backend: `10.0.${i >> 8}.${i & 255}:8443`,
    mode,
  }));
  for (const route of routes) routeCounts.add(route);
  const writers = counters.memory.map((memory) => new RouteCounterWriter(memory));
  for (const route of routes.slice(0, used)) {
    const { backend, hostname } = routeCounts.rows(route);
    for (const writer of writers) {
      for (let i = 0; i < 20; i++) writer.dialled(backend, 0.0003 * i);
      if (mode === "l7") { for (const code of [200, 304, 404]) writer.request(hostname, code, 0.0123); }
    }
  }
  return new Metrics({
    version: "0",
    supervisor: { threads: { wanted: 4, up: 4 }, faults: { accept: new Map(), internal: 0 }, routeCounts },
    administration: {
      status: {
        engine: "epoll",
        workerFailures: 0,
        listeners: [{
          addr: ":443",
          maxConnections: 0,
          counts: { accepted: 1, active: 1, bytesIn: 1, bytesOut: 1, rejected: {} },
          routeCount: ROUTES,
        }],
        firewall: { ruleCount: 0, geoip: undefined },
      },
    },
    certificates: {
      counts: { reloads: 0, failures: 0 },
      status: () =>
        mode === "l4" ? [] : routes.map(({ hostname }) => ({ notAfter: new Date(0), hostnames: [hostname] })),
    },
    log: { dropped: 0 },
  });
}

for (const mode of ["l4", "l7"] as const) {
  for (const used of [0, ROUTES / 10, ROUTES]) {
    const metrics = measured(mode, used);
    const { length } = await metrics.render("text");
    const group = `${ROUTES} routes of ${mode}`;
    Deno.bench(`scrape, ${used} of them used: ${(length / 1e6).toFixed(1)} MB`, { group }, async () => {
      await metrics.render("text");
    });
  }
}
