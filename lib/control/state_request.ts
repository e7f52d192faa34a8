/**
 * A whole state that is asked for at run time, read and checked as that of a configuration file is.
 *
 * @module
 */

import * as v from "valibot";
import { isAbsolute } from "node:path";
import type { CertificateReadings } from "./certificate_readings.ts";
import type { CertificateTrial } from "./certificates.ts";
import { problemOf, storedStateOf } from "./config.ts";
import { checkRules, type Findings } from "./config_rules.ts";
import { storedSchema } from "./config_schema.ts";
import type { ConfigProblem, StoredState } from "./config_types.ts";
import type { Plan } from "./plan.ts";
import { quote } from "./quote.ts";
import { refuse, type RouteInput } from "./requests.ts";
import { RouteFiles } from "./route_files.ts";

/** A state as a client gives it, under the names of the configuration file; nothing of it is checked. */
export interface StateInput {
  readonly listeners: readonly ListenerInput[];
  readonly firewall: {
    readonly blocked_ips: readonly string[];
    readonly blocked_cidrs: readonly string[];
    readonly blocked_countries: readonly string[];
  };
}

/** A listener as a client gives it. */
export interface ListenerInput {
  readonly addr: string;
  readonly proxy_protocol: boolean;
  readonly max_connections: number;
  readonly routes: readonly RouteInput[];
}

/** A sound state, and what of it has no effect: one line each. */
export interface StateReading {
  readonly state: StoredState;
  readonly warnings: readonly string[];
}

/** How many files are looked at in a row: then others have their turn. */
const FILES_AT_ONCE = 50;

/**
 * Reads the state of a request. The paths of what is wrong are those of the configuration file:
 * `listeners[0].routes[2].backend`.
 *
 * What a file is merely warned of is a warning here too: what a server starts with can be applied.
 *
 * @throws {Refusal} With what is wrong.
 */
export function readState(input: StateInput): StateReading {
  const problems: ConfigProblem[] = [];
  if (input.listeners.length === 0) problems.push({ path: "listeners", message: "there is none; add at least one" });
  input.listeners.forEach(({ routes }, i) =>
    routes.forEach((route, j) => {
      for (const key of ["tls_cert", "tls_key", "backend_ca"] as const) {
        if (route[key] === "" || isAbsolute(route[key])) continue;
        problems.push({
          path: `listeners[${i}].routes[${j}].${key}`,
          message: `${quote(route[key])} is no absolute path`,
        });
      }
    })
  );
  const { listeners, firewall } = input;
  // Whether there is a GeoIP file, the server knows, and not who asks.
  const rules = checkRules({ listeners, firewall: { ...firewall, geoip_db: "known to the server" } });
  const parsed = v.safeParse(storedSchema, input);
  refuse([...problems, ...(parsed.issues ?? []).map(problemOf), ...rules.problems]);
  if (!parsed.success) throw new TypeError("a schema that fails has issues");
  return { state: storedStateOf(parsed.output, "/"), warnings: linesOf(rules.warnings) };
}

/**
 * Looks at the files of the routes of `wanted` that are added or changed; what goes on as it is may have a certificate
 * that is being renewed.
 *
 * @param trial What the library that is to serve with certificates makes of them.
 * @param now When they are to be valid.
 * @returns The certificates, and what clients will not like about them: one line each.
 * @throws {Refusal} With the files that are of no use.
 */
export async function checkPlannedFiles(
  wanted: StoredState,
  { routes }: Plan,
  trial: CertificateTrial,
  now = new Date(),
): Promise<{ readonly readings: CertificateReadings; readonly warnings: readonly string[] }> {
  const planned = new Set(routes.map(({ after }) => after));
  const files = new RouteFiles(trial, now);
  const findings: Findings = { problems: [], warnings: [] };
  let looked = 0;
  for (const [i, listener] of wanted.listeners.entries()) {
    for (const [j, route] of listener.routes.entries()) {
      if (route.mode !== "l7" || !planned.has(route)) continue;
      files.check(route, `listeners[${i}].routes[${j}]`, findings);
      if (++looked % FILES_AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve));
    }
  }
  refuse(findings.problems);
  return { readings: files.readings, warnings: linesOf(findings.warnings) };
}

function linesOf(warnings: readonly ConfigProblem[]): string[] {
  return warnings.map(({ path, message }) => `${path}: ${message}`);
}
