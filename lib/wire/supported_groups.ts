/**
 * The key exchanges that a ClientHello offers: supported_groups, RFC 8446 §4.2.7.
 *
 * @module
 */

import { uint16, vector16End, vector8End } from "./_vector.ts";

const MESSAGE_HEADER = 4; // type, 24-bit length
const VERSION_AND_RANDOM = 34;
const SUPPORTED_GROUPS = 10;

/** IANA, "TLS Supported Groups": those that a server may meet today, as OpenSSL spells them. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [23, "secp256r1"],
  [24, "secp384r1"],
  [25, "secp521r1"],
  [26, "brainpoolP256r1"],
  [27, "brainpoolP384r1"],
  [28, "brainpoolP512r1"],
  [29, "X25519"],
  [30, "X448"],
  [31, "brainpoolP256r1tls13"],
  [32, "brainpoolP384r1tls13"],
  [33, "brainpoolP512r1tls13"],
  [41, "curveSM2"],
  [256, "ffdhe2048"],
  [257, "ffdhe3072"],
  [258, "ffdhe4096"],
  [259, "ffdhe6144"],
  [260, "ffdhe8192"],
  [512, "MLKEM512"],
  [513, "MLKEM768"],
  [514, "MLKEM1024"],
  [4587, "SecP256r1MLKEM768"],
  [4588, "X25519MLKEM768"],
  [4589, "SecP384r1MLKEM1024"],
  [4590, "curveSM2MLKEM768"],
]);

/** The name of a group, such as `X25519`; of one that is not known here its number, `0x1234`. */
export function groupName(group: number): string {
  return NAMES.get(group) ?? `0x${group.toString(16).padStart(4, "0")}`;
}

/** Whether a group, by its name, withstands an attacker who records today and has a quantum computer later. */
export function isPostQuantum(name: string): boolean {
  return name.toUpperCase().includes("MLKEM");
}

/**
 * Reads the groups of a ClientHello.
 *
 * @param message The whole handshake message, without the headers of its records.
 * @returns Their numbers in the order of the message; none where the message has none, or is not sound.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(supportedGroups(new Uint8Array(0)), []);
 * assert.equal(groupName(4588), "X25519MLKEM768");
 * ```
 */
export function supportedGroups(message: Uint8Array): number[] {
  const end = message.length;
  let at = MESSAGE_HEADER + VERSION_AND_RANDOM;
  for (const vectorEnd of [vector8End, vector16End, vector8End]) { // session id, cipher suites, compression methods
    at = vectorEnd(message, at, end);
    if (at < 0) return [];
  }
  if (vector16End(message, at, end) !== end) return [];
  for (at += 2; at < end;) {
    const next = vector16End(message, at + 2, end);
    if (next < 0) return [];
    if (uint16(message, at) === SUPPORTED_GROUPS) return groupsOf(message, at + 4, next);
    at = next;
  }
  return [];
}

function groupsOf(message: Uint8Array, start: number, end: number): number[] {
  if (vector16End(message, start, end) !== end) return [];
  const groups: number[] = [];
  for (let at = start + 2; at + 2 <= end; at += 2) groups.push(uint16(message, at));
  return groups;
}
