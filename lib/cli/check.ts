/**
 * `mc-proxy check`: says whether the server would start with a configuration.
 *
 * @module
 */

import { checkFiles, ConfigError, formatProblem, loadConfig } from "../control/config.ts";
import { listenAddressesOf, listenConflicts } from "../control/listen_conflicts.ts";
import type { Output } from "./output.ts";
import { ignored } from "../control/ignored.ts";

/**
 * Checks a configuration and the files that it names.
 *
 * @throws {ConfigError} With every problem.
 */
export function runCheck(file: string, output: Output): void {
  const { config, warnings } = loadConfig(file);
  const files = checkFiles(config);
  for (const { path, message } of [...warnings, ...ignored(config), ...files.warnings]) {
    output.err(`${formatProblem(file, { path, message: `warning: ${message}` })}\n`);
  }
  const problems = [...files.problems, ...listenConflicts(listenAddressesOf(config))];
  if (problems.length > 0) throw new ConfigError(file, problems);
  const routes = config.listeners.reduce((sum, listener) => sum + listener.routes.length, 0);
  const message = `OK (${count(config.listeners.length, "listener")}, ${count(routes, "route")})`;
  output.out(`${formatProblem(file, { path: "", message })}\n`);
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
