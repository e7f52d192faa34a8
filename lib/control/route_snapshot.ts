/**
 * A route as the data plane wants it.
 *
 * @module
 */

import type { RouteRows } from "../edge/route_counters.ts";
import type { HttpRoute, RouteSnapshot } from "../edge/snapshot.ts";
import { certificateName } from "./certificate_files.ts";
import type { RouteConfig } from "./config_types.ts";

/** What stands for authorities that cannot be read: nothing is trusted then, rather than what the system trusts. */
const NOBODY = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";

/**
 * Makes the snapshot of a route; the file of its backend's authorities is read.
 *
 * @param rows Where it is counted.
 */
export function routeSnapshot(route: RouteConfig, rows: RouteRows): RouteSnapshot {
  const { hostname, backend, sendProxyProtocol, mode } = route;
  return { hostname, backend, sendProxyProtocol, rows, http: mode === "l7" ? httpRoute(route) : undefined };
}

function httpRoute(route: RouteConfig): HttpRoute {
  const { backendTls, backendProtocol, backendCa, backendServerName, backendPins, l7Policies } = route;
  return {
    certificate: certificateName(route),
    backendTls,
    backendProtocol,
    backendCa: backendCa === "" ? "" : readAuthorities(backendCa),
    backendServerName,
    backendPins,
    backendTimeoutMs: route.backendTimeoutMs,
    backendMaxConnections: route.backendMaxConnections,
    allowTrace: route.allowTrace,
    policies: l7Policies,
  };
}

function readAuthorities(file: string): string {
  try {
    return Deno.readTextFileSync(file) || NOBODY;
  } catch {
    return NOBODY;
  }
}
