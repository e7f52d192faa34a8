/**
 * The files that a configuration names.
 *
 * @module
 */

import { GeoIp, GeoIpError } from "../rules/geoip.ts";
import type { CertificateReadings } from "./certificate_readings.ts";
import type { CertificateTrial } from "./certificates.ts";
import type { Findings } from "./config_rules.ts";
import type { Config, ConfigProblem } from "./config_types.ts";
import { brokenLink, fileErrorReason, fileExists, notAFile } from "./file_access.ts";
import { readGroup } from "./group.ts";
import { printable } from "./quote.ts";
import { RouteFiles, type RsaKey } from "./route_files.ts";
import { folderProblem, NO_SQLITE } from "./store/store_error.ts";

/** The first 16 octets of every SQLite file (sqlite.org/fileformat.html §1.3.1). */
const SQLITE_MAGIC = "SQLite format 3\0";

/** What was found of files of L7 routes. */
export interface RouteFileFindings extends Findings {
  readonly rsaKeys: readonly RsaKey[];
  /** The certificates, as they were found. */
  readonly readings: CertificateReadings;
}

/** Whether the database is one, or can be made. */
export function databaseProblems({ database }: Config): ConfigProblem[] {
  const message = databaseProblem(database.path);
  return message === undefined ? [] : [{ path: "database.path", message }];
}

/** Whether there is the group that the admin socket is to have. */
export function groupProblems({ grpc }: Pick<Config, "grpc">): ConfigProblem[] {
  if (grpc === undefined || grpc.group === "") return [];
  const reading = readGroup(grpc.group);
  return reading.kind === "ok" ? [] : [{ path: "grpc.group", message: reading.message }];
}

/** Whether the GeoIP file, where there is to be one, is sound. */
export function geoipProblems({ firewall: { geoipDb } }: Config): ConfigProblem[] {
  const message = geoipDb === undefined ? undefined : geoipProblem(geoipDb);
  return message === undefined ? [] : [{ path: "firewall.geoip_db", message }];
}

/**
 * Looks at the files of L7 routes: that certificates and keys are sound and go together. Nothing is written or locked.
 *
 * @param trial What the library that is to serve with certificates makes of them.
 * @param now When they are to be valid.
 * @returns What is wrong, and what clients will not like about certificates.
 */
export function routeFileFindings({ listeners }: Config, trial: CertificateTrial, now: Date): RouteFileFindings {
  const findings: Findings = { problems: [], warnings: [] };
  const files = new RouteFiles(trial, now);
  listeners.forEach(({ routes }, i) =>
    routes.forEach((route, j) => files.check(route, `listeners[${i}].routes[${j}]`, findings))
  );
  return { ...findings, rsaKeys: files.rsaKeys, readings: files.readings };
}

function databaseProblem(path: string): string | undefined {
  try {
    if (!fileExists(path)) {
      const problem = folderProblem(path) ?? brokenLink(path);
      return problem === undefined ? undefined : `${printable(path)}: ${problem}`;
    }
  } catch (error) {
    return `${printable(path)}: ${fileErrorReason(error)}`;
  }
  return fileProblem(path, (file) => {
    const start = new Uint8Array(SQLITE_MAGIC.length);
    const length = file.readSync(start);
    if (length === null || new TextDecoder().decode(start) === SQLITE_MAGIC) return undefined; // empty counts as new
    return NO_SQLITE;
  });
}

function geoipProblem(path: string): string | undefined {
  return fileProblem(path, () => {
    try {
      GeoIp.open(Deno.readFileSync(path));
      return undefined;
    } catch (error) {
      if (error instanceof GeoIpError) return error.message;
      throw error;
    }
  });
}

/** Opens a file for reading and has `look` judge it. */
function fileProblem(path: string, look: (file: Deno.FsFile) => string | undefined | void): string | undefined {
  let reason: string | undefined | void;
  try {
    reason = notAFile(path);
    if (reason === undefined) {
      using file = Deno.openSync(path);
      reason = look(file);
    }
  } catch (error) {
    reason = fileErrorReason(error);
  }
  return reason ? `${printable(path)}: ${reason}` : undefined;
}
