/**
 * `mc-proxy check`: says whether the server would start with a configuration.
 *
 * @module
 */

import { type Config, ConfigError, type ConfigProblem, formatProblem, loadConfig } from "../control/config.ts";
import type { EngineChoice } from "../control/engine_choice.ts";
import { examine } from "../control/examination.ts";
import { printable } from "../control/quote.ts";
import type { RsaKey } from "../control/route_files.ts";
import { postQuantumWarning, tlsStatus } from "../control/tls_status.ts";
import type { Output } from "./output.ts";

/**
 * Checks a configuration, the library that is to speak TLS, and the files that it names.
 *
 * @throws {ConfigError} With every problem.
 */
export function runCheck(file: string, output: Output): void {
  const { config, warnings } = loadConfig(file);
  const { engine, findings } = examine(config);
  const isSound = engine !== undefined && findings.problems.length === 0;
  const tls = isSound ? aboutTls(config, engine) : { warnings: [], lines: [] };
  for (const { path, message } of [...warnings, ...findings.warnings, ...tls.warnings]) {
    output.err(`${formatProblem(file, { path, message: `warning: ${message}` })}\n`);
  }
  if (!isSound) throw new ConfigError(file, findings.problems);
  const say = (path: string, message: string) => output.out(`${formatProblem(file, { path, message })}\n`);
  for (const { path, message } of [...tls.lines, ...aboutKeys(findings.rsaKeys)]) say(path, message);
  const routes = config.listeners.reduce((sum, listener) => sum + listener.routes.length, 0);
  say("", `OK (${count(config.listeners.length, "listener")}, ${count(routes, "route")})`);
}

/** What L7 routes speak TLS with. */
function aboutTls(
  { listeners, proxy }: Config,
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

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
