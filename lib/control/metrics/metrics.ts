/**
 * What a scrape is told.
 *
 * @module
 */

import process from "node:process";
import { Counter, Gauge, type OpenMetricsContentType, Registry } from "prom-client";
import { REJECT_REASONS } from "../../edge/counters.ts";
import { DIAL_BOUNDS, POLICY_TYPES, REQUEST_BOUNDS } from "../../edge/route_counters.ts";
import { bucketsOf, Exposition, type ExpositionFormat, Label } from "./exposition.ts";
import { FAMILIES, type FamilyName, fullName, PROCESS_FAMILIES } from "./families.ts";
import type { MeasuredStatus, MetricSources } from "./sources.ts";
import { certificateExpiries, firewallBlocked } from "./stats.ts";

type AnyRegistry = Registry | Registry<OpenMetricsContentType>;

/** Labels and a value. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** One of each family that prom-client writes. */
type Samples = { readonly [Name in FamilyName]?: readonly Sample[] };

/** See the module. */
export class Metrics {
  readonly #sources: MetricSources;
  /** prom-client renames its counters for good when it writes them as OpenMetrics. */
  readonly #registries: Readonly<Record<ExpositionFormat, AnyRegistry>>;
  /** Of the scrape under way. */
  #samples: Samples;
  #process = processSamples();
  /** Of the last scrape. */
  readonly #capacities = new Map<FamilyName | "all", number>();

  constructor(sources: MetricSources) {
    this.#sources = sources;
    const openMetrics = new Registry<OpenMetricsContentType>();
    openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    this.#registries = { text: new Registry(), openmetrics: openMetrics };
    this.#samples = samplesOf(sources);
    for (const registry of Object.values(this.#registries)) this.#register(registry);
  }

  /** What a format is called. */
  contentType(format: ExpositionFormat): string {
    return this.#registries[format].contentType;
  }

  /** All metrics as they are now. */
  async render(format: ExpositionFormat): Promise<Uint8Array<ArrayBuffer>> {
    this.#samples = samplesOf(this.#sources);
    this.#process = processSamples();
    const rest = this.#registries[format].metrics(); // asks for every value before it returns
    const exposition = new Exposition(format, this.#capacities);
    writeBackends(exposition, this.#sources);
    writeHostnames(exposition, this.#sources);
    writeCertificates(exposition, this.#sources);
    return exposition.end(await rest);
  }

  #register(registry: AnyRegistry): void {
    for (const name of Object.keys(this.#samples) as FamilyName[]) {
      const { type, help, labels } = FAMILIES[name];
      register(registry, fullName(name), { type, help, labels }, () => this.#samples[name] ?? []);
    }
    for (const [name, family] of Object.entries(PROCESS_FAMILIES)) {
      register(registry, name, family, () => [[{}, this.#process[name as keyof typeof PROCESS_FAMILIES]]]);
    }
  }
}

function register(
  registry: AnyRegistry,
  name: string,
  { type, help, labels }: { readonly type: string; readonly help: string; readonly labels: readonly string[] },
  read: () => readonly Sample[],
): void {
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (type === "counter") {
    new Counter({
      ...options,
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc(labels, value);
      },
    });
  } else {
    new Gauge({
      ...options,
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.set(labels, value);
      },
    });
  }
}

function samplesOf({ version, commit, supervisor, administration, certificates, log }: MetricSources): Samples {
  const { engine, workerFailures, listeners, firewall } = administration.status;
  const { threads, faults } = supervisor;
  const { geoip } = firewall;
  const each = (valueOf: (listener: MeasuredStatus["listeners"][number]) => number): Sample[] =>
    listeners.map((listener) => [{ listener: listener.addr }, valueOf(listener)]);
  const one = (value: number): Sample[] => [[{}, value]];
  return {
    listener_up: each(({ problem }) => Number(problem === undefined)),
    connections_total: each(({ counts }) => counts.accepted),
    connections_active: each(({ counts }) => counts.active),
    connections_limit: each(({ maxConnections }) => maxConnections).filter(([, limit]) => limit > 0),
    connections_rejected_total: listeners.flatMap(({ addr, counts: { rejected } }) =>
      REJECT_REASONS.map((reason): Sample => [{ listener: addr, reason }, rejected[reason] ?? 0])
    ),
    transfer_bytes_total: listeners.flatMap(({ addr, counts }): Sample[] => [
      [{ listener: addr, direction: "in" }, counts.bytesIn],
      [{ listener: addr, direction: "out" }, counts.bytesOut],
    ]),
    accept_failures_total: each(({ addr }) => faults.accept.get(addr) ?? 0),
    routes: each(({ routeCount }) => routeCount),
    firewall_blocked_total: firewallBlocked(listeners).map(([reason, count]): Sample => [{ reason }, count]),
    firewall_rules: one(firewall.ruleCount),
    geoip_build_timestamp_seconds: geoip === undefined ? [] : [[{ path: geoip.path }, geoip.builtAt.getTime() / 1000]],
    geoip_reload_failures_total: one(geoip?.reloadFailures ?? 0),
    certificate_reloads_total: one(certificates.counts.reloads),
    certificate_reload_failures_total: one(certificates.counts.failures),
    build_info: [[{ version, commit, engine, deno: Deno.version.deno }, 1]],
    worker_threads: one(threads.wanted),
    worker_threads_up: one(threads.up),
    worker_restarts_total: one(workerFailures),
    internal_errors_total: one(faults.internal),
    log_lines_dropped_total: one(log.dropped),
  };
}

/**
 * prom-client's own process metrics do not do here. Those of memory and descriptors read /proc, which Deno allows to
 * programs with every permission only: they are 0. That of the event loop's lag wakes an idle process a hundred times a
 * second. Those of heaps, handles and garbage collection know the main thread alone, which serves nobody.
 */
function processSamples(): Readonly<Record<keyof typeof PROCESS_FAMILIES, number>> {
  const { user, system } = process.cpuUsage();
  return {
    process_cpu_user_seconds_total: user / 1e6,
    process_cpu_system_seconds_total: system / 1e6,
    process_cpu_seconds_total: (user + system) / 1e6,
    process_start_time_seconds: performance.timeOrigin / 1000,
    process_resident_memory_bytes: Deno.memoryUsage().rss,
  };
}

const DIAL_BUCKETS = bucketsOf(DIAL_BOUNDS);
const REQUEST_BUCKETS = bucketsOf(REQUEST_BOUNDS);
const encoder = new TextEncoder();
const TYPE_LABELS = POLICY_TYPES.map((type) => [type, encoder.encode(`,type="${type}"`)] as const);
/** What follows a host name, by its status code: there are some hundred that HTTP can tell. */
const CODE_LABELS = new Map<number | "other", Uint8Array>();

function codeLabel(code: number | "other"): Uint8Array {
  let label = CODE_LABELS.get(code);
  if (label === undefined) CODE_LABELS.set(code, label = encoder.encode(`,code="${code}"`));
  return label;
}

function writeBackends(exposition: Exposition, { supervisor }: MetricSources): void {
  const durations = exposition.family("backend_dial_duration_seconds");
  const errors = exposition.familyAside("backend_dial_errors_total");
  const label = new Label("backend");
  for (const [name, { dials, dialErrors }] of supervisor.routeCounts.backends()) {
    label.set(name);
    if (dials.count > 0) durations.histogram(label, DIAL_BUCKETS, dials);
    errors.sample(label, dialErrors);
  }
}

function writeHostnames(exposition: Exposition, { supervisor }: MetricSources): void {
  const responses = exposition.familyAside("l7_responses_total");
  const durations = exposition.family("l7_request_duration_seconds");
  const blocks = exposition.familyAside("l7_policy_blocks_total");
  const label = new Label("hostname");
  for (const [name, { codes, requests, policyBlocks }] of supervisor.routeCounts.hostnames()) {
    label.set(name);
    for (const [code, count] of codes) responses.sample(label, count, codeLabel(code));
    durations.histogram(label, REQUEST_BUCKETS, requests);
    for (const [type, more] of TYPE_LABELS) blocks.sample(label, policyBlocks[type], more);
  }
}

function writeCertificates(exposition: Exposition, { certificates }: MetricSources): void {
  const expiries = exposition.family("tls_certificate_expiry_timestamp_seconds");
  const label = new Label("hostname");
  for (const { hostname, notAfter } of certificateExpiries(certificates.status())) {
    expiries.sample(label.set(hostname), notAfter.getTime() / 1000);
  }
}
