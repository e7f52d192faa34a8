/**
 * What a configuration may say, but this version does not do.
 *
 * @module
 */

import type { Config, ConfigProblem, StoredState } from "../control/config_types.ts";

const NO_L7 = '"l7" is not available in this version; use "l4"';

/** What in a file keeps the server from starting; the paths are the file's. */
export function unsupported({ listeners }: Pick<Config, "listeners">): ConfigProblem[] {
  return listeners.flatMap(({ routes }, i) =>
    routes.flatMap(({ mode }, j) =>
      mode === "l7" ? [{ path: `listeners[${i}].routes[${j}].mode`, message: NO_L7 }] : []
    )
  );
}

/** What in a database keeps the server from starting; the paths name the route. */
export function unsupportedState({ listeners }: Pick<StoredState, "listeners">): ConfigProblem[] {
  return listeners.flatMap(({ addr, routes }) =>
    routes.flatMap(({ hostname, mode }) =>
      mode === "l7" ? [{ path: `route ${hostname} on ${addr}`, message: `mode ${NO_L7}` }] : []
    )
  );
}

/** What in a file the server passes over. */
export function ignored({ grpc, metrics, proxy }: Pick<Config, "grpc" | "metrics" | "proxy">): ConfigProblem[] {
  const message = "is ignored: not available in this version";
  const problems = Object.entries({ grpc, metrics }).flatMap(([path, section]) => section ? [{ path, message }] : []);
  if (proxy.workers > 1 && proxy.engine === "portable") {
    problems.push({ path: "proxy.workers", message: "is ignored: the portable engine has one thread" });
  }
  return problems;
}
