/**
 * `MCPROXY_<SECTION>_<KEY>` environment variables, which override the file's scalars.
 *
 * @module
 */

import type * as v from "valibot";
import { isTable, type SECTIONS } from "./config_schema.ts";
import type { ConfigProblem } from "./config_types.ts";
import { nearest } from "./nearest.ts";

const PREFIX = "MCPROXY_";

type Sections = typeof SECTIONS;
type KindOf<Schema extends v.GenericSchema> = NonNullable<v.InferInput<Schema>> extends number ? "number"
  : NonNullable<v.InferInput<Schema>> extends string ? "string"
  : NonNullable<v.InferInput<Schema>> extends boolean ? "boolean"
  : "array";

/** What a variable's text becomes before it is checked as the file's value would be. */
const KINDS: {
  readonly [S in keyof Sections]: {
    readonly [K in keyof Sections[S]]: Sections[S][K] extends v.GenericSchema ? KindOf<Sections[S][K]> : never;
  };
} = {
  database: { path: "string" },
  firewall: {
    blocked_ips: "array",
    blocked_cidrs: "array",
    blocked_countries: "array",
    geoip_db: "string",
    rate_limit: "number",
    rate_window: "string",
  },
  grpc: { addr: "string", mode: "string", group: "string" },
  metrics: { addr: "string", path: "string", dashboard: "boolean", hosts: "array" },
  proxy: {
    engine: "string",
    workers: "number",
    libssl: "string",
    tls_min_version: "string",
    tls_groups: "array",
    tls_ciphers: "array",
    connect_timeout: "string",
    hello_timeout: "string",
    idle_timeout: "string",
    shutdown_timeout: "string",
  },
  log: { level: "string", format: "string", access: "boolean" },
};

interface Variable {
  readonly section: string;
  readonly key: string;
  readonly kind: "string" | "number" | "boolean" | "array";
}

const VARIABLES: ReadonlyMap<string, Variable> = new Map(
  Object.entries(KINDS).flatMap(([section, keys]) =>
    Object.entries(keys).map(([key, kind]) => [`${PREFIX}${section}_${key}`.toUpperCase(), { section, key, kind }])
  ),
);

/** The variable that overrides a key; `undefined` where none does. */
export function variableOf(section: string, key: string): string | undefined {
  const name = `${PREFIX}${section}_${key}`.toUpperCase();
  const variable = VARIABLES.get(name);
  return variable === undefined || variable.kind === "array" ? undefined : name;
}

/** A document with the environment's values in it. */
export interface Overridden {
  readonly document: Readonly<Record<string, unknown>>;
  /** The variable behind each overridden path: `proxy.workers` -> `MCPROXY_PROXY_WORKERS`. */
  readonly variables: ReadonlyMap<string, string>;
  readonly warnings: readonly ConfigProblem[];
}

/**
 * Puts the environment's values into a parsed TOML document, of which nothing is changed in place.
 *
 * A variable that is not known, or names an array, is a warning and no more: container platforms inject variables of
 * their own under the name of a service (`MCPROXY_SERVICE_HOST`).
 */
export function applyEnvironment(
  document: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string>>,
): Overridden {
  const result: Record<string, unknown> = { ...document };
  const variables = new Map<string, string>();
  const warnings: ConfigProblem[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX)) continue;
    const variable = VARIABLES.get(name);
    if (variable === undefined || variable.kind === "array") {
      const near = nearest(name.slice(PREFIX.length), [...VARIABLES.keys()].map((each) => each.slice(PREFIX.length)));
      const message = variable
        ? "is ignored: an array is set in the file only"
        : `is ignored: no key has this variable${near === undefined ? "" : `; did you mean ${PREFIX}${near}?`}`;
      warnings.push({ path: name, message });
      continue;
    }
    const { section, key, kind } = variable;
    const table = result[section] ?? {};
    if (!isTable(table)) continue; // the schema reports it
    result[section] = { ...table, [key]: valueOf(kind, text) };
    variables.set(`${section}.${key}`, name);
  }
  return { document: result, variables, warnings };
}

/** What is no number, or neither true nor false, stays text, so that the schema's message quotes it. */
function valueOf(kind: Variable["kind"], text: string): string | number | boolean {
  if (kind === "number" && /^-?\d{1,15}(?:\.\d+)?$/.test(text)) return Number(text);
  if (kind === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}

/**
 * The `MCPROXY_` variables of this process.
 *
 * Where the program may read only some variables, those of the known names among them.
 */
export function readEnvironment(): Record<string, string> {
  const everything = Deno.permissions.querySync({ name: "env" }).state === "granted";
  const found = everything ? Object.entries(Deno.env.toObject()) : [...VARIABLES.keys()].map((name) => {
    const readable = Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
    return [name, readable ? Deno.env.get(name) : undefined] as const;
  });
  const environment: Record<string, string> = {};
  for (const [name, text] of found) if (name.startsWith(PREFIX) && text !== undefined) environment[name] = text;
  return environment;
}
