/**
 * What goes over the wire, as values: addresses, host names, ClientHellos and PROXY protocol headers.
 *
 * @module
 */

export * from "./client_hello.ts";
export * from "./hostname.ts";
export * from "./ip_address.ts";
export * from "./proxy_protocol.ts";
export * from "./socket_address.ts";
