/**
 * The metrics that there are: what docs/METRICS.md describes.
 *
 * @module
 */

/** What every name begins with, except those that are the same in all programs. */
const PREFIX = "mcproxy_";

/** One metric with all its series. */
export interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  /** In one line. */
  readonly help: string;
  /** What tells its series apart; each comes from configuration or from a fixed list. */
  readonly labels: readonly string[];
}

/** By name, without the prefix. */
export const FAMILIES = {
  // ---- By listener ---------------------------------------------------------------------------------------------------
  listener_up: {
    type: "gauge",
    help: "1 while the listener is open, 0 while its address cannot be bound.",
    labels: ["listener"],
  },
  connections_total: {
    type: "counter",
    help: "Connections accepted, those included that were refused.",
    labels: ["listener"],
  },
  connections_active: { type: "gauge", help: "Connections open now.", labels: ["listener"] },
  connections_limit: {
    type: "gauge",
    help: "Connections that may be open at once; without a limit there is no series.",
    labels: ["listener"],
  },
  connections_rejected_total: {
    type: "counter",
    help: "Connections refused, by the reason that the log gives.",
    labels: ["listener", "reason"],
  },
  transfer_bytes_total: {
    type: "counter",
    help: "Bytes passed on: in from clients to backends, out from backends to clients.",
    labels: ["listener", "direction"],
  },
  accept_failures_total: {
    type: "counter",
    help: "Times that the system began to refuse to accept connections, as without a free descriptor.",
    labels: ["listener"],
  },
  routes: { type: "gauge", help: "Routes.", labels: ["listener"] },

  // ---- The firewall --------------------------------------------------------------------------------------------------
  firewall_blocked_total: {
    type: "counter",
    help: "Connections that the firewall refused, on any listener.",
    labels: ["reason"],
  },
  firewall_rules: { type: "gauge", help: "Rules of the firewall.", labels: [] },
  geoip_build_timestamp_seconds: {
    type: "gauge",
    help: "When the publisher made the GeoIP database in use; without one there is no series.",
    labels: ["path"],
  },
  geoip_reload_failures_total: {
    type: "counter",
    help: "Reloads of the GeoIP database that found a file of no use.",
    labels: [],
  },

  // ---- By backend ----------------------------------------------------------------------------------------------------
  backend_dial_duration_seconds: {
    type: "histogram",
    help: "Time to connect to a backend, its TLS handshake included where there is one; of dials that succeeded.",
    labels: ["backend"],
  },
  backend_dial_errors_total: {
    type: "counter",
    help: "Dials that failed: no address of the backend answered, or it has none.",
    labels: ["backend"],
  },

  // ---- By host name of L7 routes -------------------------------------------------------------------------------------
  l7_responses_total: {
    type: "counter",
    help:
      "Requests by the status that they were answered with; 499: the client left before; 503: or a shutdown cut it off.",
    labels: ["hostname", "code"],
  },
  l7_request_duration_seconds: {
    type: "histogram",
    help: "Time from the head of a request to the end of its answer.",
    labels: ["hostname"],
  },
  l7_policy_blocks_total: {
    type: "counter",
    help: "Requests that a policy of their route refused.",
    labels: ["hostname", "type"],
  },
  tls_certificate_expiry_timestamp_seconds: {
    type: "gauge",
    help: "When the certificate in use ends; the earliest, where listeners have different ones.",
    labels: ["hostname"],
  },
  certificate_reloads_total: { type: "counter", help: "Renewed certificates that were taken into use.", labels: [] },
  certificate_reload_failures_total: {
    type: "counter",
    help: "Changes of certificate files that left them of no use; the certificate before stayed in use.",
    labels: [],
  },

  // ---- The program ---------------------------------------------------------------------------------------------------
  build_info: {
    type: "gauge",
    help: "1; what runs is in the labels.",
    labels: ["version", "commit", "engine", "deno"],
  },
  worker_threads: { type: "gauge", help: "Threads that are to serve: one for each worker.", labels: [] },
  worker_threads_up: {
    type: "gauge",
    help: "Threads that serve; fewer than worker_threads while one that died is replaced.",
    labels: [],
  },
  worker_restarts_total: { type: "counter", help: "Threads that died, each with its connections.", labels: [] },
  internal_errors_total: {
    type: "counter",
    help: "Faults of the program's own that ended one connection each.",
    labels: [],
  },
  log_lines_dropped_total: {
    type: "counter",
    help: "Lines of the log that were lost: their reader stood still or was gone, or the disk was full.",
    labels: [],
  },
} as const satisfies Readonly<Record<string, Family>>;

/** See {@linkcode FAMILIES}. */
export type FamilyName = keyof typeof FAMILIES;

/** Those that Prometheus's client libraries have in common, by their whole names. */
export const PROCESS_FAMILIES = {
  process_cpu_user_seconds_total: { type: "counter", help: "User CPU time of all threads.", labels: [] },
  process_cpu_system_seconds_total: { type: "counter", help: "System CPU time of all threads.", labels: [] },
  process_cpu_seconds_total: { type: "counter", help: "User and system CPU time of all threads.", labels: [] },
  process_start_time_seconds: { type: "gauge", help: "When the process started.", labels: [] },
  process_resident_memory_bytes: { type: "gauge", help: "Resident memory.", labels: [] },
} as const satisfies Readonly<Record<string, Family>>;

/** A metric's whole name. */
export function fullName(name: FamilyName): string {
  return PREFIX + name;
}
