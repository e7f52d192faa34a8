/**
 * Where a configuration file has the admin API.
 *
 * @module
 */

import * as v from "valibot";
import { ConfigError, problemOf, readText, readToml } from "./config.ts";
import { applyEnvironment, readEnvironment } from "./config_environment.ts";
import { grpcSchema } from "./config_schema.ts";

/**
 * Reads `grpc.addr` of a configuration file, and passes over all else: who asks a running server need not mend the file
 * first.
 *
 * @param environment What overrides the file; by default the variables of this process.
 * @throws {ConfigError} If it is not there, not sound, or the file is no TOML.
 */
export function loadAdminAddr(file: string, environment = readEnvironment()): string {
  const { document, variables } = applyEnvironment(readToml(readText(file), file), environment);
  if (document.grpc === undefined) {
    const message = 'is missing: the server has no admin API; add it with addr = "/srv/mc-proxy/mc-proxy.sock", ' +
      "and restart the server";
    throw new ConfigError(file, [{ path: "grpc", message }]);
  }
  const parsed = v.safeParse(grpcSchema, document.grpc);
  if (parsed.success) return parsed.output.addr;
  const problems = parsed.issues.map(problemOf).map(({ path, message }) => {
    const at = path === "" ? "grpc" : `grpc.${path}`;
    return { path: variables.get(at) ?? at, message };
  });
  throw new ConfigError(file, problems);
}
