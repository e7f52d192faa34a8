/**
 * What keeps the state of a database from being served with a configuration.
 *
 * @module
 */

import type { Config, ConfigProblem, StoredState } from "../control/config_types.ts";
import { listenConflicts } from "../control/listen_conflicts.ts";
import { printable } from "../control/quote.ts";
import { shellWord } from "./shell_word.ts";

/**
 * Says what a start would refuse of a state, beside files.
 *
 * @param file That of the configuration.
 * @param isSeed Whether the state is the configuration's own, for a database that is new.
 */
export function unservable(file: string, config: Config, state: StoredState, isSeed: boolean): ConfigProblem[] {
  const { firewall, metrics } = config;
  const database = `the database ${printable(config.database.path)}`;
  const problems: ConfigProblem[] = [];
  if (state.listeners.length === 0) {
    const message = isSeed || config.listeners.length === 0
      ? "there is none, in the file or the database; add at least one"
      : `those of the file are not used, and ${database} has none; run ${offlineApply(file)}`;
    problems.push({ path: "listeners", message });
  }
  if (state.firewall.blockedCountries.length > 0 && firewall.geoipDb === undefined) {
    const message = `is missing: ${database} blocks countries; set it, or remove the countries from the file and run ` +
      offlineApply(file, "--prune");
    problems.push({ path: "firewall.geoip_db", message });
  }
  if (metrics !== undefined) {
    const path = isSeed ? "the listeners" : database;
    const addresses = [...state.listeners.map(({ addr }) => ({ addr, path })), {
      addr: metrics.addr,
      path: "metrics.addr",
    }];
    problems.push(...listenConflicts(addresses).filter((problem) => problem.path === "metrics.addr"));
  }
  return problems;
}

/** The command with which the database of a server that does not run is made to follow a file. */
export function offlineApply(file: string, ...options: readonly string[]): string {
  return ["mc-proxy apply -c", shellWord(file), ...options].join(" ");
}
