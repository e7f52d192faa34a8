/**
 * The configuration file as a schema: its tables and keys, their types, defaults and ranges.
 *
 * Checked here is what one value shows by itself; `config_rules.ts` checks what takes several.
 *
 * @module
 */

import * as v from "valibot";
import { formatDuration } from "./config_duration.ts";
import {
  BACKEND_MAX_CONNECTIONS,
  BACKEND_PROTOCOLS,
  BACKEND_TIMEOUT_MS,
  ENGINES,
  L7_POLICY_TYPES,
  LOG_FORMATS,
  LOG_LEVELS,
  ROUTE_MODES,
  SOCKET_MODES,
} from "./config_types.ts";
import * as values from "./config_values.ts";
import { nearest } from "./nearest.ts";
import { describe, quote } from "./quote.ts";
import { TLS_VERSIONS } from "../edge/tls_settings.ts";

const MAX_WORKERS = 1024;
/** The highest `max_connections`. */
export const MAX_CONNECTIONS = 2 ** 31 - 1; // counted in an Int32Array
/** The highest `backend_max_connections`. */
export const MAX_BACKEND_CONNECTIONS = 65_535; // an address has no more ports to connect from
const MAX_RATE = 65_535; // counted in 16 bits for each source address

/** Whether a value of a TOML document is a table. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function expected(what: string): (issue: v.BaseIssue<unknown>) => string {
  return (issue) => `expected ${what}, got ${describe(issue.input)}`;
}

/** `"a", "b" or "c"`. */
function alternatives(options: readonly string[]): string {
  const quoted = options.map((option) => quote(option));
  return [quoted.slice(0, -1).join(", "), ...quoted.slice(-1)].join(" or ");
}

const boolean = v.boolean(expected("true or false"));

function oneOf<const Options extends readonly string[]>(options: Options) {
  return v.picklist(options, expected(alternatives(options)));
}

function wholeNumber(max: number, min = 0) {
  const inRange = (value: unknown) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
  const range = `a whole number from ${min} to ${max}`;
  return v.pipe(v.custom<number>(inRange, expected(range)), v.description(range));
}

/** A string that `read` makes a value of. */
function text<T>(read: (text: string) => values.Reading<T>, what = "a string") {
  return v.pipe(
    v.string(expected(what)),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const reading = read(dataset.value);
      if (reading.kind === "ok") return reading.value;
      addIssue({ message: reading.message });
      return NEVER;
    }),
  );
}

function texts<T>(read: (text: string) => values.Reading<T>) {
  return v.array(text(read), expected("an array of strings"));
}

const duration = v.pipe(
  text(values.readDuration, 'a duration such as "10s"'),
  v.description("a duration from 1 ms to 24 h"),
);

/**
 * A table with these keys and no others.
 *
 * @param examples For each key that must be there: what to write where it is missing.
 */
function table<const Entries extends v.ObjectEntries>(
  entries: Entries,
  examples: { readonly [Key in keyof Entries]?: string } = {},
) {
  const missing = (issue: v.BaseIssue<unknown>) => {
    const key = String(issue.path?.at(-1)?.key);
    return `is missing; write for example ${key} = ${examples[key] ?? "…"}`;
  };
  const known = v.pipe(
    v.custom<Record<string, unknown>>(isTable, expected("a table")),
    v.object(entries, missing),
  );
  // The unknown keys are found in the input: v.object leaves them out, and v.strictObject reports the first one only.
  return v.lazy((input) => {
    const unknown = isTable(input) ? Object.entries(input).filter(([key]) => !Object.hasOwn(entries, key)) : [];
    if (unknown.length === 0) return known;
    const keys = Object.keys(entries);
    const refuse = v.rawCheck<v.InferOutput<typeof known>>(({ addIssue }) => {
      for (const [key, value] of unknown) {
        const message = `is not a known key here${meant(key, keys)} are ${keys.join(", ")}`;
        addIssue({ message, path: [{ type: "unknown", origin: "value", input, key, value }] });
      }
    });
    return v.pipe(known, refuse);
  });
}

/** What may have been meant by an unknown key: one of these, or one of another table; then `known`, before the list. */
function meant(key: string, keys: readonly string[]): string {
  const near = nearest(key, keys);
  if (near !== undefined) return `; did you mean ${near}? Known`;
  const table = Object.entries(TABLES).find(([, entries]) => Object.hasOwn(entries, key))?.[0];
  if (table === undefined) return "; known";
  return `, but in ${Object.hasOwn(SECTIONS, table) ? `[${table}]` : `[[${table}]]`}; known`;
}

function tables<Item extends v.GenericSchema>(item: Item, header: string) {
  return v.optional(v.array(item, expected(`an array of tables, each under ${header}`)), []);
}

const policyKeys = { type: oneOf(L7_POLICY_TYPES), value: text(values.readPolicyValue) };

/** A policy of a route. */
export const l7PolicySchema = table(policyKeys, { type: '"block_user_agent"', value: '"BadBot"' });

const routeKeys = {
  hostname: text(values.readHostnamePattern),
  backend: text(values.readBackend),
  mode: v.optional(oneOf(ROUTE_MODES), "l4"),
  send_proxy_protocol: v.optional(boolean, false),
  tls_cert: v.optional(text(values.readOptionalPath), ""),
  tls_key: v.optional(text(values.readOptionalPath), ""),
  backend_tls: v.optional(boolean, false),
  backend_protocol: v.optional(oneOf(BACKEND_PROTOCOLS), ""),
  backend_ca: v.optional(text(values.readOptionalPath), ""),
  backend_server_name: v.optional(text(values.readServerName), ""),
  backend_pins: v.optional(texts(values.readPin), []),
  backend_timeout: v.optional(duration, formatDuration(BACKEND_TIMEOUT_MS)),
  backend_max_connections: v.optional(wholeNumber(MAX_BACKEND_CONNECTIONS, 1), BACKEND_MAX_CONNECTIONS),
  allow_trace: v.optional(boolean, false),
  l7_policies: tables(l7PolicySchema, "[[listeners.routes.l7_policies]]"),
};

/** A route of a listener. */
export const routeSchema = table(routeKeys, { hostname: '"git.example.net"', backend: '"127.0.0.1:8443"' });

const listenerKeys = {
  addr: text(values.readListenAddress),
  proxy_protocol: v.optional(boolean, false),
  max_connections: v.optional(wholeNumber(MAX_CONNECTIONS), 0),
  routes: tables(routeSchema, "[[listeners.routes]]"),
};

const listenerSchema = table(listenerKeys, { addr: '":443"' });

/** The keys of every table that is there at most once: those whose scalars the environment may override. */
export const SECTIONS = {
  database: { path: text(values.readPath) },
  firewall: {
    blocked_ips: v.optional(texts(values.readBlockedIp), []),
    blocked_cidrs: v.optional(texts(values.readBlockedCidr), []),
    blocked_countries: v.optional(texts(values.readCountry), []),
    geoip_db: v.optional(text(values.readOptionalPath), ""),
    rate_limit: v.optional(wholeNumber(MAX_RATE), 0),
    rate_window: v.optional(duration, "10s"),
  },
  grpc: {
    addr: text(values.readSocketPath),
    mode: v.optional(oneOf(SOCKET_MODES), "0600"),
    group: v.optional(text(values.readGroupName), ""),
  },
  metrics: {
    addr: text(values.readListenAddress),
    path: v.optional(text(values.readUrlPath), "/metrics"),
    dashboard: v.optional(boolean, false),
    hosts: v.optional(texts(values.readHostname), []),
  },
  proxy: {
    engine: v.optional(oneOf(ENGINES), "auto"),
    workers: v.optional(wholeNumber(MAX_WORKERS), 0),
    libssl: v.optional(text(values.readOptionalPath), ""),
    tls_min_version: v.optional(oneOf(TLS_VERSIONS), "1.2"),
    tls_groups: v.optional(texts(values.readTlsGroup), []),
    tls_ciphers: v.optional(texts(values.readTlsCipher), []),
    connect_timeout: v.optional(duration, "5s"),
    hello_timeout: v.optional(duration, "10s"),
    idle_timeout: v.optional(duration, "300s"),
    shutdown_timeout: v.optional(duration, "30s"),
  },
  log: {
    level: v.optional(oneOf(LOG_LEVELS), "info"),
    format: v.optional(oneOf(LOG_FORMATS), "text"),
    access: v.optional(boolean, true),
  },
};

/** The keys of every table, by the name of the table. */
export const TABLES = {
  database: SECTIONS.database,
  listeners: listenerKeys,
  "listeners.routes": routeKeys,
  "listeners.routes.l7_policies": policyKeys,
  firewall: SECTIONS.firewall,
  grpc: SECTIONS.grpc,
  metrics: SECTIONS.metrics,
  proxy: SECTIONS.proxy,
  log: SECTIONS.log,
} as const;

/** A route's values: checked and canonical, under the file's own names. */
export type RouteDocument = v.InferOutput<typeof routeSchema>;

/** The whole file. */
export const configSchema = table({
  // Absent, it is reported as a database without a path.
  database: v.optional(table(SECTIONS.database, { path: '"/srv/mc-proxy/mc-proxy.db"' }), {}),
  listeners: tables(listenerSchema, "[[listeners]]"),
  firewall: v.optional(table(SECTIONS.firewall), {}),
  grpc: v.optional(table(SECTIONS.grpc, { addr: '"/srv/mc-proxy/mc-proxy.sock"' })),
  metrics: v.optional(table(SECTIONS.metrics, { addr: '"127.0.0.1:9090"' })),
  proxy: v.optional(table(SECTIONS.proxy), {}),
  log: v.optional(table(SECTIONS.log), {}),
});

const { blocked_ips, blocked_cidrs, blocked_countries } = SECTIONS.firewall;

/** What of the file the database holds. */
export const storedSchema = table({
  listeners: tables(listenerSchema, "[[listeners]]"),
  firewall: table({ blocked_ips, blocked_cidrs, blocked_countries }),
});

/** What of the file the database holds: checked and canonical, under the file's own names. */
export type StoredDocument = v.InferOutput<typeof storedSchema>;

/** The file's values: checked and canonical, under the file's own names. */
export type ConfigDocument = v.InferOutput<typeof configSchema>;
