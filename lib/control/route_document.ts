/**
 * A route under the names of the configuration file.
 *
 * @module
 */

import type { RouteDocument } from "./config_schema.ts";
import type { RouteConfig } from "./config_types.ts";

/** What a file says of a route, every key of it. */
export function routeDocumentOf(route: RouteConfig): RouteDocument {
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
    l7_policies: route.l7Policies.map(({ type, value }) => ({ type, value })),
  };
}
