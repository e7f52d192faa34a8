/**
 * `mc-proxy check`: says whether the server would start with a configuration.
 *
 * @module
 */

import { dirname } from "node:path";
import { ConfigError, formatProblem, loadConfig } from "../control/config.ts";
import { databaseProblems, groupProblems } from "../control/config_files.ts";
import type { ConfigPlaces } from "../control/config_places.ts";
import type { Config, ConfigProblem, StoredState } from "../control/config_types.ts";
import type { EngineChoice } from "../control/engine_choice.ts";
import { examineEngine } from "../control/examination.ts";
import { listenAddressesOf, listenConflicts } from "../control/listen_conflicts.ts";
import { printable } from "../control/quote.ts";
import type { RsaKey } from "../control/route_files.ts";
import { routeLoops } from "../control/route_loops.ts";
import { readStored, type Stored } from "../control/store/stored.ts";
import { StoreError } from "../control/store/store_error.ts";
import { postQuantumWarning, tlsStatus } from "../control/tls_status.ts";
import { checkUsedFiles, unusedRouteFiles } from "../control/used_files.ts";
import type { Output } from "./output.ts";
import { unservable } from "./unservable.ts";

/**
 * Checks a configuration, the library that is to speak TLS, the files that are used, and what is in the database, which
 * counts where it has been filled.
 *
 * @throws {ConfigError} With every problem.
 */
export function runCheck(file: string, output: Output): void {
  const { config, warnings, places } = loadConfig(file);
  const { engine, trial, findings } = examineEngine(config);
  const notes = [...warnings, ...findings.warnings];
  const problems = [
    ...databaseProblems(config),
    ...groupProblems(config),
    ...listenConflicts(listenAddressesOf(config)),
    ...routeLoops(config.listeners),
  ];
  const stored = look(config, problems, notes);
  const state = stored.kind === "state" ? stored.state : undefined;
  const files = checkUsedFiles(config, stored.kind === "older" ? NOTHING : state, trial);
  problems.push(...files.problems, ...state === undefined ? [] : unservable(file, config, state, false));
  if (stored.kind === "nothing" && config.listeners.length === 0) {
    problems.push({ path: "listeners", message: "there is none, in the file or the database; add at least one" });
  }
  notes.push(...files.warnings, ...stored.kind === "nothing" ? [] : unusedRouteFiles(config, trial));
  const distinct = problems.filter(({ path }, i) => problems.findIndex((other) => other.path === path) === i);
  const all = [...findings.problems, ...distinct];
  const isSound = engine !== undefined && all.length === 0;
  const tls = isSound ? aboutTls(config, state ?? config, engine) : { warnings: [], lines: [] };
  const say = (file: string, { path, message }: ConfigProblem, places?: ConfigPlaces) =>
    `${formatProblem(file, { path, message }, places)}\n`;
  const warn = (file: string, { path, message }: ConfigProblem, places?: ConfigPlaces) =>
    output.err(say(file, { path, message: `warning: ${message}` }, places), "warn");
  for (const note of [...notes, ...tls.warnings]) warn(file, note, places);
  for (const note of [...files.stored.problems, ...files.stored.warnings]) warn(config.database.path, note);
  if (!isSound) throw new ConfigError(file, all, places);
  for (const line of [...tls.lines, ...aboutKeys(files.rsaKeys)]) output.out(say(file, line, places));
  for (const line of aboutKeys(files.stored.rsaKeys)) output.out(say(config.database.path, line));
  const routes = config.listeners.reduce((sum, listener) => sum + listener.routes.length, 0);
  const message = `OK (${count(config.listeners.length, "listener")}, ${count(routes, "route")})`;
  output.out(say(file, { path: "", message }));
}

/** What L7 routes, those that are served, speak TLS with. */
function aboutTls(
  { proxy }: Config,
  { listeners }: StoredState,
  { name, tls }: EngineChoice,
): { readonly warnings: readonly ConfigProblem[]; readonly lines: readonly ConfigProblem[] } {
  if (!listeners.some(({ routes }) => routes.some(({ mode }) => mode === "l7"))) return { warnings: [], lines: [] };
  const status = tlsStatus(tls, proxy.tls);
  const warning = postQuantumWarning(status, proxy.tls);
  const library = status.path === "" ? status.library : `${status.library} (${printable(status.path)})`;
  const message = `engine ${name}, TLS ${status.minVersion} or newer by ${library}, groups ${status.groups.join(", ")}`;
  return {
    warnings: warning === undefined ? [] : [{ path: "proxy.tls_groups", message: warning }],
    lines: [{ path: "", message }],
  };
}

/** One line, however many there are. */
function aboutKeys([first, ...more]: readonly RsaKey[]): ConfigProblem[] {
  if (first === undefined) return [];
  const { path, file, kind } = first;
  const others = more.length === 0 ? "" : ` (and ${count(more.length, "route")} more)`;
  const message =
    `suggestion: ${printable(file)} is a key of ${kind.toUpperCase()}${others}; a TLS handshake with one ` +
    "of ECDSA P-256 takes about a third of the CPU";
  return [{ path, message }];
}

const NOTHING: StoredState = {
  listeners: [],
  firewall: { blockedIps: [], blockedCidrs: [], blockedCountries: [] },
};

/** What the database holds, as far as this user may look; what is wrong with it goes to `problems`. */
function look({ database: { path } }: Config, problems: ConfigProblem[], notes: ConfigProblem[]): Stored {
  if (problems.some((problem) => problem.path === "database.path")) return { kind: "nothing" };
  if (Deno.permissions.querySync({ name: "write", path: dirname(path) }).state !== "granted") {
    return { kind: "nothing" };
  }
  try {
    return readStored(path);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const report = error.reason.startsWith("permission denied") ? notes : problems;
    report.push({ path: "database.path", message: error.message });
    return { kind: "nothing" };
  }
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
