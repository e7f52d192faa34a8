/**
 * `mc-proxy check`: says whether the server would start with a configuration.
 *
 * @module
 */

import { dirname } from "node:path";
import { ConfigError, examineConfig, type ExaminedConfig, formatProblem } from "../control/config.ts";
import { databaseProblems, groupProblems } from "../control/config_files.ts";
import type { ConfigPlaces } from "../control/config_places.ts";
import type { Config, ConfigProblem, StoredState } from "../control/config_types.ts";
import type { EngineChoice } from "../control/engine_choice.ts";
import { examineEngine } from "../control/examination.ts";
import { listenAddressesOf, listenConflicts } from "../control/listen_conflicts.ts";
import { countsOf, planOf } from "../control/plan.ts";
import { printable } from "../control/quote.ts";
import type { RsaKey } from "../control/route_files.ts";
import { routeLoops } from "../control/route_loops.ts";
import { readStored, type Stored } from "../control/store/stored.ts";
import { StoreError } from "../control/store/store_error.ts";
import { postQuantumWarning, tlsStatus } from "../control/tls_status.ts";
import { checkUsedFiles, type FileFindings, unusedRouteFiles } from "../control/used_files.ts";
import type { Output } from "./output.ts";
import { shellWord } from "./shell_word.ts";
import { offlineApply, unservable } from "./unservable.ts";

/**
 * Checks a configuration, the library that is to speak TLS, the files that are used, and what is in the database, which
 * counts where it has been filled. Of a file with mistakes, all that is sound is looked at the same.
 *
 * @throws {ConfigError} With every problem.
 */
export function runCheck(file: string, output: Output): void {
  const examined = examineConfig(file);
  const { config, mistakes, places } = examined;
  if (config === undefined) throw new ConfigError(file, mistakes, places);
  const found = find(file, config, examined);
  const { engine, state, files } = found;
  const problems = distinct([...mistakes, ...found.problems]);
  const isSound = engine !== undefined && problems.length === 0;
  const tls = isSound ? aboutTls(config, state ?? config, engine) : { warnings: [], lines: [] };
  const say = (file: string, { path, message }: ConfigProblem, places?: ConfigPlaces) =>
    `${formatProblem(file, { path, message }, places)}\n`;
  const warn = (file: string, { path, message }: ConfigProblem, places?: ConfigPlaces) =>
    output.err(say(file, { path, message: `warning: ${message}` }, places), "warn");
  const differing = isSound && state !== undefined ? differences(file, config, state) : [];
  for (const note of [...found.notes, ...tls.warnings, ...differing]) warn(file, note, places);
  for (const note of [...files.stored.problems, ...files.stored.warnings]) warn(config.database.path, note);
  if (!isSound) throw new ConfigError(file, problems, places);
  for (const line of [...tls.lines, ...aboutKeys(files.rsaKeys)]) output.out(say(file, line, places));
  for (const line of aboutKeys(files.stored.rsaKeys)) output.out(say(config.database.path, line));
  const routes = config.listeners.reduce((sum, listener) => sum + listener.routes.length, 0);
  const message = `OK (${count(config.listeners.length, "listener")}, ${count(routes, "route")})`;
  output.out(say(file, { path: "", message }));
}

/** What there is to say of a configuration. */
interface Findings {
  readonly engine: EngineChoice | undefined;
  /** What the database holds, where there is one that can be read. */
  readonly state: StoredState | undefined;
  readonly files: FileFindings;
  /** What keeps a server from starting. */
  readonly problems: readonly ConfigProblem[];
  /** What does not, and should be known. */
  readonly notes: readonly ConfigProblem[];
}

/** Looks for all that the schema does not see. What depends on values that are mistaken is left out. */
function find(file: string, config: Config, { mistakes, mistakenPaths, warnings }: ExaminedConfig): Findings {
  const isWhole = mistakes.length === 0;
  const hasDatabase = !mistakenPaths.has("database") && !mistakenPaths.has("database.path");
  const { engine, trial, findings } = examineEngine(config);
  const notes = [...warnings, ...findings.warnings];
  const problems = [...hasDatabase ? databaseProblems(config) : [], ...groupProblems(config)];
  if (isWhole) problems.push(...listenConflicts(listenAddressesOf(config)), ...routeLoops(config.listeners));
  const stored = hasDatabase ? look(config, problems, notes) : UNSEEN;
  const state = stored.kind === "state" ? stored.state : undefined;
  const files = checkUsedFiles(config, stored.kind === "older" ? NOTHING : state, trial);
  problems.push(...files.problems);
  if (isWhole && state !== undefined) problems.push(...unservable(file, config, state, false));
  if (stored.kind === "nothing" && hasNoListeners(config, mistakenPaths)) {
    problems.push({ path: "listeners", message: "there is none, in the file or the database; add at least one" });
  }
  notes.push(...files.warnings, ...stored.kind === "nothing" ? [] : unusedRouteFiles(config, trial));
  return { engine, state, files, problems: [...findings.problems, ...distinct(problems)], notes };
}

function hasNoListeners({ listeners }: Config, mistakenPaths: ReadonlySet<string>): boolean {
  return listeners.length === 0 && ![...mistakenPaths].some((path) => path.startsWith("listeners"));
}

/** One problem for each path: the first. */
function distinct(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const paths = new Set<string>();
  return problems.filter(({ path }) => !paths.has(path) && paths.add(path));
}

/** That the file says other than the database, which counts: one line, and none where they are the same. */
function differences(file: string, config: Config, state: StoredState): ConfigProblem[] {
  const { added, changed, removed } = countsOf(planOf(state, config));
  if (added + changed + removed === 0) return [];
  const named = shellWord(file);
  const diff = config.grpc === undefined ? "" : `"mc-proxy ctl diff ${named}" or, while no server runs, `;
  const message =
    `the database ${printable(config.database.path)} has other listeners, routes or firewall rules, and ` +
    `those are used; the file has ${added} more, ${removed} fewer and ${changed} that differ: ${diff}` +
    `"${offlineApply(file, "--prune", "--dry-run")}" shows them`;
  return [{ path: "", message }];
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

/** What is known of a database that cannot be looked at. */
const UNSEEN: Stored = { kind: "nothing", remains: undefined };

const NOTHING: StoredState = {
  listeners: [],
  firewall: { blockedIps: [], blockedCidrs: [], blockedCountries: [] },
};

/** What the database holds, as far as this user may look; what is wrong with it goes to `problems`. */
function look({ database: { path } }: Config, problems: ConfigProblem[], notes: ConfigProblem[]): Stored {
  if (problems.some((problem) => problem.path === "database.path")) return UNSEEN;
  if (Deno.permissions.querySync({ name: "write", path: dirname(path) }).state !== "granted") return UNSEEN;
  try {
    const stored = readStored(path);
    if (stored.kind === "nothing" && stored.remains !== undefined) notes.push(removed(path, stored.remains));
    return stored;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const report = error.reason.startsWith("permission denied") ? notes : problems;
    report.push({ path: "database.path", message: error.message });
    return UNSEEN;
  }
}

function removed(path: string, remains: string): ConfigProblem {
  const message = `${printable(path)}: is missing or empty, though ${printable(remains)} says that a server had one; ` +
    "put it back, or a snapshot of it: a start without it makes a new one from the file";
  return { path: "database.path", message };
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
