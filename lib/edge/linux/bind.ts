/**
 * Binding the sockets of a listener: one for each worker, among which the kernel spreads new connections.
 *
 * @module
 */

import { formatIpAddress, parseIpAddress } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import { ListenError } from "../engine.ts";
import { BACKLOG, listen } from "../listen.ts";
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
  TCP_QUICKACK,
} from "./libc.ts";
import { decodeSockaddr, encodeSockaddr, familyOf, SOCKADDR_LENGTH } from "./sockaddr.ts";

/** The sockets of one listener. */
export interface BoundListener {
  readonly hostname: string;
  readonly port: number;
  /** One for each worker. */
  readonly fds: readonly number[];
}

/**
 * Binds `count` sockets to one address with `SO_REUSEPORT`, socket(7).
 *
 * @throws {ListenError} If it cannot be bound, as where another program has it: even one that has set `SO_REUSEPORT`,
 * with which the kernel would let us share.
 */
export function bindListener(libc: Libc, snapshot: ListenerSnapshot, count: number): BoundListener {
  const { addr, hostname, port } = snapshot;
  const exclusive = listen(addr, hostname, port);
  const { hostname: ip, port: freePort } = exclusive.addr;
  exclusive.close();
  const address = parseIpAddress(ip);
  if (address === undefined) throw new ListenError(addr, `${ip} is not an IP address`);
  const fds: number[] = [];
  try {
    let endpoint: Endpoint = { address, port: port === 0 ? 0 : freePort };
    while (fds.length < count) {
      fds.push(bindSocket(libc, snapshot, endpoint));
      if (endpoint.port === 0) endpoint = { address, port: boundPort(libc, fds[0] ?? -1) };
    }
    return { hostname: formatIpAddress(address), port: endpoint.port, fds };
  } catch (error) {
    for (const fd of fds) libc.close(fd);
    throw error;
  }
}

function bindSocket(libc: Libc, { addr, proxyProtocol }: ListenerSnapshot, endpoint: Endpoint): number {
  const sockaddr = encodeSockaddr(endpoint);
  const fd = check(addr, "socket", libc.socket(familyOf(sockaddr)));
  try {
    libc.enable(fd, SOL_SOCKET, SO_REUSEADDR);
    check(addr, "SO_REUSEPORT", libc.enable(fd, SOL_SOCKET, SO_REUSEPORT));
    libc.enable(fd, IPPROTO_TCP, TCP_NODELAY); // accepted sockets inherit it
    if (familyOf(sockaddr) === AF_INET6) libc.disable(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    check(addr, "bind", libc.bind(fd, sockaddr));
    check(addr, "listen", libc.listen(fd, BACKLOG));
    // Accepted sockets inherit this too: the first octets are acknowledged by the answer to them. A PROXY header may come
    // alone, and its sender may wait for the acknowledgement. Only what is set after listen(2) is inherited.
    if (!proxyProtocol) libc.disable(fd, IPPROTO_TCP, TCP_QUICKACK);
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
