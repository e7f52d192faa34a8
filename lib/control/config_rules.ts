/**
 * The rules of a configuration that take more than one value.
 *
 * They read the TOML document as it stands and pass over whatever is not sound in itself, which the schema reports: so
 * one run tells everything that is wrong.
 *
 * @module
 */

import { isTable } from "./config_schema.ts";
import { BACKEND_MAX_CONNECTIONS, BACKEND_TIMEOUT_MS, type ConfigProblem } from "./config_types.ts";
import {
  isHeaderName,
  readBackend,
  readBlockedCidr,
  readBlockedIp,
  readCountry,
  readDuration,
  readHostnamePattern,
  type Reading,
  readListenAddress,
  readPin,
  readTlsCipher,
  readTlsGroup,
} from "./config_values.ts";
import { quote } from "./quote.ts";
import { parseIpAddress } from "../wire/ip_address.ts";
import { parseHostPort } from "../wire/socket_address.ts";

type Table = Readonly<Record<string, unknown>>;
type Reader = (text: string) => Reading<string>;

/** What the rules found: problems forbid the configuration, warnings do not. */
export interface Findings {
  readonly problems: ConfigProblem[];
  readonly warnings: ConfigProblem[];
}

/** Checks all rules over a parsed TOML document. */
export function checkRules(document: Table): Findings {
  const findings: Findings = { problems: [], warnings: [] };
  const listeners = list(document.listeners);
  checkRepeats(listeners.map((listener) => read(listener, "addr", readListenAddress)), {
    pathOf: (i) => `listeners[${i}].addr`,
    what: "listens on",
    report: findings.problems,
  });
  listeners.forEach((listener, i) => isTable(listener) && checkListener(listener, `listeners[${i}]`, findings));
  checkMetrics(document, findings);
  if (isTable(document.firewall)) checkFirewall(document.firewall, findings);
  checkSocket(document.grpc, findings);
  if (isTable(document.proxy)) checkTls(document.proxy, findings);
  return findings;
}

function checkListener(listener: Table, at: string, findings: Findings): void {
  const routes = list(listener.routes);
  checkRepeats(routes.map((route) => read(route, "hostname", readHostnamePattern)), {
    pathOf: (i) => `${at}.routes[${i}].hostname`,
    what: "routes",
    report: findings.problems,
  });
  routes.forEach((route, i) => {
    if (!isTable(route)) return;
    checkRoute(route, `${at}.routes[${i}]`, findings);
    findings.warnings.push(...namelessBackend(route, `${at}.routes[${i}]`));
  });
}

const BACKEND_TLS_ONLY = ["backend_ca", "backend_server_name", "backend_pins"];
const L7_ONLY = [
  "tls_cert",
  "tls_key",
  "backend_tls",
  "backend_protocol",
  ...BACKEND_TLS_ONLY,
  "backend_timeout",
  "backend_max_connections",
  "allow_trace",
];

/**
 * Warns of a route whose backend gets no server name with its ClientHello; `at` is the route's own path. Nothing is
 * wrong about it: a backend may have a certificate for its address, or be known by its key.
 */
export function namelessBackend(route: Table, at: string): ConfigProblem[] {
  if (route.mode !== "l7" || route.backend_tls !== true) return [];
  if (isSet("backend_server_name", route.backend_server_name)) return [];
  // Of pins alone, the key decides: whoever writes them has seen what the backend shows.
  if (isSet("backend_pins", route.backend_pins) && !isSet("backend_ca", route.backend_ca)) return [];
  const { host = "" } = parseHostPort(read(route, "backend", readBackend) ?? "") ?? {};
  if (parseIpAddress(host) === undefined) return [];
  const message = `is not there and backend is an IP address, so no server name (SNI) is sent, and a backend with ` +
    `virtual hosts refuses; write its name, or "{host}" for the one that the client asks for`;
  return [{ path: `${at}.backend_server_name`, message }];
}

/** Checks the rules of one route, whose own path is `at`. */
export function checkRoute(route: Table, at: string, { problems, warnings }: Findings): void {
  const warn = (keys: readonly string[], message: string) => {
    for (const key of keys) if (isSet(key, route[key])) warnings.push({ path: `${at}.${key}`, message });
  };
  checkRepeats(list(route.backend_pins).map((pin) => canonical(pin, readPin)), {
    pathOf: (i) => `${at}.backend_pins[${i}]`,
    what: "lists",
    report: problems,
  });
  // Of an L4 route too: they are stored with it, and the database refuses a repeated one.
  checkPolicies(list(route.l7_policies), `${at}.l7_policies`, problems);
  if (route.mode === undefined || route.mode === "l4") {
    warn([...L7_ONLY, "l7_policies"], `has no effect where mode is "l4"`);
    return;
  }
  if (route.mode !== "l7") return;
  for (const key of ["tls_cert", "tls_key"]) {
    if (route[key] !== undefined && route[key] !== "") continue;
    problems.push({ path: `${at}.${key}`, message: `must name a PEM file where mode is "l7"` });
  }
  if (route.backend_tls === undefined || route.backend_tls === false) {
    warn(BACKEND_TLS_ONLY, "has no effect where backend_tls is false");
  }
}

function checkPolicies(policies: readonly unknown[], at: string, report: ConfigProblem[]): void {
  const keys = policies.map((policy) => {
    if (!isTable(policy) || typeof policy.type !== "string" || typeof policy.value !== "string") return undefined;
    return `${policy.type} ${policy.value}`;
  });
  checkRepeats(keys, { pathOf: (i) => `${at}[${i}]`, what: "has the policy", report });
  policies.forEach((policy, i) => {
    if (!isTable(policy) || policy.type !== "require_header" || typeof policy.value !== "string") return;
    if (isHeaderName(policy.value)) return;
    const message = `${quote(policy.value)} is no header name; write for example "X-Api-Key"`;
    report.push({ path: `${at}[${i}].value`, message });
  });
}

function checkFirewall(firewall: Table, { problems, warnings }: Findings): void {
  const lists = { blocked_ips: readBlockedIp, blocked_cidrs: readBlockedCidr, blocked_countries: readCountry };
  for (const [key, reader] of Object.entries(lists)) {
    checkRepeats(list(firewall[key]).map((value) => canonical(value, reader)), {
      pathOf: (i) => `firewall.${key}[${i}]`,
      what: "lists",
      report: warnings,
    });
  }
  if (list(firewall.blocked_countries).length > 0 && !isSet("geoip_db", firewall.geoip_db)) {
    const message = 'needs firewall.geoip_db; write for example geoip_db = "/srv/mc-proxy/GeoLite2-Country.mmdb"';
    problems.push({ path: "firewall.blocked_countries", message });
  }
}

/** A group that may not use the socket is mostly meant to. */
function checkSocket(grpc: unknown, { warnings }: Findings): void {
  if (!isTable(grpc) || !isSet("group", grpc.group) || (grpc.mode !== undefined && grpc.mode !== "0600")) return;
  warnings.push({ path: "grpc.group", message: 'has no effect where mode is "0600"; write mode = "0660"' });
}

function checkTls(proxy: Table, { problems }: Findings): void {
  for (const [key, reader] of Object.entries({ tls_groups: readTlsGroup, tls_ciphers: readTlsCipher })) {
    checkRepeats(list(proxy[key]).map((value) => canonical(value, reader)), {
      pathOf: (i) => `proxy.${key}[${i}]`,
      what: "lists",
      report: problems,
    });
  }
}

/** Where the page for people is, and what it reads: not the path of the metrics then. */
const DASHBOARD_PATHS: readonly unknown[] = ["/", "/stats.json"];

/** The scrape endpoint, its page for people and the listeners are not to be in each other's way. */
function checkMetrics({ listeners, metrics }: Table, { problems }: Findings): void {
  if (isTable(metrics) && metrics.dashboard === true && DASHBOARD_PATHS.includes(metrics.path)) {
    const message = `is the dashboard's, which metrics.dashboard asks for; write another one, for example "/metrics"`;
    problems.push({ path: "metrics.path", message });
  }
  const addr = read(metrics, "addr", readListenAddress);
  if (addr === undefined || addr.endsWith(":0")) return;
  const index = list(listeners).findIndex((listener) => read(listener, "addr", readListenAddress) === addr);
  if (index < 0) return;
  const message = `listeners[${index}].addr already listens on ${quote(addr)}; choose another port`;
  problems.push({ path: "metrics.addr", message });
}

interface Repeats {
  readonly pathOf: (index: number) => string;
  /** What the first place already does with the repeated value. */
  readonly what: string;
  readonly report: ConfigProblem[];
}

/** Reports every value that stands at an earlier index too; `undefined` values are passed over. */
function checkRepeats(values: readonly (string | undefined)[], { pathOf, what, report }: Repeats): void {
  const firsts = new Map<string, number>();
  values.forEach((value, i) => {
    if (value === undefined) return;
    const first = firsts.get(value);
    if (first === undefined) firsts.set(value, i);
    else report.push({ path: pathOf(i), message: `${pathOf(first)} already ${what} ${quote(value)}; remove one` });
  });
}

function read(table: unknown, key: string, reader: Reader): string | undefined {
  return isTable(table) ? canonical(table[key], reader) : undefined;
}

function canonical(value: unknown, reader: Reader): string | undefined {
  if (typeof value !== "string") return undefined;
  const reading = reader(value);
  return reading.kind === "ok" ? reading.value : undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Whether a value says more than its key's default, which is false or empty unless it is named here. */
function isSet(key: string, value: unknown): boolean {
  if (key === "backend_max_connections" && value === BACKEND_MAX_CONNECTIONS) return false;
  if (key === "backend_timeout" && typeof value === "string") {
    const reading = readDuration(value);
    return reading.kind === "wrong" || reading.value !== BACKEND_TIMEOUT_MS;
  }
  return value !== undefined && value !== false && value !== "" && !(Array.isArray(value) && value.length === 0);
}
