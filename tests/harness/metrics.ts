import assert from "node:assert/strict";
import type { Proxy } from "./proxy.ts";

/** What to configure for {@linkcode scrape}. */
export const METRICS = { addr: "127.0.0.1:0" };

/** Where a proxy answers scrapers. */
export async function metricsUrl(proxy: Proxy, path = "/metrics"): Promise<string> {
  return `http://${(await proxy.event("metrics_listening"))["addr"]}${path}`;
}

/** What a scrape told: values by their series as they are written, `name{label="value"}`. */
export class Scrape {
  readonly text: string;
  readonly #values: ReadonlyMap<string, number>;

  constructor(text: string) {
    this.text = text;
    const samples = Array.from(text.matchAll(/^([^#\s]\S*(?: \S+)*) (\S+)$/gm), ([, series = "", value]) => {
      return [series, Number(value)] as const;
    });
    this.#values = new Map(samples);
    assert.equal(this.#values.size, samples.length, "no series is told twice");
  }

  /** The value of a series; `undefined` where there is none. */
  value(series: string): number | undefined {
    return this.#values.get(series);
  }

  /** The series of a metric, without its name, that are not 0. */
  of(name: string): Record<string, number> {
    const found = [...this.#values].filter(([series, value]) => series.split("{", 1)[0] === name && value !== 0);
    return Object.fromEntries(found.map(([series, value]) => [series.slice(name.length), value]));
  }

  /** The name of each series. */
  get names(): Set<string> {
    return new Set([...this.#values.keys()].map((series) => series.split("{", 1)[0] ?? ""));
  }
}

/** Scrapes a proxy. */
export async function scrape(proxy: Proxy): Promise<Scrape> {
  const response = await fetch(await metricsUrl(proxy));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return new Scrape(await response.text());
}

type Counts = Record<string, number>;

/** What is measured of a document of `/stats.json`. */
export interface StatsDocument {
  readonly listeners: readonly {
    readonly addr: string;
    readonly max_connections: number;
    readonly active_connections: number;
    readonly total_connections: number;
    readonly rejected_connections: Counts;
    readonly bytes_in: number;
    readonly bytes_out: number;
    readonly route_count: number;
    readonly accept_failures: number;
  }[];
  readonly firewall_blocked: Counts;
  readonly dial_bounds: number[];
  readonly backends: readonly { backend: string; dials: { buckets: number[]; sum: number }; dial_errors: number }[];
  readonly request_bounds: number[];
  readonly hostnames: readonly {
    readonly hostname: string;
    readonly requests: { buckets: number[]; sum: number };
    readonly responses: Counts;
    readonly policy_blocks: Counts;
  }[];
  readonly certificates: readonly { hostname: string; not_after: string }[];
}

/** The series of a scrape that a document of `/stats.json`, or of `ctl top --json`, has the values of; without zeros. */
export function seriesOf(document: StatsDocument): Record<string, number> {
  const found: Record<string, number> = {};
  const put = (name: string, labels: Record<string, string>, value: number) => {
    if (value !== 0) found[`mcproxy_${name}{${Object.entries(labels).map(([k, v]) => `${k}="${v}"`).join()}}`] = value;
  };
  const each = (counts: Record<string, number>, use: (name: string, count: number) => void) => {
    for (const [name, count] of Object.entries(counts)) use(name, count);
  };
  const histogram = (
    name: string,
    labels: Record<string, string>,
    bounds: number[],
    { buckets, sum }: { buckets: number[]; sum: number },
  ) => {
    let count = 0;
    for (const [i, inBucket] of buckets.entries()) {
      count += inBucket;
      put(`${name}_bucket`, { ...labels, le: String(bounds[i] ?? "+Inf") }, count);
    }
    put(`${name}_sum`, labels, sum);
    put(`${name}_count`, labels, count);
  };
  for (const listener of document.listeners) {
    const labels = { listener: listener.addr };
    put("connections_total", labels, listener.total_connections);
    put("connections_active", labels, listener.active_connections);
    put("connections_limit", labels, listener.max_connections);
    put("transfer_bytes_total", { ...labels, direction: "in" }, listener.bytes_in);
    put("transfer_bytes_total", { ...labels, direction: "out" }, listener.bytes_out);
    put("accept_failures_total", labels, listener.accept_failures);
    put("routes", labels, listener.route_count);
    each(listener.rejected_connections, (reason, n) => put("connections_rejected_total", { ...labels, reason }, n));
  }
  each(document.firewall_blocked, (reason, n) => put("firewall_blocked_total", { reason }, n));
  for (const { backend, dials, dial_errors } of document.backends) {
    histogram("backend_dial_duration_seconds", { backend }, document.dial_bounds, dials);
    put("backend_dial_errors_total", { backend }, dial_errors);
  }
  for (const { hostname, requests, responses, policy_blocks } of document.hostnames) {
    histogram("l7_request_duration_seconds", { hostname }, document.request_bounds, requests);
    each(responses, (code, n) => put("l7_responses_total", { hostname, code }, n));
    each(policy_blocks, (type, n) => put("l7_policy_blocks_total", { hostname, type }, n));
  }
  for (const { hostname, not_after } of document.certificates) {
    put("tls_certificate_expiry_timestamp_seconds", { hostname }, Date.parse(not_after) / 1000);
  }
  return found;
}
