/**
 * The files that a start uses: those that the configuration names, where it fills a new database, and those that the
 * database names, where there is one already.
 *
 * @module
 */

import type { CertificateReadings } from "./certificate_readings.ts";
import type { CertificateTrial } from "./certificates.ts";
import { geoipProblems, type RouteFileFindings, routeFileFindings } from "./config_files.ts";
import type { Findings } from "./config_rules.ts";
import type { Config, ConfigProblem, StoredState } from "./config_types.ts";
import { RouteFiles, type RsaKey } from "./route_files.ts";

/** What is wrong with files, by who uses them. */
export interface FileFindings extends Findings {
  readonly rsaKeys: readonly RsaKey[];
  /**
   * What is wrong with files of routes in the database; the path of each begins with the route. The server starts all the
   * same: others are served, and a file may come back.
   */
  readonly stored: Omit<RouteFileFindings, "readings">;
  /** The certificates that the server starts with, as they were found. */
  readonly readings: CertificateReadings;
}

/**
 * Looks at the files that a start with this configuration uses.
 *
 * @param state What is in the database; `undefined` where it is to be filled from the configuration.
 * @param trial What the library that is to serve with certificates makes of them.
 * @param now When certificates are to be valid.
 * @returns Among the problems, what keeps the server from starting.
 */
export function checkUsedFiles(
  config: Config,
  state: StoredState | undefined,
  trial: CertificateTrial,
  now = new Date(),
): FileFindings {
  const geoip = geoipProblems(config);
  if (state === undefined) {
    const { problems, ...found } = routeFileFindings(config, trial, now);
    return { ...found, problems: [...geoip, ...problems], stored: { problems: [], warnings: [], rsaKeys: [] } };
  }
  const files = new RouteFiles(trial, now);
  const findings: Findings = { problems: [], warnings: [] };
  for (const { addr, routes } of state.listeners) {
    for (const route of routes) files.check(route, `route ${route.hostname} on ${addr}`, findings);
  }
  const stored = { ...findings, rsaKeys: files.rsaKeys };
  const { readings } = files;
  if (state.firewall.blockedCountries.length > 0) {
    return { problems: geoip, warnings: [], rsaKeys: [], stored, readings };
  }
  const warnings = geoip.map(unused("the database blocks no country"));
  return { problems: [], warnings, rsaKeys: [], stored, readings };
}

/**
 * What is wrong with the files of a configuration's routes where the database has its own: nothing that a start would
 * mind.
 *
 * @param trial See {@linkcode checkUsedFiles}.
 * @param now The same.
 */
export function unusedRouteFiles(config: Config, trial: CertificateTrial, now = new Date()): ConfigProblem[] {
  return routeFileFindings(config, trial, now).problems.map(unused("the server goes by the routes of the database"));
}

function unused(why: string): (problem: ConfigProblem) => ConfigProblem {
  return ({ path, message }) => ({ path, message: `${message} (not used: ${why})` });
}
