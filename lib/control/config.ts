/**
 * The configuration file: read, checked as a whole, and turned into values.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import { parse as parseToml, TomlError } from "smol-toml";
import * as v from "valibot";
import { applyEnvironment, readEnvironment } from "./config_environment.ts";
import { ConfigPlaces } from "./config_places.ts";
import { checkRules } from "./config_rules.ts";
import { withoutMistakes } from "./config_salvage.ts";
import { type ConfigDocument, configSchema, type RouteDocument, type StoredDocument } from "./config_schema.ts";
import type { Config, ConfigProblem, RouteConfig, StoredState } from "./config_types.ts";
import { fileErrorReason } from "./file_access.ts";
import { printable } from "./quote.ts";
import { keyText } from "./toml_lines.ts";

export * from "./config_types.ts";

/**
 * A configuration that cannot be used. Its message has one line for each problem, see {@linkcode formatProblem}.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** The file as it was named by who asked for it. */
  readonly file: string;
  readonly problems: readonly ConfigProblem[];
  readonly places: ConfigPlaces | undefined;

  /** @param places Those of the file, where it could be read. */
  constructor(file: string, problems: readonly ConfigProblem[], places?: ConfigPlaces) {
    super(problems.map((problem) => formatProblem(file, problem, places)).join("\n"));
    this.file = file;
    this.problems = problems;
    this.places = places;
  }
}

/**
 * A problem in one line: `FILE: line LINE: PATH (NAME): MESSAGE`, without what is not known: NAME is the host name of the
 * route that the path is about, or the address of the listener.
 */
export function formatProblem(file: string, problem: ConfigProblem, places = NO_PLACES): string {
  return `${file === "" ? '""' : printable(file)}: ${places.describe(problem)}`;
}

const NO_PLACES = new ConfigPlaces("", {});

/** A sound configuration and what is notable about it. */
export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly ConfigProblem[];
  /** Where the file says what. */
  readonly places: ConfigPlaces;
}

/** Where the text of a configuration comes from. */
export interface ConfigSource {
  /** The file's path; relative paths within the text are taken from its folder. */
  readonly file: string;
  /** Environment variables, of which those that begin with `MCPROXY_` override the text; none by default. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Reads the text of a configuration file.
 *
 * @throws {ConfigError} With every problem there is, not the first only.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { config } = parseConfig('database.path = "mc-proxy.db"', { file: "/etc/mc-proxy/config.toml" });
 * assert.equal(config.database.path, "/etc/mc-proxy/mc-proxy.db");
 * assert.equal(config.proxy.connectTimeoutMs, 5000);
 * ```
 */
export function parseConfig(text: string, source: ConfigSource): LoadedConfig {
  const { config, mistakes, warnings, places } = examine(text, source);
  if (config === undefined || mistakes.length > 0) throw new ConfigError(source.file, mistakes, places);
  return { config, warnings, places };
}

/**
 * Reads a configuration file.
 *
 * @param environment What overrides it; by default the variables of this process.
 * @throws {ConfigError} With every problem there is; that the file cannot be read is one.
 */
export function loadConfig(file: string, environment = readEnvironment()): LoadedConfig {
  return parseConfig(readText(file), { file, environment });
}

/** A configuration that may have mistakes. */
export interface ExaminedConfig extends Omit<LoadedConfig, "config"> {
  /** What the file says, less its mistakes; `undefined` where nothing is left. */
  readonly config: Config | undefined;
  readonly mistakes: readonly ConfigProblem[];
  /** The paths of the mistakes, of those in environment variables too: what has no value in `config`. */
  readonly mistakenPaths: ReadonlySet<string>;
}

/**
 * Reads a configuration file as far as it is sound, for who looks for all that is wrong with it.
 *
 * @param environment See {@linkcode loadConfig}.
 * @throws {ConfigError} If the file cannot be read, or is no TOML.
 */
export function examineConfig(file: string, environment = readEnvironment()): ExaminedConfig {
  return examine(readText(file), { file, environment }, { salvage: true });
}

/** @param salvage Whether a configuration with mistakes is to be had without them. */
function examine(text: string, { file, environment = {} }: ConfigSource, { salvage = false } = {}): ExaminedConfig {
  const toml = readToml(text, file);
  const { document, variables, warnings } = applyEnvironment(toml, environment);
  const named = (problem: ConfigProblem) => ({ ...problem, path: variables.get(problem.path) ?? problem.path });
  const judged = judge(document);
  const sound = judged.problems.length === 0
    ? judged.sound
    : salvage
    ? soundPart(document, judged.problems)
    : undefined;
  return {
    config: sound && configOf(sound, dirname(file)),
    mistakes: judged.problems.map(named),
    mistakenPaths: new Set(judged.problems.map(({ path }) => path)),
    warnings: [...warnings, ...judged.warnings.map(named)],
    places: new ConfigPlaces(text, toml, variables),
  };
}

interface Judgement {
  /** What the document says, by the schema. */
  readonly sound: ConfigDocument | undefined;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

function judge(document: Readonly<Record<string, unknown>>): Judgement {
  const parsed = v.safeParse(configSchema, document);
  const { problems, warnings } = checkRules(document);
  return {
    sound: parsed.success ? parsed.output : undefined,
    problems: [...(parsed.issues ?? []).map(problemOf), ...problems],
    warnings,
  };
}

/** How often mistakes are taken out that only show when others are. */
const SALVAGES = 3;

function soundPart(
  document: Readonly<Record<string, unknown>>,
  problems: readonly ConfigProblem[],
): ConfigDocument | undefined {
  let rest = document;
  let found = problems;
  for (let i = 0; i < SALVAGES; i++) {
    rest = withoutMistakes(rest, found);
    const judged = judge(rest);
    if (judged.problems.length === 0) return judged.sound;
    found = judged.problems;
  }
  return undefined;
}

function readText(file: string): string {
  let octets: Uint8Array;
  try {
    octets = Deno.readFileSync(file);
  } catch (error) {
    throw new ConfigError(file, [{ path: "", message: fileErrorReason(error) }]);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(octets);
  } catch {
    throw new ConfigError(file, [{ path: "", message: "is not UTF-8 text" }]);
  }
}

function readToml(text: string, file: string): Readonly<Record<string, unknown>> {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The lines after the first are an excerpt of the file.
    const reason = error.message.replace("Invalid TOML document: ", "").split("\n", 1).join();
    const message = `line ${error.line}, column ${error.column}: not valid TOML: ${printable(reason)}`;
    throw new ConfigError(file, [{ path: "", message }]);
  }
}

/** Where in the document an issue of the schema is, and what it says. */
export function problemOf(issue: v.BaseIssue<unknown>): ConfigProblem {
  let path = "";
  for (const { key } of issue.path ?? []) {
    if (typeof key === "number") path += `[${key}]`;
    else path += (path === "" ? "" : ".") + keyText(String(key));
  }
  return { path, message: issue.message };
}

function configOf(document: ConfigDocument, folder: string): Config {
  const { database, firewall, grpc, metrics, proxy, log } = document;
  const pathOf = (path: string) => absolute(path, folder);
  const stored = storedStateOf(document, folder);
  return {
    database: { path: pathOf(database.path) },
    listeners: stored.listeners,
    firewall: {
      ...stored.firewall,
      geoipDb: pathOf(firewall.geoip_db) || undefined,
      rateLimit: firewall.rate_limit,
      rateWindowMs: firewall.rate_window,
    },
    grpc,
    metrics,
    proxy: {
      engine: proxy.engine,
      workers: proxy.workers,
      tls: {
        libssl: pathOf(proxy.libssl),
        minVersion: proxy.tls_min_version,
        groups: proxy.tls_groups,
        ciphers: proxy.tls_ciphers,
      },
      connectTimeoutMs: proxy.connect_timeout,
      helloTimeoutMs: proxy.hello_timeout,
      idleTimeoutMs: proxy.idle_timeout,
      shutdownTimeoutMs: proxy.shutdown_timeout,
    },
    log,
  };
}

/** What the database holds, as the program knows it; the paths of routes are relative to `folder`. */
export function storedStateOf({ listeners, firewall }: StoredDocument, folder: string): StoredState {
  return {
    listeners: listeners.map(({ addr, proxy_protocol, max_connections, routes }) => ({
      addr,
      proxyProtocol: proxy_protocol,
      maxConnections: max_connections,
      routes: routes.map((route) => routeConfigOf(route, folder)),
    })),
    firewall: {
      blockedIps: distinct(firewall.blocked_ips),
      blockedCidrs: distinct(firewall.blocked_cidrs),
      blockedCountries: distinct(firewall.blocked_countries),
    },
  };
}

/** A route as the program knows it; its paths are relative to `folder`. */
export function routeConfigOf(route: RouteDocument, folder: string): RouteConfig {
  return {
    hostname: route.hostname,
    backend: route.backend,
    mode: route.mode,
    sendProxyProtocol: route.send_proxy_protocol,
    tlsCert: absolute(route.tls_cert, folder),
    tlsKey: absolute(route.tls_key, folder),
    backendTls: route.backend_tls,
    backendProtocol: route.backend_protocol,
    backendCa: absolute(route.backend_ca, folder),
    backendServerName: route.backend_server_name,
    backendPins: route.backend_pins,
    backendTimeoutMs: route.backend_timeout,
    backendMaxConnections: route.backend_max_connections,
    allowTrace: route.allow_trace,
    l7Policies: route.l7_policies.map(({ type, value }) => ({ type, value })),
  };
}

function absolute(path: string, folder: string): string {
  return path === "" ? "" : resolve(folder, path);
}

function distinct(values: readonly string[]): readonly string[] {
  return [...new Set(values)];
}
