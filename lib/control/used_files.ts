/**
 * The files that a start uses: those that the configuration names, where it fills a new database, and those that the
 * database names, where there is one already.
 *
 * @module
 */

import { geoipProblems, routeFileFindings } from "./config_files.ts";
import type { Findings } from "./config_rules.ts";
import type { Config, ConfigProblem, StoredState } from "./config_types.ts";
import { RouteFiles } from "./route_files.ts";

/** What is wrong with files, by who uses them. */
export interface FileFindings extends Findings {
  /**
   * What is wrong with files of routes in the database; the path of each begins with the route. The server starts all the
   * same: others are served, and a file may come back.
   */
  readonly stored: Findings;
}

/**
 * Looks at the files that a start with this configuration uses.
 *
 * @param state What is in the database; `undefined` where it is to be filled from the configuration.
 * @param now When certificates are to be valid.
 * @returns Among the problems, what keeps the server from starting.
 */
export function checkUsedFiles(config: Config, state: StoredState | undefined, now = new Date()): FileFindings {
  const stored: Findings = { problems: [], warnings: [] };
  const geoip = geoipProblems(config);
  if (state === undefined) {
    const { problems, warnings } = routeFileFindings(config, now);
    return { problems: [...geoip, ...problems], warnings, stored };
  }
  const files = new RouteFiles(now);
  for (const { addr, routes } of state.listeners) {
    for (const route of routes) files.check(route, `route ${route.hostname} on ${addr}`, stored);
  }
  if (state.firewall.blockedCountries.length > 0) return { problems: geoip, warnings: [], stored };
  return { problems: [], warnings: geoip.map(unused("the database blocks no country")), stored };
}

/**
 * What is wrong with the files of a configuration's routes where the database has its own: nothing that a start would
 * mind.
 */
export function unusedRouteFiles(config: Config, now = new Date()): ConfigProblem[] {
  return routeFileFindings(config, now).problems.map(unused("the server goes by the routes of the database"));
}

function unused(why: string): (problem: ConfigProblem) => ConfigProblem {
  return ({ path, message }) => ({ path, message: `${message} (not used: ${why})` });
}
