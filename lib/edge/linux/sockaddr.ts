/**
 * Socket addresses as the kernel has them: ip(7) `sockaddr_in`, ipv6(7) `sockaddr_in6`, unix(7) `sockaddr_un`.
 *
 * @module
 */

import { type IpAddress, isIpv4 } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "./libc.ts";

/** The length of the longer form, `sockaddr_in6`. */
export const SOCKADDR_LENGTH = 28;

/** The address family of an encoded address. */
export function familyOf(sockaddr: Uint8Array): number {
  return sockaddr[0] ?? 0; // sa_family is in the host's order, which is little-endian on both architectures
}

/** Writes an endpoint in the form of its own family. */
export function encodeSockaddr({ address, port }: Endpoint): Uint8Array<ArrayBuffer> {
  const v4 = isIpv4(address);
  const sockaddr = new Uint8Array(v4 ? 16 : SOCKADDR_LENGTH);
  sockaddr[0] = v4 ? AF_INET : AF_INET6;
  sockaddr[2] = port >> 8;
  sockaddr[3] = port & 0xff;
  if (v4) sockaddr.set(address.subarray(12), 4);
  else sockaddr.set(address, 8); // behind sin6_flowinfo
  return sockaddr;
}

/** The longest path of a Unix socket, in octets. */
const MAX_UNIX_PATH = 108;

/**
 * Writes the path of a Unix socket, or with an `@` in front the name of an abstract one.
 *
 * @returns `undefined` where it is too long, or empty.
 */
export function encodeUnixSockaddr(path: string): Uint8Array<ArrayBuffer> | undefined {
  const octets = new TextEncoder().encode(path.startsWith("@") ? `\0${path.slice(1)}` : path);
  if (octets.length === 0 || octets.length > MAX_UNIX_PATH) return undefined;
  return unixSockaddr(octets);
}

/** struct sockaddr_un of these octets, 1 to 108, which begin with a NUL where they are an abstract name. */
export function unixSockaddr(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  // A path need not end with a NUL here, unix(7) "Pathname sockets"; the name of an abstract one must not.
  const sockaddr = new Uint8Array(2 + octets.length);
  sockaddr[0] = AF_UNIX;
  sockaddr.set(octets, 2);
  return sockaddr;
}

/** Reads an endpoint; `sockaddr` may be written to again afterwards. */
export function decodeSockaddr(sockaddr: Uint8Array): Endpoint {
  const address = new Uint8Array(16);
  decodeAddress(sockaddr, address);
  return { address, port: decodePort(sockaddr) };
}

/** Reads the IP address into `address`, 16 octets. */
export function decodeAddress(sockaddr: Uint8Array, address: IpAddress): void {
  if (familyOf(sockaddr) === AF_INET6) {
    for (let i = 0; i < 16; i++) address[i] = sockaddr[8 + i] ?? 0;
    return;
  }
  address.fill(0, 0, 10);
  address[10] = address[11] = 0xff;
  for (let i = 0; i < 4; i++) address[12 + i] = sockaddr[4 + i] ?? 0;
}

/** Reads the port. */
export function decodePort(sockaddr: Uint8Array): number {
  return ((sockaddr[2] ?? 0) << 8) | (sockaddr[3] ?? 0);
}
