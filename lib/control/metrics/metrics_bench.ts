import type { Metrics } from "./metrics.ts";
import { measured } from "./testdata/measured.ts";

const ROUTES = 10_000;

/** Metrics of many routes, each with a backend of its own, the first `used` of which were used by every thread. */
function metricsOf(mode: "l4" | "l7", used: number): Metrics {
  const routes = Array.from({ length: ROUTES }, (_, i) => ({
    hostname: `www${i}.apps.example.net`,
    backend: `10.0.${i >> 8}.${i & 255}:8443`,
    mode,
  }));
  const { metrics, routeCounts, writers } = measured(routes);
  for (const route of routes.slice(0, used)) {
    const { backend, hostname } = routeCounts.rows(route);
    for (const writer of writers) {
      for (let i = 0; i < 20; i++) writer.dialled(backend, 0.0003 * i);
      if (mode === "l7") { for (const code of [200, 304, 404]) writer.request(hostname, code, 0.0123); }
    }
  }
  return metrics;
}

for (const mode of ["l4", "l7"] as const) {
  for (const used of [0, ROUTES / 10, ROUTES]) {
    const metrics = metricsOf(mode, used);
    const { length } = await metrics.render("text");
    const group = `${ROUTES} routes of ${mode}`;
    Deno.bench(`scrape, ${used} of them used: ${(length / 1e6).toFixed(1)} MB`, { group }, async () => {
      await metrics.render("text");
    });
  }
}
