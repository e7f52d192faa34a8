/**
 * The PROXY protocol, versions 1 and 2: how a proxy tells the next one, ahead of everything else on a connection, whose
 * connection it is. The rules are HAProxy's proxy-protocol.txt, cited here by section.
 *
 * @module
 */

import { MAX_PROXY_HEADER_BYTES, needMore, type ProxyHeaderResult } from "./_proxy_header.ts";
import { MIN_V1_LENGTH, parseProxyHeaderV1 } from "./_proxy_header_v1.ts";
import {
  COMMAND_PROXY,
  FAMILY_INET,
  FAMILY_INET6,
  FIXED_LENGTH,
  parseProxyHeaderV2,
  SIGNATURE,
  TLV_AUTHORITY,
  TRANSPORT_STREAM,
  VERSION,
} from "./_proxy_header_v2.ts";
import { isIpv4 } from "./ip_address.ts";
import type { Endpoint } from "./socket_address.ts";

export {
  MAX_PROXY_HEADER_BYTES,
  type ProxyHeaderResult,
  type ProxyHeaderRule,
  type ProxyTlv,
} from "./_proxy_header.ts";

/**
 * Reads the PROXY header that a connection begins with, of either version.
 *
 * Every answer but `need_more` is final and comes with the first octet that decides it (of an address or a port, with
 * its last). Nothing of `bytes` is kept: addresses and TLV values are copies.
 *
 * Datagrams (version 2, transport DGRAM) are malformed: a TCP connection carries none, and to take them for UNSPEC, which
 * §2.2 allows, would put the proxy's own address in place of a client's.
 *
 * @param bytes All octets received so far, from the first; octets behind the header are not looked at.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseHostPort } from "./socket_address.ts";
 * const result = parseProxyHeader(new TextEncoder().encode("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nrest"));
 * assert(result.kind === "header" && result.source);
 * assert.equal(result.length, 45);
 * assert.equal(result.source.port, 56324);
 * ```
 */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeaderResult {
  if (bytes.length === 0) return needMore(Math.min(MIN_V1_LENGTH, FIXED_LENGTH));
  if (bytes[0] === SIGNATURE[0]) return parseProxyHeaderV2(bytes);
  return parseProxyHeaderV1(bytes);
}

/**
 * Writes a version 2 header for a TCP connection: AF_INET where both addresses are IPv4, else AF_INET6, with an IPv4
 * address in its IPv4-mapped form.
 *
 * @param header.authority The server name that the client asked for, sent as PP2_TYPE_AUTHORITY (§2.2.2).
 * @throws {RangeError} Where the header would exceed `MAX_PROXY_HEADER_BYTES`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ipv4 } from "./ip_address.ts";
 * const source = { address: ipv4(192, 0, 2, 1), port: 56324 };
 * const destination = { address: ipv4(198, 51, 100, 2), port: 443 };
 * const bytes = encodeProxyHeaderV2({ source, destination });
 * assert.deepEqual(parseProxyHeader(bytes), { kind: "header", version: 2, length: 28, source, destination, tlvs: [] });
 * ```
 */
export function encodeProxyHeaderV2(
  header: { readonly source: Endpoint; readonly destination: Endpoint; readonly authority?: string | undefined },
): Uint8Array<ArrayBuffer> {
  const { source, destination } = header;
  const inet = isIpv4(source.address) && isIpv4(destination.address);
  const skipped = inet ? 12 : 0; // what precedes the four octets of an IPv4 address
  const ports = FIXED_LENGTH + 2 * (16 - skipped);
  const authority = header.authority === undefined ? undefined : new TextEncoder().encode(header.authority);
  const length = ports + 4 + (authority ? 3 + authority.length : 0);
  if (length > MAX_PROXY_HEADER_BYTES) throw new RangeError(`a PROXY header of ${length} bytes is too large`);

  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(SIGNATURE);
  bytes[12] = (VERSION << 4) | COMMAND_PROXY;
  bytes[13] = ((inet ? FAMILY_INET : FAMILY_INET6) << 4) | TRANSPORT_STREAM;
  view.setUint16(14, length - FIXED_LENGTH);
  bytes.set(source.address.subarray(skipped), FIXED_LENGTH);
  bytes.set(destination.address.subarray(skipped), FIXED_LENGTH + 16 - skipped);
  view.setUint16(ports, source.port);
  view.setUint16(ports + 2, destination.port);
  if (authority) {
    bytes[ports + 4] = TLV_AUTHORITY;
    view.setUint16(ports + 5, authority.length);
    bytes.set(authority, ports + 7);
  }
  return bytes;
}
