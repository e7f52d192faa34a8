/**
 * The binary form of the PROXY protocol header (proxy-protocol.txt §2.2).
 *
 * @module
 */

import { crc32c } from "./_crc32c.ts";
import {
  malformed,
  MAX_PROXY_HEADER_BYTES,
  needMore,
  type ProxyHeaderResult,
  type ProxyHeaderRule,
  type ProxyTlv,
} from "./_proxy_header.ts";
import { uint16, vector16End } from "./_vector.ts";
import { type IpAddress, ipv4 } from "./ip_address.ts";
import type { Endpoint } from "./socket_address.ts";

/** The 12 octets that a version 2 header begins with. */
export const SIGNATURE: Uint8Array = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** The octets up to where the addresses begin: signature, version and command, family and transport, length. */
export const FIXED_LENGTH = 16;
export const VERSION = 2;
export const COMMAND_PROXY = 1;
export const FAMILY_INET = 1;
export const FAMILY_INET6 = 2;
export const TRANSPORT_STREAM = 1;
export const TLV_AUTHORITY = 0x02;

const TRANSPORT_DGRAM = 2;
const COMMAND_LOCAL = 0;
const UNSPEC = 0;
const FAMILY_UNIX = 3;
const TLV_CRC32C = 0x03;
const TLV_NOOP = 0x04;

/** Octets of both addresses and, where there are any, both ports; by family. */
const ADDRESS_LENGTHS = [0, 2 * 4 + 2 * 2, 2 * 16 + 2 * 2, 2 * 108];

/** Reads a version 2 header at the start of `bytes`. */
export function parseProxyHeaderV2(bytes: Uint8Array): ProxyHeaderResult {
  const rule = checkFixedOctets(bytes);
  if (rule) return malformed(rule);
  if (bytes.length < FIXED_LENGTH) return needMore(FIXED_LENGTH);
  const command = (bytes[12] ?? 0) & 0xf;
  const family = (bytes[13] ?? 0) >> 4;
  const transport = (bytes[13] ?? 0) & 0xf;
  const length = FIXED_LENGTH + uint16(bytes, 14);
  if (length > MAX_PROXY_HEADER_BYTES) return malformed("too_large");

  // Of such a block nothing but its length is defined: not even where in it TLVs would begin. What a sender of datagrams
  // says cannot be true of a TCP connection, and is ignored like what is not specified.
  const opaque = command === COMMAND_LOCAL || family === UNSPEC || transport !== TRANSPORT_STREAM;
  const tlvStart = FIXED_LENGTH + (opaque ? 0 : ADDRESS_LENGTHS[family] ?? 0);
  if (tlvStart > length) return malformed("address_length");
  if (bytes.length < length) return needMore(length);
  const header = bytes.subarray(0, length);
  const tlvs = opaque ? [] : parseTlvs(header, tlvStart);
  if (typeof tlvs === "string") return malformed(tlvs);
  const [source, destination] = opaque ? [] : parseEndpoints(header, family);
  return { kind: "header", version: 2, length, source, destination, tlvs };
}

/** The rule broken by the octets before the length, as far as they are there. */
function checkFixedOctets(bytes: Uint8Array): ProxyHeaderRule | undefined {
  for (let i = 0; i < SIGNATURE.length && i < bytes.length; i++) if (bytes[i] !== SIGNATURE[i]) return "signature";
  const versionAndCommand = bytes[12];
  if (versionAndCommand === undefined) return undefined;
  if (versionAndCommand >> 4 !== VERSION) return "version";
  const command = versionAndCommand & 0xf;
  if (command === COMMAND_LOCAL) return undefined; // which has the rest ignored
  if (command !== COMMAND_PROXY) return "command";
  const familyAndTransport = bytes[13];
  if (familyAndTransport === undefined) return undefined;
  if (familyAndTransport >> 4 > FAMILY_UNIX) return "family";
  return (familyAndTransport & 0xf) > TRANSPORT_DGRAM ? "transport" : undefined;
}

/** Source and destination, in this order; none of a Unix socket. */
function parseEndpoints(header: Uint8Array, family: number): readonly Endpoint[] {
  if (family === FAMILY_UNIX) return [];
  const addressLength = family === FAMILY_INET ? 4 : 16;
  const ports = FIXED_LENGTH + 2 * addressLength;
  return [0, 1].map((i) => {
    const start = FIXED_LENGTH + i * addressLength;
    const address = parseIpOctets(header.subarray(start, start + addressLength));
    return { address, port: uint16(header, ports + 2 * i) };
  });
}

function parseIpOctets(octets: Uint8Array): IpAddress {
  const [a = 0, b = 0, c = 0, d = 0] = octets;
  return octets.length === 4 ? ipv4(a, b, c, d) : octets.slice();
}

/** Reads the TLVs that fill the header from `at` on. */
function parseTlvs(header: Uint8Array, at: number): readonly ProxyTlv[] | ProxyHeaderRule {
  const tlvs: ProxyTlv[] = [];
  let checked = false;
  while (at < header.length) {
    const next = vector16End(header, at + 1, header.length);
    if (next < 0) return "tlv";
    const type = header[at] ?? 0;
    const value = header.subarray(at + 3, next);
    if (type === TLV_CRC32C) {
      if (checked || value.length !== 4 || !checksumHolds(header, at + 3)) return "crc32c";
      checked = true;
    } else if (type !== TLV_NOOP) {
      tlvs.push({ type, value: value.slice() });
    }
    at = next;
  }
  return tlvs;
}

/** Whether the checksum at `at` is that of the header with zeros in its place (§2.2.3). */
function checksumHolds(header: Uint8Array, at: number): boolean {
  const before = crc32c(header.subarray(0, at));
  const zeroed = crc32c(new Uint8Array(4), before);
  const sum = crc32c(header.subarray(at + 4), zeroed);
  return sum === new DataView(header.buffer, header.byteOffset + at, 4).getUint32(0);
}
