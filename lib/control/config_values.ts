/**
 * The single values of a configuration: what each may be, its canonical form, and what to say where it is wrong.
 *
 * @module
 */

import { REQUEST_HOST } from "../edge/snapshot.ts";
import { TLS12_CIPHERS, TLS13_CIPHERS } from "../edge/tls_settings.ts";
import { formatCidr, parseCidr } from "../rules/cidr_set.ts";
import { isCountryCode } from "../rules/country_codes.ts";
import { parseHostnamePattern } from "../rules/route_table.ts";
import { normalizeHostname } from "../wire/hostname.ts";
import { formatIpAddress, parseIpAddress } from "../wire/ip_address.ts";
import { formatHostPort, parseHostPort, parseListenAddress } from "../wire/socket_address.ts";
import { parseDuration } from "./config_duration.ts";
import { quote } from "./quote.ts";

/** A value that was read, or what is wrong with its text and what would be right. */
export type Reading<T> = { readonly kind: "ok"; readonly value: T } | {
  readonly kind: "wrong";
  readonly message: string;
};

function ok<T>(value: T): Reading<T> {
  return { kind: "ok", value };
}

function wrong(message: string): Reading<never> {
  return { kind: "wrong", message };
}

/** An address to listen on. `[::]` is what an absent host is: every address of both families. */
export function readListenAddress(text: string): Reading<string> {
  const parsed = parseListenAddress(text);
  if (parsed) return ok(formatHostPort(parsed.host === "::" ? "" : parsed.host, parsed.port));
  return wrong(`${quote(text)} is no address to listen on; write :port, host:port or [v6]:port, for example ":443"`);
}

/** The address of a backend: a host and a port other than 0. */
export function readBackend(text: string): Reading<string> {
  const parsed = parseHostPort(text);
  if (parsed && parsed.port > 0) return ok(formatHostPort(parsed.host, parsed.port));
  return wrong(
    `${quote(text)} is no backend; write host:port or [v6]:port with a port from 1 to 65535, ` +
      `for example "127.0.0.1:8443"`,
  );
}

/** The host name of a route. */
export function readHostnamePattern(text: string): Reading<string> {
  const pattern = parseHostnamePattern(text);
  if (pattern !== undefined) return ok(pattern);
  const international = /[^\0-\x7f]/.test(text) ? ", an international name in its xn-- form" : "";
  return wrong(
    `${quote(text)} is no host name pattern; write for example "git.example.net", "*.example.net" or "*"` +
      international,
  );
}

/** The name that a backend's certificate must carry, `""` or {@linkcode REQUEST_HOST}. */
export function readServerName(text: string): Reading<string> {
  if (text === REQUEST_HOST) return ok(text);
  if (/[{}]/.test(text)) {
    return wrong(
      `${quote(text)} is not a host name; write ${quote(REQUEST_HOST)} for the name that the client asks for, or for ` +
        'example "backend.example.net"',
    );
  }
  const name = text === "" ? "" : normalizeHostname(text);
  if (name !== undefined) return ok(name);
  return wrong(`${quote(text)} is no host name; write for example "backend.example.net"`);
}

/** A host name without a port. */
export function readHostname(text: string): Reading<string> {
  const name = normalizeHostname(text);
  if (name !== undefined) return ok(name);
  return wrong(`${quote(text)} is no host name; write it without a port, for example "metrics.example.net"`);
}

/** A public key by the SHA-256 of its SubjectPublicKeyInfo in base64 (RFC 7469 §2.4), with or without `sha256/`. */
export function readPin(text: string): Reading<string> {
  const [, base64 = ""] = /^(?:sha256\/)?([A-Za-z0-9+/]{43}=?)$/.exec(text) ?? [];
  try {
    // Bits of the last digit that belong to no byte may be set in what others write.
    const digest = Uint8Array.fromBase64(base64);
    if (digest.length === 32) return ok(`sha256/${digest.toBase64()}`);
  } catch {
    // What is not base64 is told below.
  }
  return wrong(
    `${quote(text)} is not a pin; write the SHA-256 of the public key, 32 bytes in base64, for example ` +
      '"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="',
  );
}

/** The name of a group of TLS. Whether there is such a group, the library says. */
export function readTlsGroup(text: string): Reading<string> {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(text)) return ok(text);
  return wrong(`${quote(text)} is no name of a group; write for example "X25519MLKEM768" or "X25519"`);
}

/** A cipher suite of TLS: one of those that authenticate what they encrypt, and have forward secrecy. */
export function readTlsCipher(text: string): Reading<string> {
  const known = [...TLS13_CIPHERS, ...TLS12_CIPHERS];
  if (known.includes(text)) return ok(text);
  return wrong(
    `${quote(text)} is none of the ciphers with authenticated encryption and forward secrecy; ` +
      `use some of ${known.join(", ")}`,
  );
}

/** A single address for `firewall.blocked_ips`. */
export function readBlockedIp(text: string): Reading<string> {
  const ip = parseIpAddress(text);
  if (ip) return ok(formatIpAddress(ip));
  if (parseCidr(text).kind !== "invalid") return wrong(`${quote(text)} is a prefix; put it in firewall.blocked_cidrs`);
  return wrong(`${quote(text)} is no IP address; write for example "192.0.2.1" or "2001:db8::1"`);
}

/** A prefix for `firewall.blocked_cidrs`. */
export function readBlockedCidr(text: string): Reading<string> {
  const parsed = parseCidr(text);
  switch (parsed.kind) {
    case "ok":
      return ok(formatCidr(parsed.cidr));
    case "host_bits":
      return wrong(`${quote(text)} has host bits set; write ${quote(parsed.canonical)}`);
    case "invalid":
      if (parseIpAddress(text)) return wrong(`${quote(text)} is a single address; put it in firewall.blocked_ips`);
      return wrong(`${quote(text)} is no prefix; write for example "192.0.2.0/24" or "2001:db8::/32"`);
  }
}

/** A country for `firewall.blocked_countries`. */
export function readCountry(text: string): Reading<string> {
  if (isCountryCode(text)) return ok(text);
  const upper = text.toUpperCase();
  // Of two letters only: of "ß" it would make South Sudan.
  if (text.length === 2 && isCountryCode(upper)) {
    return wrong(`${quote(text)} must be in upper case; write ${quote(upper)}`);
  }
  return wrong(`${quote(text)} is no country; write an ISO 3166-1 alpha-2 code, for example "DE"`);
}

/** A duration, in milliseconds. */
export function readDuration(text: string): Reading<number> {
  const milliseconds = parseDuration(text);
  if (milliseconds !== undefined) return ok(milliseconds);
  return wrong(`${quote(text)} is no duration from 1 ms to 24 h; write for example "5s", "1m30s" or "250ms"`);
}

/** The path of a file. */
export function readPath(text: string): Reading<string> {
  return text === "" ? wrong("must not be empty; write the path of a file") : readOptionalPath(text);
}

const MAX_PATH = 4095; // octets; path_resolution(7): PATH_MAX is 4096 with the NUL at its end

/** The path of a file, or `""` for none. */
export function readOptionalPath(text: string): Reading<string> {
  if (text.includes("\0")) return wrong(`${quote(text)} is no path: it holds a NUL character`);
  const length = new TextEncoder().encode(text).length;
  if (length <= MAX_PATH) return ok(text);
  return wrong(`${quote(text)} is no path: it is ${length} octets long, and ${MAX_PATH} is the most`);
}

const MAX_SOCKET_PATH = 107; // octets; unix(7): sun_path holds 108 with the NUL at its end

/** The path of a Unix socket. */
export function readSocketPath(text: string): Reading<string> {
  if (!text.startsWith("/") || text.endsWith("/") || text.includes("\0")) {
    return wrong(
      `${quote(text)} is no path of a Unix socket; write an absolute one, for example "/run/mc-proxy.sock"`,
    );
  }
  const length = new TextEncoder().encode(text).length;
  if (length <= MAX_SOCKET_PATH) return ok(text);
  return wrong(`${quote(text)} is ${length} octets long; the path of a Unix socket has at most ${MAX_SOCKET_PATH}`);
}

const MAX_GID = 2 ** 32 - 2; // the highest number says "leave it" to chown(2)

/** A group of the system, by its name or number; `""` is none. Whether there is such a group is looked up later. */
export function readGroupName(text: string): Reading<string> {
  const isNumber = /^\d+$/.test(text) && Number(text) <= MAX_GID;
  if (text === "" || isNumber || /^[a-z_][a-z0-9._-]*\$?$/i.test(text)) return ok(text);
  return wrong(`${quote(text)} is no group; write a name or a number, for example "mc-proxy-admin" or "1001"`);
}

/** Paths of the scrape endpoint that are taken. */
const HEALTH_PATHS: readonly string[] = ["/healthz", "/readyz"];

/** The path of a URL, as a scraper asks for it. */
export function readUrlPath(text: string): Reading<string> {
  if (HEALTH_PATHS.includes(text)) {
    return wrong(`${quote(text)} is the path of a health check; write another one, for example "/metrics"`);
  }
  if (/^\/[\w\-.~!$&'()*+,;=:@/%]*$/.test(text)) {
    // What an HTTP client makes of "/a/../b" (RFC 3986 §5.2.4) would never be asked for.
    const normal = new URL(`http://metrics.invalid${text}`).pathname;
    if (normal === text) return ok(text);
    return wrong(`${quote(text)} is no path as clients ask for it; write ${quote(normal)}`);
  }
  return wrong(`${quote(text)} is no URL path; write one that starts with "/", for example "/metrics"`);
}

const MAX_POLICY_VALUE = 256;

/** What an HTTP policy looks for: part of a header's value, or a header's name. */
export function readPolicyValue(text: string): Reading<string> {
  if (/^[\x20-\x7e]+$/.test(text) && text.length <= MAX_POLICY_VALUE) return ok(text);
  return wrong(`${quote(text)} must be 1 to ${MAX_POLICY_VALUE} printable ASCII characters`);
}

/** Whether a header may have this name: a `token`, RFC 9110 §5.6.2. */
export function isHeaderName(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}
