/**
 * What ALPN offers and what it chooses (RFC 7301).
 *
 * @module
 */

import type { HttpProtocol } from "../engine.ts";

/** What is spoken with clients, and with backends that may choose: the preferred first. */
export const PROTOCOLS: readonly HttpProtocol[] = ["h2", "http/1.1"];

/** Returns what is spoken where ALPN chose `protocol`, or nothing: a peer that does not know ALPN speaks HTTP/1.1. */
export function spoken(protocol: string | false | null | undefined): HttpProtocol {
  return protocol === "h2" ? "h2" : "http/1.1";
}
