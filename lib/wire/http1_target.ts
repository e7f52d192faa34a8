/**
 * Request targets of HTTP/1.1 (RFC 9112 §3.2): whom a request is for, and what it asks for.
 *
 * @module
 */

import { type HeadError, malformed } from "./_http1_error.ts";
import { parseHostPort } from "./socket_address.ts";

/** What the target and the Host field of a request say. */
export interface Target {
  readonly kind: "target";
  /**
   * host or host:port as the client spelt it, to be passed on as Host whatever Host was received; `undefined` where a
   * request of HTTP/1.0 names none.
   */
  readonly authority: string | undefined;
  /** The same host in its canonical spelling, without port and brackets. */
  readonly host: string | undefined;
  /** Path and query; `*` for OPTIONS of the whole server; `""` for CONNECT. */
  readonly path: string;
}

/**
 * Reads a request target together with the Host field.
 *
 * The authority of an absolute target goes before Host (RFC 9112 §3.2.2), which must be sound all the same. Hosts are
 * names and addresses as `parseHostPort` reads them; the port behind the colon may be empty (RFC 3986 §3.2.3), except in
 * CONNECT (RFC 9110 §9.3.6). There is no backend for any other, and user-info, lists and escapes in Host are how requests
 * are led astray.
 *
 * @param target In visible ASCII, not empty: as `parseRequestHead` gives it.
 * @param host The value of the Host field; `undefined` where there is none.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const target = parseTarget("GET", "http://Git.example.net:80/a?b", "other.example");
 * assert.deepEqual(target, {
 *   kind: "target",
 *   authority: "Git.example.net:80",
 *   host: "git.example.net",
 *   path: "/a?b",
 * });
 * ```
 */
export function parseTarget(method: string, target: string, host: string | undefined): Target | HeadError {
  const hostName = host === undefined ? undefined : authorityHost(host);
  if (host !== undefined && hostName === undefined) return malformed("host");
  if (method === "CONNECT") return parseAuthorityForm(target);
  if (target.includes("#")) return malformed("target_fragment");
  if (target.startsWith("/") || (target === "*" && method === "OPTIONS")) {
    return { kind: "target", authority: host, host: hostName, path: target };
  }
  return parseAbsoluteForm(method, target);
}

/**
 * The host that an authority (Host, `:authority`) names, as `normalizeHostname` or `formatIpAddress` spells it.
 *
 * @returns `undefined` where `authority` is not host, host:port or host with an empty port (`host:`).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(authorityHost("Git.example.net.:8443"), "git.example.net");
 * assert.equal(authorityHost("git.example.net:"), "git.example.net");
 * assert.equal(authorityHost("[2001:DB8::1]"), "2001:db8::1");
 * assert.equal(authorityHost("user@git.example.net"), undefined);
 * ```
 */
export function authorityHost(authority: string): string | undefined {
  const known = KNOWN.get(authority);
  if (known !== undefined) return known;
  const host = readHost(authority);
  if (host !== undefined && authority.length < 260) {
    if (KNOWN.size >= 1024) KNOWN.clear();
    KNOWN.set(authority, host);
  }
  return host;
}

const KNOWN = new Map<string, string>();

function readHost(authority: string): string | undefined {
  if (!hasPort(authority)) return parseHostPort(`${authority}:0`)?.host;
  return parseHostPort(authority.endsWith(":") ? `${authority}0` : authority)?.host;
}

function hasPort(authority: string): boolean {
  return authority.lastIndexOf(":") > authority.lastIndexOf("]");
}

function parseAuthorityForm(target: string): Target | HeadError {
  const host = hasPort(target) && !target.endsWith(":") ? authorityHost(target) : undefined;
  return host === undefined ? malformed("target_authority") : { kind: "target", authority: target, host, path: "" };
}

function parseAbsoluteForm(method: string, target: string): Target | HeadError {
  const [, authority = "", rest = ""] = /^https?:\/\/([^/?]*)(.*)$/i.exec(target) ?? [];
  if (authority === "") return malformed("target_form");
  const host = authorityHost(authority);
  if (host === undefined) return malformed("target_authority");
  // RFC 9112 §3.2.4: what OPTIONS asks of a server as a whole is "*" in the other form.
  const path = rest.startsWith("/") ? rest : rest === "" && method === "OPTIONS" ? "*" : `/${rest}`;
  return { kind: "target", authority, host, path };
}
