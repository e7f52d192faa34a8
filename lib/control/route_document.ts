/**
 * A route under the names of the configuration file.
 *
 * @module
 */

import { formatDuration } from "./config_duration.ts";
import type { RouteDocument } from "./config_schema.ts";
import { BACKEND_MAX_CONNECTIONS, BACKEND_TIMEOUT_MS, type RouteConfig } from "./config_types.ts";

/** What a file says of a route, a duration as text. */
export type WrittenRoute = Omit<RouteDocument, "backend_timeout"> & { readonly backend_timeout: string };

/** What a route is, where a file says no more than its host name and its backend. */
export const ROUTE_DEFAULTS: Omit<RouteConfig, "hostname" | "backend"> = {
  mode: "l4",
  sendProxyProtocol: false,
  tlsCert: "",
  tlsKey: "",
  backendTls: false,
  backendProtocol: "",
  backendCa: "",
  backendServerName: "",
  backendPins: [],
  backendTimeoutMs: BACKEND_TIMEOUT_MS,
  backendMaxConnections: BACKEND_MAX_CONNECTIONS,
  allowTrace: false,
  l7Policies: [],
};

/** What a file says of a route, every key of it. */
export function routeDocumentOf(route: RouteConfig): WrittenRoute {
  return {
    hostname: route.hostname,
    backend: route.backend,
    mode: route.mode,
    send_proxy_protocol: route.sendProxyProtocol,
    tls_cert: route.tlsCert,
    tls_key: route.tlsKey,
    backend_tls: route.backendTls,
    backend_protocol: route.backendProtocol,
    backend_ca: route.backendCa,
    backend_server_name: route.backendServerName,
    backend_pins: [...route.backendPins],
    backend_timeout: formatDuration(route.backendTimeoutMs),
    backend_max_connections: route.backendMaxConnections,
    allow_trace: route.allowTrace,
    l7_policies: route.l7Policies.map(({ type, value }) => ({ type, value })),
  };
}
