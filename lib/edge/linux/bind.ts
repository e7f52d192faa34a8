/**
 * Binding the sockets of a listener: one for each worker, among which the kernel spreads new connections.
 *
 * @module
 */

import { formatIpAddress, parseIpAddress } from "../../wire/ip_address.ts";
import { type Endpoint, parseHostPort } from "../../wire/socket_address.ts";
import { ListenError } from "../engine.ts";
import type { InheritedListener } from "../inherited.ts";
import { BACKLOG, listenAlone } from "../listen.ts";
import type { ListenerSnapshot } from "../snapshot.ts";
import {
  AF_INET6,
  errorName,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  type Libc,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_SOCKET,
  TCP_NODELAY,
} from "./libc.ts";
import { decodeSockaddr, encodeSockaddr, familyOf, SOCKADDR_LENGTH } from "./sockaddr.ts";

/** The sockets of one listener. */
export interface BoundListener {
  readonly addr: string;
  readonly hostname: string;
  readonly port: number;
  /** One at least for each worker. */
  readonly fds: readonly number[];
  /** Those of them that {@linkcode listenOn} is still to be called for. */
  readonly deaf: readonly number[];
}

/**
 * Binds `count` sockets to one address with `SO_REUSEPORT`, socket(7).
 *
 * @throws {ListenError} If it cannot be bound, as where another program has it: even one that has set `SO_REUSEPORT`,
 * with which the kernel would let us share.
 */
export function bindListener(libc: Libc, snapshot: ListenerSnapshot, count: number): BoundListener {
  const { addr, hostname, port } = snapshot;
  const exclusive = listenAlone(addr, hostname, port);
  const { hostname: ip, port: freePort } = exclusive.addr;
  exclusive.close();
  const address = parseIpAddress(ip);
  if (address === undefined) throw new ListenError(addr, `${ip} is not an IP address`);
  const fds: number[] = [];
  try {
    let endpoint: Endpoint = { address, port: port === 0 ? 0 : freePort };
    while (fds.length < count) {
      const fd = bindSocket(libc, addr, endpoint);
      fds.push(fd);
      listenOn(libc, addr, fd);
      if (endpoint.port === 0) endpoint = { address, port: boundPort(libc, fd) };
    }
    return { addr, hostname: formatIpAddress(address), port: endpoint.port, fds, deaf: [] };
  } catch (error) {
    for (const fd of fds) libc.close(fd);
    throw error;
  }
}

/**
 * Takes over the listener of the process that this one replaces: its sockets where it has passed them on, and as many
 * of our own beside them as make up `count`. These do not listen yet: a connection that the kernel gave one of them would
 * be lost if this process ended before it accepts.
 *
 * @throws {ListenError} If the address cannot be bound.
 */
export function inheritListener(
  libc: Libc,
  { addr }: ListenerSnapshot,
  { boundAddr, fds: inherited }: InheritedListener,
  count: number,
): BoundListener {
  const { host = "", port = 0 } = parseHostPort(boundAddr) ?? {};
  const address = parseIpAddress(host);
  if (address === undefined) throw new ListenError(addr, `${boundAddr} is not an IP address and a port`);
  const own: number[] = [];
  try {
    while (inherited.length + own.length < count) own.push(bindSocket(libc, addr, { address, port }));
    const fds = [...inherited, ...own];
    return { addr, hostname: formatIpAddress(address), port, fds, deaf: fds };
  } catch (error) {
    for (const fd of own) libc.close(fd);
    throw error;
  }
}

/**
 * Has a bound socket listen. For one that does already, only the length of its queue is set.
 *
 * @throws {ListenError} If it cannot.
 */
export function listenOn(libc: Libc, addr: string, fd: number): void {
  check(addr, "listen", libc.listen(fd, BACKLOG));
}

function bindSocket(libc: Libc, addr: string, endpoint: Endpoint): number {
  const sockaddr = encodeSockaddr(endpoint);
  const fd = check(addr, "socket", libc.socket(familyOf(sockaddr)));
  try {
    libc.enable(fd, SOL_SOCKET, SO_REUSEADDR);
    check(addr, "SO_REUSEPORT", libc.enable(fd, SOL_SOCKET, SO_REUSEPORT));
    libc.enable(fd, IPPROTO_TCP, TCP_NODELAY); // accepted sockets inherit it
    if (familyOf(sockaddr) === AF_INET6) libc.disable(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    check(addr, "bind", libc.bind(fd, sockaddr));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function boundPort(libc: Libc, fd: number): number {
  const sockaddr = new Uint8Array(SOCKADDR_LENGTH);
  libc.getsockname(fd, sockaddr);
  return decodeSockaddr(sockaddr).port;
}

function check(addr: string, call: string, result: number): number {
  if (result < 0) throw new ListenError(addr, `${call}: ${errorName(-result)}`);
  return result;
}
