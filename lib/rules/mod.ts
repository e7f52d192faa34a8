/**
 * The decisions: which route a server name has, and whether a client may connect. Pure, without I/O.
 *
 * @module
 */

export * from "./cidr_set.ts";
export * from "./country_codes.ts";
export * from "./firewall.ts";
export * from "./geoip.ts";
export * from "./rate_limiter.ts";
export * from "./route_table.ts";
