/**
 * Binding a listener, and saying what to do where that fails.
 *
 * @module
 */

import { formatIpAddress, type IpAddress, isIpv4, parseIpAddress } from "../wire/ip_address.ts";
import { ListenError } from "./engine.ts";
import { messageOf } from "./thrown.ts";

/** How many connections the kernel may hold for us; it caps this at `net.core.somaxconn`, listen(2). */
export const BACKLOG = 4096;

/**
 * Whether an address can be bound beside the process that is to be replaced. Elsewhere `SO_REUSEPORT` means other things:
 * only Linux spreads connections among the sockets.
 */
const CAN_SHARE = Deno.build.os === "linux";

/** Where to bind, as `Deno.listen` and `Deno.serve` take it. */
export interface BindOptions {
  readonly hostname: string;
  readonly port: number;
  readonly reusePort: boolean;
}

/**
 * Listens on an address.
 *
 * @param addr Its name in errors.
 * @param hostname `"::"`: every address of this machine, of both families.
 * @param beside Whether another process has it, which this one replaces.
 * @throws {ListenError} If the address cannot be bound.
 */
export function listen(addr: string, hostname: string, port: number, beside = false): Deno.TcpListener {
  return bind(addr, hostname, port, beside, (options) => Deno.listen({ ...options, tcpBacklog: BACKLOG }));
}

/** Why an address cannot be listened on at this moment; `undefined` where it can. It is bound for that, and given back. */
export function listenProblem(addr: string, hostname: string, port: number): string | undefined {
  try {
    listenAlone(addr, hostname, port).close();
    return undefined;
  } catch (error) {
    if (error instanceof ListenError) return error.message;
    throw error;
  }
}

/** What of a listener the kernel goes by. */
export interface Binding {
  /** `"::"`: every address of this machine, of both families. */
  readonly hostname: string;
  readonly port: number;
}

/**
 * Whether two listeners want the same port of the same address, so that only one of them can be bound. All sockets are
 * bound with `IPV6_V6ONLY` off, so `::` is every address of both families, ipv6(7); a name counts as the address that
 * would be bound for it, and one that has none here overlaps with itself alone.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const everywhere = { hostname: "::", port: 443 };
 * assert.equal(takeSamePort(everywhere, { hostname: "127.0.0.1", port: 443 }), true);
 * assert.equal(takeSamePort(everywhere, { hostname: "127.0.0.1", port: 8443 }), false);
 * assert.equal(takeSamePort({ hostname: "0.0.0.0", port: 443 }, { hostname: "::1", port: 443 }), false);
 * ```
 */
export function takeSamePort(a: Binding, b: Binding): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  if (a.hostname === b.hostname || a.hostname === "::" || b.hostname === "::") return true;
  const [first, second] = [localAddressOf(a.hostname), localAddressOf(b.hostname)];
  if (first === undefined || second === undefined) return false;
  if (formatIpAddress(first) === formatIpAddress(second)) return true;
  return isIpv4(first) && isIpv4(second) && [first, second].some((ip) => formatIpAddress(ip) === "0.0.0.0");
}

/** The address of this machine that a host is bound to: itself, or what its name stands for; `undefined`: none is. */
export function localAddressOf(hostname: string): IpAddress | undefined {
  const address = parseIpAddress(hostname);
  if (address !== undefined) return address;
  try {
    using listener = Deno.listen({ hostname, port: 0 });
    return parseIpAddress(listener.addr.hostname);
  } catch {
    return undefined; // a name of another machine, or none at all: binding it says more
  }
}

/** Addresses for documentation, which no host has: RFC 5737 and RFC 3849. */
const NOBODYS = { v4: "192.0.2.255", v6: "2001:db8:ffff::1" } as const;

/**
 * Whether a connection to an address comes to this machine, as far as can be told: it can be bound. Where the system lets
 * any address be bound (`ip_nonlocal_bind`, ip(7)), that tells nothing, and only loopback addresses are known as ours.
 */
export function isOwnAddress(address: IpAddress): boolean {
  const text = formatIpAddress(address);
  if (text === "::" || text === "0.0.0.0" || text === "::1" || text.startsWith("127.")) return true;
  return canBind(text) && !canBind(isIpv4(address) ? NOBODYS.v4 : NOBODYS.v6);
}

function canBind(hostname: string): boolean {
  try {
    Deno.listen({ hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** Listens on an address that no other process has, and lets none share it. @throws {ListenError} If that cannot be. */
export function listenAlone(addr: string, hostname: string, port: number): Deno.TcpListener {
  return open(addr, hostname, port, (options) => Deno.listen({ ...options, reusePort: false, tcpBacklog: BACKLOG }));
}

/**
 * Binds an address, as {@linkcode listen} does, for what `make` makes of it. A process that replaces this one can share
 * it; any other is refused by the kernel, as it tries the address alone first. So does this one.
 *
 * @throws {ListenError} If the address cannot be bound.
 */
export function bind<T>(
  addr: string,
  hostname: string,
  port: number,
  beside: boolean,
  make: (options: BindOptions) => T,
): T {
  // The kernel never shares a port that it chooses itself.
  if (CAN_SHARE && !beside && port !== 0) listenAlone(addr, hostname, port).close();
  return open(addr, hostname, port, (options) => make({ ...options, reusePort: CAN_SHARE }));
}
function open<T>(
  addr: string,
  hostname: string,
  port: number,
  make: (options: Omit<BindOptions, "reusePort">) => T,
): T {
  try {
    return make({ hostname, port });
  } catch (error) {
    if (hostname === "::" && hasNoIpv6(error)) return open(addr, "0.0.0.0", port, make);
    throw new ListenError(addr, explain(error, port), { cause: error });
  }
}

/**
 * Accepts the next connection that is still there: of one that its client reset while it waited in the kernel's queue,
 * Deno cannot read the client's address any more, and throws. That is no fault of the listener's.
 */
export async function accept<Conn>(listener: { accept(): Promise<Conn> }): Promise<Conn> {
  for (;;) {
    try {
      return await listener.accept();
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

/** The connections of a listener, of each that is still there as it is accepted, until the listener is closed. */
export async function* incoming<Conn>(listener: { accept(): Promise<Conn> }): AsyncGenerator<Conn, void> {
  for (;;) {
    let conn: Conn;
    try {
      conn = await accept(listener);
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
      throw error;
    }
    yield conn;
  }
}

function isGone(error: unknown): boolean {
  const { ConnectionAborted, ConnectionReset, NotConnected } = Deno.errors;
  return [ConnectionAborted, ConnectionReset, NotConnected].some((gone) => error instanceof gone);
}

/** ipv6(7): no IPv6 in the kernel gives `EAFNOSUPPORT`, IPv6 switched off by sysctl `EADDRNOTAVAIL`. */
function hasNoIpv6(error: unknown): boolean {
  return error instanceof Deno.errors.AddrNotAvailable || codeOf(error) === "EAFNOSUPPORT";
}

function explain(error: unknown, port: number): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return "the address is in use; stop the program that has it, or choose another port";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return "this machine has no such address; use one of its own, or none (:port) for all of them";
  }
  if (codeOf(error) === "EACCES" || error instanceof Deno.errors.PermissionDenied) {
    return `permission denied${port < 1024 ? "; a port below 1024 needs CAP_NET_BIND_SERVICE or root" : ""}`;
  }
  return messageOf(error);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
