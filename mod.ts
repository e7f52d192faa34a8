/**
 * mc-proxy as a library: a client of the admin API, the parsers of what comes over the wire, and the
 * types of the configuration.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseClientHello } from "@mc-proxy/mc-proxy";
 *
 * const http = new TextEncoder().encode("GET / HTTP/1.1\r\n");
 * assert.equal(parseClientHello(http).kind, "not_tls");
 * ```
 *
 * @module
 */

export * from "./lib/admin/client.ts";
export * from "./lib/wire/mod.ts";
export type * from "./lib/control/config_types.ts";
