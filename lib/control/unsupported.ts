/**
 * What a configuration may say, but this version does not do.
 *
 * @module
 */

import type { Config, ConfigProblem, RouteConfig, StoredState } from "./config_types.ts";

const NO_L7 = '"l7" is not available in this version; use "l4"';

/** What in a file keeps the server from starting; the paths are the file's. */
export function unsupported({ listeners }: Pick<Config, "listeners">): ConfigProblem[] {
  return listeners.flatMap(({ routes }, i) =>
    routes.flatMap((route, j) => unsupportedRoute(route, `listeners[${i}].routes[${j}]`))
  );
}

/** What of a route is not served; its own path is `at`. */
export function unsupportedRoute({ mode }: Pick<RouteConfig, "mode">, at: string): ConfigProblem[] {
  return mode === "l7" ? [{ path: `${at}.mode`, message: NO_L7 }] : [];
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
export function ignored({ metrics, proxy }: Pick<Config, "metrics" | "proxy">): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (metrics !== undefined) problems.push({ path: "metrics", message: "is ignored: not available in this version" });
  if (proxy.workers > 1 && proxy.engine === "portable") {
    problems.push({ path: "proxy.workers", message: "is ignored: the portable engine has one thread" });
  }
  return problems;
}
