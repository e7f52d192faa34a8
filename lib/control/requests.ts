/**
 * The fields of changes at run time, read and checked as those of a configuration file are.
 *
 * @module
 */

import { isAbsolute } from "node:path";
import * as v from "valibot";
import type { FirewallRule } from "../rules/firewall.ts";
import type { CertificateReadings } from "./certificate_readings.ts";
import type { CertificateTrial } from "./certificates.ts";
import { problemOf, routeConfigOf } from "./config.ts";
import { checkRoute, type Findings, namelessBackend } from "./config_rules.ts";
import { l7PolicySchema, MAX_CONNECTIONS, routeSchema } from "./config_schema.ts";
import type { ConfigProblem, L7PolicyConfig, RouteConfig } from "./config_types.ts";
import { isHeaderName, readBlockedCidr, readBlockedIp, readCountry, readHostnamePattern } from "./config_values.ts";
import { quote } from "./quote.ts";
import { type FieldViolation, Refusal } from "./refusal.ts";
import { RouteFiles } from "./route_files.ts";

/** A route as a client gives it, under the names of the configuration file; nothing of it is checked. */
export interface RouteInput {
  readonly hostname: string;
  readonly backend: string;
  /** `l4`, `l7`, or whatever else a client may say. */
  readonly mode: string;
  readonly send_proxy_protocol: boolean;
  readonly tls_cert: string;
  readonly tls_key: string;
  readonly backend_tls: boolean;
  readonly backend_protocol: string;
  readonly backend_ca: string;
  readonly backend_server_name: string;
  readonly backend_pins: readonly string[];
  readonly backend_timeout: string;
  readonly backend_max_connections: number;
  readonly allow_trace: boolean;
  readonly l7_policies: readonly PolicyInput[];
}

/** A policy or a firewall rule as a client gives it. */
export interface PolicyInput {
  readonly type: string;
  readonly value: string;
}

/** A route that can be served, and what clients will not like about its certificate: one line each. */
export interface RouteReading {
  readonly route: RouteConfig;
  readonly warnings: readonly string[];
  /** Its certificate, as it was found. */
  readonly readings: CertificateReadings;
}

/**
 * Reads the route of a request, and the files that it names.
 *
 * @param trial What the library that is to serve with its certificate makes of it.
 * @param now When its certificate is to be valid.
 * @throws {Refusal} With every field that is wrong, each under `route`.
 */
export function readRoute(input: RouteInput, trial: CertificateTrial, now = new Date()): RouteReading {
  const problems: ConfigProblem[] = [];
  for (const key of ["tls_cert", "tls_key", "backend_ca"] as const) {
    if (input[key] === "" || isAbsolute(input[key])) continue;
    problems.push({ path: `route.${key}`, message: `${quote(input[key])} is no absolute path` });
  }
  // What a file is merely warned of is an error here: who asks is there to be told, and nothing is stored that has no
  // effect.
  checkRoute({ ...input }, "route", { problems, warnings: problems });
  const parsed = v.safeParse(routeSchema, input);
  const issues = (parsed.issues ?? []).map(problemOf).map(({ path, message }) => ({ path: `route.${path}`, message }));
  refuse([...issues, ...problems]);
  if (!parsed.success) throw new TypeError("a schema that fails has issues");
  const route = routeConfigOf(parsed.output, "/");
  const findings: Findings = { problems: [], warnings: [] };
  const files = new RouteFiles(trial, now);
  files.check(route, "route", findings);
  refuse(findings.problems);
  return {
    route,
    readings: files.readings,
    warnings: [...namelessBackend({ ...input }, "route"), ...findings.warnings].map(({ path, message }) =>
      `${path}: ${message}`
    ),
  };
}

/**
 * Reads the host name of a route.
 *
 * @throws {Refusal} If it is none.
 */
export function readHostname(hostname: string): string {
  const reading = readHostnamePattern(hostname);
  if (reading.kind === "wrong") throw Refusal.invalid([{ field: "hostname", description: reading.message }]);
  return reading.value;
}

/**
 * Reads the policy of a request.
 *
 * @throws {Refusal} With every field that is wrong, each under `policy`.
 */
export function readPolicy(input: PolicyInput): L7PolicyConfig {
  const parsed = v.safeParse(l7PolicySchema, input);
  refuse((parsed.issues ?? []).map(problemOf).map(({ path, message }) => ({ path: `policy.${path}`, message })));
  if (!parsed.success) throw new TypeError("a schema that fails has issues");
  const { type, value } = parsed.output;
  if (type === "require_header" && !isHeaderName(value)) {
    refuse([{ path: "policy.value", message: `${quote(value)} is no header name; write for example "X-Api-Key"` }]);
  }
  return { type, value };
}

const RULE_READERS = { ip: readBlockedIp, cidr: readBlockedCidr, country: readCountry } as const;

/**
 * Reads the rule of a request, and makes it canonical.
 *
 * @throws {Refusal} If one of its fields is wrong, each under `rule`.
 */
export function readRule({ type, value }: PolicyInput): FirewallRule {
  if (type !== "ip" && type !== "cidr" && type !== "country") {
    throw Refusal.invalid([{
      field: "rule.type",
      description: `expected "ip", "cidr" or "country", got ${quote(type)}`,
    }]);
  }
  const reading = RULE_READERS[type](value);
  if (reading.kind === "ok") return { type, value: reading.value };
  // The messages name the lists of the file; here it is the type that is to be another.
  const description = reading.message
    .replace("put it in firewall.blocked_cidrs", 'give it the type "cidr"')
    .replace("put it in firewall.blocked_ips", 'give it the type "ip"');
  throw Refusal.invalid([{ field: "rule.value", description }]);
}

/**
 * Checks a limit of connections.
 *
 * @throws {Refusal} If it is none.
 */
export function readMaxConnections(max: number): number {
  if (Number.isInteger(max) && max >= 0 && max <= MAX_CONNECTIONS) return max;
  const description = `expected a whole number from 0 (no limit) to ${MAX_CONNECTIONS}, got ${max}`;
  throw Refusal.invalid([{ field: "max_connections", description }]);
}

/** How often whoever watches what is counted may be told, and is told by default, in milliseconds. */
export const WATCH_INTERVAL_MS = { min: 100, max: 60_000, default: 1_000 } as const;

/**
 * Checks an interval, in milliseconds; where there is none, it is the default.
 *
 * @throws {Refusal} If it is out of bounds.
 */
export function readWatchInterval(ms: number = WATCH_INTERVAL_MS.default): number {
  const { min, max } = WATCH_INTERVAL_MS;
  if (ms >= min && ms <= max) return ms;
  throw Refusal.invalid([{ field: "interval", description: `expected ${min} ms to ${max / 1000} s, got ${ms} ms` }]);
}

/**
 * Refuses what has problems.
 *
 * @throws {Refusal} If there are any.
 */
export function refuse(problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw Refusal.invalid(distinct(problems));
}

/** One violation for each field: the first that was found. */
function distinct(problems: readonly ConfigProblem[]): FieldViolation[] {
  const found = new Map<string, FieldViolation>();
  for (const { path, message } of problems) {
    if (!found.has(path)) found.set(path, { field: path, description: message });
  }
  return [...found.values()];
}
