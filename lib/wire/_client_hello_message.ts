/**
 * The ClientHello message itself, once it is there in one piece (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).
 *
 * @module
 */

import { readHostname } from "./_hostname_octets.ts";
import { latin1, uint16, vector16End, vector8End } from "./_vector.ts";

/** The rules that the inside of a ClientHello can break. */
export type ClientHelloMessageRule =
  /** The message ends before its fixed fields do (RFC 8446 §4.1.2). */
  | "hello_length"
  /** legacy_session_id is longer than 32 octets or does not fit (RFC 8446 §4.1.2). */
  | "session_id"
  /** cipher_suites is empty, of odd length or does not fit (RFC 8446 §4.1.2). */
  | "cipher_suites"
  /** legacy_compression_methods is empty or does not fit (RFC 8446 §4.1.2). */
  | "compression_methods"
  /** The extensions do not end where the message does, or one does not fit into them (RFC 8446 §4.2). */
  | "extension_length"
  /** Two extensions are of one type (RFC 8446 §4.2). */
  | "duplicate_extension"
  /** server_name is misshapen, names two hosts, or its host is an IP address or no host name (RFC 6066 §3). */
  | "server_name"
  /** The ALPN list is misshapen, empty, or holds an empty name (RFC 7301 §3.1). */
  | "alpn";

/** What a router wants to know of a ClientHello. */
export interface ClientHelloNames {
  /** The host name of the server_name extension as `normalizeHostname` spells it; `undefined` where it has none. */
  readonly serverName: string | undefined;
  /** The protocol names offered by ALPN, first choice first, each octet as one character; empty where none are. */
  readonly alpn: readonly string[];
}

const SERVER_NAME = 0; // RFC 6066 §3
const ALPN = 16; // RFC 7301 §3.1
const HOST_NAME = 0; // RFC 6066 §3, NameType

// Shared by all calls: 1 for each extension type of the last message, and which those were. A message of 64 KiB has at
// most 16,384. Wiping what was set costs less than half of wiping all bits, and a third of a new Set.
const seenTypes = new Uint8Array(65536);
const typesInOrder = new Uint16Array(16384);
let typeCount = 0;

/**
 * Reads the body of a ClientHello, `bytes[at .. end]`, which follows the 4-octet handshake header.
 *
 * Only the shape is checked: versions, cipher suites and extensions other than server_name and ALPN are between the
 * client and whoever terminates TLS.
 */
export function parseClientHelloMessage(
  bytes: Uint8Array,
  at: number,
  end: number,
): ClientHelloNames | ClientHelloMessageRule {
  const sessionId = at + 2 + 32; // legacy_version, random
  if (sessionId > end) return "hello_length";
  const suites = vector8End(bytes, sessionId, end);
  if (suites < 0 || suites - sessionId > 1 + 32) return "session_id";
  const compression = vector16End(bytes, suites, end);
  const suitesLength = compression - suites - 2;
  if (compression < 0 || suitesLength === 0 || suitesLength % 2 !== 0) return "cipher_suites";
  const extensions = vector8End(bytes, compression, end);
  if (extensions < 0 || extensions === compression + 1) return "compression_methods";
  if (extensions === end) return { serverName: undefined, alpn: [] }; // TLS 1.2 and older, RFC 5246 §7.4.1.2
  if (vector16End(bytes, extensions, end) !== end) return "extension_length";
  return parseExtensions(bytes, extensions + 2, end);
}

function parseExtensions(bytes: Uint8Array, at: number, end: number): ClientHelloNames | ClientHelloMessageRule {
  let serverName: string | undefined;
  let alpn: readonly string[] = [];
  while (typeCount > 0) seenTypes[typesInOrder[--typeCount] ?? 0] = 0;
  while (at < end) {
    const next = vector16End(bytes, at + 2, end);
    if (next < 0) return "extension_length";
    const type = uint16(bytes, at);
    if (seenTypes[type] !== 0) return "duplicate_extension";
    seenTypes[type] = 1;
    typesInOrder[typeCount++] = type;
    if (type === SERVER_NAME) {
      const result = parseServerName(bytes, at + 4, next);
      if (result === "malformed") return "server_name";
      serverName = result.hostName;
    } else if (type === ALPN) {
      const names = parseAlpn(bytes, at + 4, next);
      if (names === undefined) return "alpn";
      alpn = names;
    }
    at = next;
  }
  return { serverName, alpn };
}

/**
 * Reads a ServerNameList. Names of types not known yet are passed over, which RFC 6066 §3 makes possible: whatever the
 * type, the name begins with its 16-bit length.
 */
function parseServerName(
  bytes: Uint8Array,
  at: number,
  end: number,
): { readonly hostName: string | undefined } | "malformed" {
  if (vector16End(bytes, at, end) !== end || at + 2 === end) return "malformed";
  let hostName: string | undefined;
  for (at += 2; at < end;) {
    const next = vector16End(bytes, at + 1, end);
    if (next < 0) return "malformed";
    if (bytes[at] === HOST_NAME) {
      if (hostName !== undefined || next - at > 3 + 254) return "malformed";
      hostName = readHostname(bytes, at + 3, next);
      if (hostName === undefined) return "malformed";
    }
    at = next;
  }
  return { hostName };
}

/** Reads a ProtocolNameList; `undefined` where it is malformed. */
function parseAlpn(bytes: Uint8Array, at: number, end: number): readonly string[] | undefined {
  if (vector16End(bytes, at, end) !== end || at + 2 === end) return undefined;
  const names: string[] = [];
  for (at += 2; at < end;) {
    const next = vector8End(bytes, at, end);
    if (next <= at + 1) return undefined;
    names.push(latin1(bytes, at + 1, next));
    at = next;
  }
  return names;
}
