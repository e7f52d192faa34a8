/**
 * `mc-proxy check`: says whether the server would start with a configuration.
 *
 * @module
 */

import { dirname } from "node:path";
import { ConfigError, formatProblem, loadConfig } from "../control/config.ts";
import { databaseProblems } from "../control/config_files.ts";
import type { ConfigPlaces } from "../control/config_places.ts";
import type { Config, ConfigProblem, StoredState } from "../control/config_types.ts";
import { listenAddressesOf, listenConflicts } from "../control/listen_conflicts.ts";
import { readStored, type Stored } from "../control/store/stored.ts";
import { StoreError } from "../control/store/store_error.ts";
import { checkUsedFiles, unusedRouteFiles } from "../control/used_files.ts";
import type { Output } from "./output.ts";
import { unservable } from "./unservable.ts";
import { ignored } from "../control/ignored.ts";
import { routeLoops } from "../control/route_loops.ts";

/**
 * Checks a configuration, the files that it names, and what is in its database, which counts where it has been filled.
 *
 * @throws {ConfigError} With every problem.
 */
export function runCheck(file: string, output: Output): void {
  const { config, warnings, places } = loadConfig(file);
  const notes = [...warnings, ...ignored(config)];
  const problems = [
    ...databaseProblems(config),
    ...listenConflicts(listenAddressesOf(config)),
    ...routeLoops(config.listeners),
  ];
  const stored = look(config, problems, notes);
  const state = stored.kind === "state" ? stored.state : undefined;
  const files = checkUsedFiles(config, stored.kind === "older" ? NOTHING : state);
  problems.push(...files.problems, ...state === undefined ? [] : unservable(file, config, state, false));
  if (stored.kind === "nothing" && config.listeners.length === 0) {
    problems.push({ path: "listeners", message: "there is none, in the file or the database; add at least one" });
  }
  notes.push(...files.warnings, ...stored.kind === "nothing" ? [] : unusedRouteFiles(config));
  const distinct = problems.filter(({ path }, i) => problems.findIndex((other) => other.path === path) === i);
  const warn = (file: string, { path, message }: ConfigProblem, places?: ConfigPlaces) =>
    output.err(`${formatProblem(file, { path, message: `warning: ${message}` }, places)}\n`);
  for (const note of notes) warn(file, note, places);
  for (const note of [...files.stored.problems, ...files.stored.warnings]) warn(config.database.path, note);
  if (distinct.length > 0) throw new ConfigError(file, distinct, places);
  const routes = config.listeners.reduce((sum, listener) => sum + listener.routes.length, 0);
  const message = `OK (${count(config.listeners.length, "listener")}, ${count(routes, "route")})`;
  output.out(`${formatProblem(file, { path: "", message })}\n`);
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
