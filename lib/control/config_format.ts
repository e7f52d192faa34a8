/**
 * The configuration file of a running program.
 *
 * @module
 */

import * as v from "valibot";
import { formatDuration } from "./config_duration.ts";
import { TABLES } from "./config_schema.ts";
import type { Config, ListenerConfig, RouteConfig, StoredState } from "./config_types.ts";
import { routeDocumentOf } from "./route_document.ts";
import { compare } from "./store/stored_state.ts";

type Value = string | number | boolean | readonly string[];
type Values = Readonly<Record<string, Value>>;

const HEADER = `\
# The configuration of a running mc-proxy, as "mc-proxy ctl export" writes it: listeners, routes and the lists of the
# firewall are those of its database, the rest is what it was started with. What is left out has its default.
`;

/**
 * Writes the file with which a server on a new database is what a running one is.
 *
 * The order is the same however the state came to be: listeners, routes and rules are sorted, policies are in the order
 * in which they are tried. What has its default is left out.
 *
 * @param config What the server was started with.
 * @param state What its database holds.
 */
export function formatConfig(config: Config, state: StoredState): string {
  const { firewall, grpc, metrics, proxy, log, database } = config;
  const { blockedIps, blockedCidrs, blockedCountries } = state.firewall;
  return [
    HEADER,
    section("database", { path: database.path }),
    ...state.listeners.toSorted((a, b) => compare(a.addr, b.addr)).map(listenerText),
    section("firewall", {
      blocked_ips: blockedIps.toSorted(compare),
      blocked_cidrs: blockedCidrs.toSorted(compare),
      blocked_countries: blockedCountries.toSorted(compare),
      geoip_db: firewall.geoipDb ?? "",
      rate_limit: firewall.rateLimit,
      rate_window: formatDuration(firewall.rateWindowMs),
    }),
    grpc === undefined ? "" : section("grpc", { ...grpc }),
    metrics === undefined ? "" : section("metrics", { ...metrics }),
    section("proxy", {
      engine: proxy.engine,
      workers: proxy.workers,
      libssl: proxy.tls.libssl,
      tls_min_version: proxy.tls.minVersion,
      tls_groups: proxy.tls.groups,
      tls_ciphers: proxy.tls.ciphers,
      connect_timeout: formatDuration(proxy.connectTimeoutMs),
      hello_timeout: formatDuration(proxy.helloTimeoutMs),
      idle_timeout: formatDuration(proxy.idleTimeoutMs),
      shutdown_timeout: formatDuration(proxy.shutdownTimeoutMs),
    }),
    section("log", { ...log }),
  ].filter((part) => part !== "").join("\n");
}

function listenerText({ addr, proxyProtocol, maxConnections, routes }: ListenerConfig): string {
  const values = { addr, proxy_protocol: proxyProtocol, max_connections: maxConnections };
  const sorted = routes.toSorted((a, b) => compare(a.hostname, b.hostname));
  return [tableText("[[listeners]]", notDefault("listeners", values)), ...sorted.map(routeText)].join("\n");
}

function routeText(route: RouteConfig): string {
  const { l7_policies, ...values } = routeDocumentOf(route);
  const policies = l7_policies.map((policy) => tableText("[[listeners.routes.l7_policies]]", policy, "    "));
  return [tableText("[[listeners.routes]]", notDefault("listeners.routes", values), "  "), ...policies].join("\n");
}

/** A table that is there once at most; `""` where all of it has its default. */
function section(name: keyof typeof TABLES, values: Values): string {
  const rest = notDefault(name, values);
  return Object.keys(rest).length === 0 ? "" : tableText(`[${name}]`, rest);
}

/** The values that are not what they would be if they were left out. */
function notDefault(table: keyof typeof TABLES, values: Values): Values {
  const keys: Readonly<Record<string, v.GenericSchema>> = TABLES[table];
  return Object.fromEntries(
    Object.entries(values).filter(([key, value]) => {
      const schema = keys[key];
      if (schema === undefined) throw new TypeError(`${table} has no key ${key}`);
      return outcome(schema, value) !== outcome(schema, undefined);
    }),
  );
}

/** What becomes of a value of the file: "300s" and "5m" are the same. */
function outcome(schema: v.GenericSchema, value: Value | undefined): string | undefined {
  const parsed = v.safeParse(schema, value);
  return parsed.success ? JSON.stringify(parsed.output) : undefined;
}

function tableText(header: string, values: Values, indent = ""): string {
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${valueText(value)}`);
  return [header, ...lines].map((line) => `${indent}${line}\n`).join("");
}

/** Lists have a line for each of their texts, so that a change of one is a change of one line. */
function valueText(value: Value): string {
  if (typeof value === "string") return stringText(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return value.length === 0 ? "[]" : `[\n${value.map((each) => `  ${stringText(each)},\n`).join("")}]`;
}

/** A basic string: TOML's escapes are those of JSON, and it wants DEL escaped as well (toml.io/en/v1.0.0#string). */
function stringText(text: string): string {
  return JSON.stringify(text).replaceAll("\x7f", "\\u007f");
}
