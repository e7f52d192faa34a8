/**
 * Whom requests are for.
 *
 * @module
 */

import { authorityHost } from "../../wire/http1_target.ts";
import { normalizeHostname } from "../../wire/hostname.ts";

/** What a sound authority (Host, `:authority`) says. */
export interface Authority {
  /** The host name in its one spelling; `undefined` where it is an IP address. */
  readonly hostname: string | undefined;
}

/** Read once: the requests of a connection all name the same few. Begun anew when there are too many. */
const KNOWN = new Map<string, Authority>();
const MAX_KNOWN = 1024;
const MAX_KNOWN_LENGTH = 260; // a host name and a port

/** @returns `undefined` where `text` is not host or host:port. */
export function readAuthority(text: string): Authority | undefined {
  const known = KNOWN.get(text);
  if (known !== undefined) return known;
  const host = authorityHost(text);
  if (host === undefined) return undefined;
  const authority = { hostname: normalizeHostname(host) };
  if (KNOWN.size >= MAX_KNOWN) KNOWN.clear();
  if (text.length <= MAX_KNOWN_LENGTH) KNOWN.set(text, authority);
  return authority;
}
