/**
 * Having the database follow a file while no server runs: the way back where what is stored keeps one from starting.
 *
 * @module
 */

import { listenProblem } from "../edge/listen.ts";
import type { Applied, ApplyOptions } from "./administration.ts";
import { ConfigError, type LoadedConfig } from "./config.ts";
import type { ConfigProblem, StoredState } from "./config_types.ts";
import { examineEngine } from "./examination.ts";
import { fileExists } from "./file_access.ts";
import { bindingOf, conflictsOf, listenAddressesOf, listenConflicts } from "./listen_conflicts.ts";
import { type Plan, planOf, sizeOf, withoutRemovals } from "./plan.ts";
import { quote } from "./quote.ts";
import { Refusal } from "./refusal.ts";
import { routeLoops } from "./route_loops.ts";
import { checkPlannedFiles } from "./state_request.ts";
import { ServerLock } from "./store/lock.ts";
import { Store } from "./store/store.ts";
import { StoreError, withStoreErrors } from "./store/store_error.ts";

const SERVED = 'is served by another mc-proxy; let that one make the change ("mc-proxy ctl apply"), or stop it';

const NOTHING: StoredState = {
  listeners: [],
  firewall: { blockedIps: [], blockedCidrs: [], blockedCountries: [] },
};

/** What is done, as at run time; listeners open and close with the next start, so none is pending. */
export type OfflineApplied = Pick<Applied, "plan" | "kept" | "warnings">;

/** A configuration, and where it stands. */
export interface ConfigFile extends Pick<LoadedConfig, "config" | "places"> {
  readonly file: string;
}

/**
 * Makes the database of a stopped server that of a configuration, all of it or nothing.
 * @throws {ConfigError} If a server could not serve the outcome.
 * @throws {StoreError} If a server runs on the database, or there is none, or it fails.
 */
export async function applyOffline(source: ConfigFile, { prune, dryRun }: ApplyOptions): Promise<OfflineApplied> {
  const { config } = source;
  const { path } = config.database;
  const exists = withStoreErrors(path, () => fileExists(path));
  if (!exists) throw new StoreError(path, "does not exist; the server makes it from the file when it first starts");
  const lock = ServerLock.take(path, SERVED);
  try {
    const store = Store.open(path, { claim: () => lock.claim() });
    try {
      const { state: before, seeded } = store.prepare(NOTHING);
      if (seeded) throw new StoreError(path, "is empty; the server fills it from the file when it first starts");
      const all = planOf(before, config);
      const made = prune ? { plan: all, kept: 0 } : withoutRemovals(all);
      const { plan } = made;
      const warnings = await check(source, plan, before, prune);
      if (!dryRun && sizeOf(plan) > 0) {
        store.amend(plan);
        store.commit();
      }
      return { ...made, warnings };
    } finally {
      store.discard(); // what is committed stays
    }
  } finally {
    lock.discard();
  }
}

/**
 * @returns What may not be meant: one line each.
 * @throws {ConfigError} If a server could not serve the outcome.
 */
async function check(
  { file, config, places }: ConfigFile,
  plan: Plan,
  before: StoredState,
  prune: boolean,
): Promise<string[]> {
  const { listeners, firewall } = config;
  const { trial, findings } = examineEngine(config);
  const stays = prune ? NOTHING : before;
  const problems: ConfigProblem[] = [
    ...findings.problems,
    ...listenConflicts(listenAddressesOf(config)),
    ...conflictsOf({ listeners: config.listeners }, { stored: stays.listeners, metrics: undefined }),
    ...routeLoops(config.listeners),
  ].filter(({ path }, i, all) => all.findIndex((other) => other.path === path) === i);
  if (listeners.length === 0) problems.push({ path: "listeners", message: "there is none; add at least one" });
  const [country] = stays.firewall.blockedCountries;
  if (country !== undefined && firewall.geoipDb === undefined) {
    const message = `is missing: the database blocks ${quote(country)}, which stays without --prune`;
    problems.push({ path: "firewall.geoip_db", message });
  }
  if (problems.length > 0) throw new ConfigError(file, problems, places);
  const added = new Set(plan.listeners.filter(({ before }) => before === undefined).map(({ after }) => after?.addr));
  const closed = listeners.flatMap(({ addr }, i) => {
    if (!added.has(addr)) return [];
    const { hostname, port } = bindingOf(addr);
    const problem = listenProblem(addr, hostname, port);
    return problem === undefined ? [] : [`listeners[${i}].addr: ${problem}`];
  });
  try {
    return [...(await checkPlannedFiles(config, plan, trial)).warnings, ...closed];
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const found = error.violations.map(({ field, description }) => ({ path: field, message: description }));
    throw new ConfigError(file, found, places);
  }
}
