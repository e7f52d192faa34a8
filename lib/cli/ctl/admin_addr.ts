/**
 * Where a configuration file has the admin API.
 *
 * @module
 */

import { parse as parseToml } from "smol-toml";
import { ConfigError, type ConfigProblem, loadConfig } from "../../control/config.ts";
import { applyEnvironment, readEnvironment } from "../../control/config_environment.ts";

/**
 * Reads `grpc.addr` of a configuration file, and passes over what is wrong elsewhere in it: who asks a running server
 * need not mend the file first.
 *
 * @param environment What overrides the file; by default the variables of this process.
 * @throws {ConfigError} If the address is not there, not sound, or the file is no TOML.
 */
export function loadAdminAddr(file: string, environment = readEnvironment()): string {
  const addr = soundAddr(file, environment);
  if (addr !== undefined) return addr;
  const message = 'is missing: the server has no admin API; add it with addr = "/srv/mc-proxy/mc-proxy.sock", ' +
    "and restart the server";
  throw new ConfigError(file, [{ path: "grpc", message }]);
}

function soundAddr(file: string, environment: Readonly<Record<string, string>>): string | undefined {
  try {
    return loadConfig(file, environment).config.grpc?.addr;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.filter(concernsAdminAddr);
    if (problems.length > 0) throw new ConfigError(file, problems, error.places);
    // It is TOML, and its `grpc` is sound.
    return (readGrpc(file, environment) as { readonly addr: string } | undefined)?.addr;
  }
}

/** Whether a problem is one of the file as a whole, or of `grpc`. */
function concernsAdminAddr({ path }: ConfigProblem): boolean {
  return path === "" || /^grpc\b|^MCPROXY_GRPC_/.test(path);
}

function readGrpc(file: string, environment: Readonly<Record<string, string>>): unknown {
  return applyEnvironment(parseToml(Deno.readTextFileSync(file)), environment).document["grpc"];
}
