/**
 * IP addresses as 16 octets in network order.
 *
 * An IPv4 address is held in its IPv4-mapped form `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2), so `10.0.0.1` and
 * `::ffff:10.0.0.1` are one and the same value, whichever kind of socket or header it came from.
 *
 * @module
 */

/** An IP address: exactly 16 octets, network order; IPv4 in the IPv4-mapped form. */
export type IpAddress = Uint8Array;

const DOT = 0x2e;
const COLON = 0x3a;

/**
 * Whether an address is an IPv4 address.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isIpv4(parseIpAddress("::ffff:192.0.2.1")!), true);
 * assert.equal(isIpv4(parseIpAddress("2001:db8::1")!), false);
 * ```
 */
export function isIpv4(ip: IpAddress): boolean {
  for (let i = 0; i < 10; i++) if (ip[i] !== 0) return false;
  return ip[10] === 0xff && ip[11] === 0xff;
}

/** The 32-bit word at octet `offset` (0, 4, 8 or 12), unsigned; word 12 of an IPv4 address is the whole of it. */
export function ipWord(ip: IpAddress, offset: 0 | 4 | 8 | 12): number {
  return (((ip[offset] ?? 0) << 24) | ((ip[offset + 1] ?? 0) << 16) | ((ip[offset + 2] ?? 0) << 8) |
    (ip[offset + 3] ?? 0)) >>> 0;
}

/** Makes the IpAddress of an IPv4 address given as its four octets, first octet first. */
export function ipv4(a: number, b: number, c: number, d: number): IpAddress {
  const ip = new Uint8Array(16);
  ip[10] = ip[11] = 0xff;
  ip[12] = a;
  ip[13] = b;
  ip[14] = c;
  ip[15] = d;
  return ip;
}

/**
 * Reads an IPv4 address in dotted-decimal form or an IPv6 address in any form of RFC 4291 §2.2.
 *
 * Neither a port, brackets, a zone (`%eth0`), leading zeros in an IPv4 octet nor white space is accepted.
 *
 * @returns The address, or `undefined` where `text` is not one.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseIpAddress("192.0.2.1"), parseIpAddress("::ffff:192.0.2.1"));
 * assert.equal(parseIpAddress("192.0.2.256"), undefined);
 * ```
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (text.length > 45) return undefined; // the longest textual form, inet_ntop(3) INET6_ADDRSTRLEN less its NUL
  const ip = new Uint8Array(16);
  if (text.includes(":")) return parseIpv6(text, ip) ? ip : undefined;
  if (!parseIpv4(text, 0, ip, 12)) return undefined;
  ip[10] = ip[11] = 0xff;
  return ip;
}

/** Reads the dotted-decimal address that `text` ends with, from `start`, into `ip[at..at + 4]`. */
function parseIpv4(text: string, start: number, ip: Uint8Array, at: number): boolean {
  let octet = 0;
  let value = 0;
  let digits = 0;
  for (let i = start; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (digits === 0 || octet === 4) return false;
      ip[at + octet++] = value;
      value = digits = 0;
      continue;
    }
    const digit = code - 0x30;
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return false;
    value = value * 10 + digit;
    if (++digits > 3 || value > 255) return false;
  }
  return octet === 4;
}

function parseIpv6(text: string, ip: Uint8Array): boolean {
  let at = 0; // the octet that the next group goes to
  let gap = -1; // the octet at which `::` stands
  let i = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gap = 0;
    i = 2;
  }
  while (i < text.length) {
    if (at === 16) return false;
    const start = i;
    let group = 0;
    let digit = hexDigit(text.charCodeAt(i));
    while (digit >= 0) {
      group = group * 16 + digit;
      digit = ++i < text.length ? hexDigit(text.charCodeAt(i)) : -1;
    }
    if (i - start > 4 && text.charCodeAt(i) !== DOT) return false;
    if (i < text.length && text.charCodeAt(i) === DOT) {
      if (at > 12 || !parseIpv4(text, start, ip, at)) return false;
      at += 4;
      i = text.length;
      break;
    }
    if (i === start) return false;
    ip[at++] = group >> 8;
    ip[at++] = group & 0xff;
    if (i === text.length) break;
    if (text.charCodeAt(i++) !== COLON || i === text.length) return false;
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return false;
      gap = at;
      i++;
    }
  }
  if (gap < 0) return at === 16;
  if (at === 16) return false; // `::` stands for at least one group, RFC 4291 §2.2
  ip.copyWithin(16 - (at - gap), gap, at);
  ip.fill(0, gap, 16 - (at - gap));
  return true;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/**
 * Writes an address in its canonical form: dotted-decimal for IPv4, RFC 5952 for IPv6.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(formatIpAddress(parseIpAddress("2001:DB8:0:0:0:0:0:1")!), "2001:db8::1");
 * assert.equal(formatIpAddress(parseIpAddress("::ffff:192.0.2.1")!), "192.0.2.1");
 * ```
 */
export function formatIpAddress(ip: IpAddress): string {
  if (isIpv4(ip)) return `${ip[12]}.${ip[13]}.${ip[14]}.${ip[15]}`;
  let bestStart = -1;
  let bestLength = 1; // a single zero group is not shortened, RFC 5952 §4.2.2
  let runStart = -1;
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) {
    const group = ((ip[2 * i] ?? 0) << 8) | (ip[2 * i + 1] ?? 0);
    groups.push(group);
    if (group !== 0) {
      runStart = -1;
      continue;
    }
    if (runStart < 0) runStart = i;
    if (i - runStart + 1 > bestLength) {
      bestStart = runStart;
      bestLength = i - runStart + 1;
    }
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (bestStart < 0) return hex(groups);
  return `${hex(groups.slice(0, bestStart))}::${hex(groups.slice(bestStart + bestLength))}`;
}
