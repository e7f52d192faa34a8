/**
 * Addresses of sockets: a host or an IP address, and a port.
 *
 * @module
 */

import { normalizeHostname } from "./hostname.ts";
import { formatIpAddress, type IpAddress, parseIpAddress } from "./ip_address.ts";

/** One end of a TCP connection. */
export interface Endpoint {
  readonly address: IpAddress;
  /** 0 to 65535. */
  readonly port: number;
}

/** A host, by name or by address, and a port. */
export interface HostPort {
  /** A host name as `normalizeHostname` spells it, or an IP address as `formatIpAddress` does (no brackets). */
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
}

/**
 * Reads a port: decimal, 0 to 65535, neither sign nor leading zeros.
 *
 * @returns The port, or `undefined` where `text` is not one.
 */
export function parsePort(text: string): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 0xffff ? port : undefined;
}

/**
 * Reads `name:port`, `a.b.c.d:port` or `[v6]:port`, and spells the host canonically.
 *
 * An IPv6 address needs its brackets, and nothing else may have them (RFC 3986 §3.2.2).
 *
 * @returns Host and port, or `undefined` where `text` is no such pair.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseHostPort("[2001:DB8:0::1]:443"), { host: "2001:db8::1", port: 443 });
 * assert.deepEqual(parseHostPort("Backend.example.:8443"), { host: "backend.example", port: 8443 });
 * assert.equal(parseHostPort("2001:db8::1:443"), undefined);
 * assert.equal(parseHostPort(":443"), undefined);
 * ```
 */
export function parseHostPort(text: string): HostPort | undefined {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return undefined;
  const host = parseHost(text.slice(0, colon));
  const port = parsePort(text.slice(colon + 1));
  return host === undefined || port === undefined ? undefined : { host, port };
}

function parseHost(text: string): string | undefined {
  const bracketed = text.startsWith("[") && text.endsWith("]");
  const bare = bracketed ? text.slice(1, -1) : text;
  if (bare.includes(":") !== bracketed) return undefined;
  const address = parseIpAddress(bare);
  return address ? formatIpAddress(address) : normalizeHostname(bare);
}

/**
 * Reads an address to listen on: as `parseHostPort`, or `:port` for every local address, whose host is then `""`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseListenAddress(":443"), { host: "", port: 443 });
 * assert.deepEqual(parseListenAddress("127.0.0.1:8443"), { host: "127.0.0.1", port: 8443 });
 * ```
 */
export function parseListenAddress(text: string): HostPort | undefined {
  if (!text.startsWith(":")) return parseHostPort(text);
  const port = parsePort(text.slice(1));
  return port === undefined ? undefined : { host: "", port };
}

/**
 * Writes host and port as `parseHostPort` and `parseListenAddress` read them, an IPv6 address in brackets.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(formatHostPort("::1", 443), "[::1]:443");
 * assert.equal(formatHostPort("git.example.net", 443), "git.example.net:443");
 * assert.equal(formatHostPort("", 443), ":443");
 * ```
 */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Writes an endpoint as `a.b.c.d:port` or `[v6]:port`. */
export function formatEndpoint(endpoint: Endpoint): string {
  return formatHostPort(formatIpAddress(endpoint.address), endpoint.port);
}

/**
 * Reads what `formatEndpoint` writes.
 *
 * @returns The endpoint, or `undefined` where `text` is none: a host name is not.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const endpoint = parseEndpoint("[2001:db8::1]:443");
 * assert.ok(endpoint);
 * assert.equal(formatEndpoint(endpoint), "[2001:db8::1]:443");
 * assert.equal(parseEndpoint("git.example.net:443"), undefined);
 * ```
 */
export function parseEndpoint(text: string): Endpoint | undefined {
  const parsed = parseHostPort(text);
  const address = parsed && parseIpAddress(parsed.host);
  return parsed && address ? { address, port: parsed.port } : undefined;
}
