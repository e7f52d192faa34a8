/**
 * What there is to say of a PROXY protocol header, whichever its version.
 *
 * @module
 */

import type { Endpoint } from "./socket_address.ts";

/** The most octets that a PROXY header may take: a bound of ours, for the 65551 that version 2 could announce. */
export const MAX_PROXY_HEADER_BYTES = 4096;

/** A type-length-value field of a version 2 header (proxy-protocol.txt §2.2). */
export interface ProxyTlv {
  /** 0 to 255, such as 0x02: PP2_TYPE_AUTHORITY. */
  readonly type: number;
  readonly value: Uint8Array;
}

/** The rule of proxy-protocol.txt that a malformed header breaks. */
export type ProxyHeaderRule =
  /** It begins with the signature of neither version (§2.2). */
  | "signature"
  /** It ends beyond 107 octets in version 1 (§2.1), beyond `MAX_PROXY_HEADER_BYTES` in version 2. */
  | "too_large"
  /** v1: the protocol is not TCP4, TCP6 or UNKNOWN (§2.1). */
  | "protocol"
  /** v1: an address is not one, or not of the family named (§2.1). */
  | "address"
  /** v1: a port is not a decimal number from 0 to 65535 without leading zeros (§2.1). */
  | "port"
  /** v1: the line does not end in CR LF behind its last field (§2.1). */
  | "line_end"
  /** v2: the version is not 2 (§2.2). */
  | "version"
  /** v2: the command is neither LOCAL nor PROXY (§2.2). */
  | "command"
  /** v2: the address family is none of UNSPEC, INET, INET6 and UNIX (§2.2). */
  | "family"
  /** v2: the transport is none of UNSPEC, STREAM and DGRAM (§2.2). */
  | "transport"
  /** v2: the header is shorter than the addresses of its family (§2.2). */
  | "address_length"
  /** v2: a TLV does not fit (§2.2). */
  | "tlv"
  /** v2: the checksum is wrong, not 4 octets long, or there twice (§2.2.3). */
  | "crc32c";

/** What the first octets of a connection say of its PROXY header. */
export type ProxyHeaderResult =
  /**
   * No answer yet; `needed`, counted from the first octet, is never beyond the header's end: who reads no further takes
   * no octet of what follows the header.
   */
  | { readonly kind: "need_more"; readonly needed: number }
  | {
    readonly kind: "header";
    readonly version: 1 | 2;
    /** The header's octets; what it introduces begins at this offset. */
    readonly length: number;
    /**
     * The client, as the sender saw it. `undefined`, as `destination` is, where the header speaks of no TCP connection
     * over IP (LOCAL, UNKNOWN, UNSPEC, AF_UNIX): the peer's own address stands.
     */
    readonly source: Endpoint | undefined;
    /** What the client connected to. */
    readonly destination: Endpoint | undefined;
    /** In order, without padding (PP2_TYPE_NOOP) and checksum; none from version 1, LOCAL and UNSPEC. */
    readonly tlvs: readonly ProxyTlv[];
  }
  | { readonly kind: "malformed"; readonly rule: ProxyHeaderRule };

export function needMore(needed: number): ProxyHeaderResult {
  return { kind: "need_more", needed };
}

export function malformed(rule: ProxyHeaderRule): ProxyHeaderResult {
  return { kind: "malformed", rule };
}
