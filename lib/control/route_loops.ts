/**
 * Routes whose connections come back to where they came from, and go round until every descriptor is used up.
 *
 * @module
 */

import { isOwnAddress, localAddressOf } from "../edge/listen.ts";
import { RouteTable } from "../rules/route_table.ts";
import { formatIpAddress, type IpAddress, isIpv4, parseIpAddress } from "../wire/ip_address.ts";
import { parseHostPort } from "../wire/socket_address.ts";
import type { ConfigProblem, ListenerConfig, RouteConfig } from "./config_types.ts";
import { REQUEST_HOST } from "../edge/snapshot.ts";
import { bindingOf } from "./listen_conflicts.ts";
import { quote } from "./quote.ts";

/** A label for what a wildcard stands for. */
const ANY = "mc-proxy-any";

/** The addresses of a backend, `host:port`, as far as they are known. */
export type AddressesOf = (backend: string) => readonly IpAddress[];

/** A listener and where it is reached. */
interface Place {
  readonly addr: string;
  readonly proxyProtocol: boolean;
  readonly hostname: string;
  readonly port: number;
  /** What `hostname` stands for. */
  readonly address: IpAddress | undefined;
}

interface Listener extends Place {
  readonly routes: RouteTable<RouteConfig>;
}

/**
 * Finds routes that lead back to themselves, through the listener that they are of or through others of this server: by
 * their backends' addresses, and the server name that is asked for there.
 *
 * What ends on its way is no loop: where a PROXY header is sent to who expects none, or the other way round; and an L7
 * route without TLS to its backend, as listeners take nothing but TLS.
 *
 * @param isAsked Which routes are looked at; by default, all.
 * @param addressesOf By default, those of backends that are given as an address, or as `localhost`.
 */
export function routeLoops(
  listeners: readonly ListenerConfig[],
  { isAsked = () => true, addressesOf = addressesGiven }: {
    readonly isAsked?: (route: RouteConfig, addr: string) => boolean;
    readonly addressesOf?: AddressesOf;
  } = {},
): ConfigProblem[] {
  const known = listeners.map((listener) => ({ ...placeOf(listener), routes: tableOf(listener) }));
  const finder = new OwnListeners(known, addressesOf);
  return listeners.flatMap(({ addr, routes }, i) =>
    routes.flatMap((route, j) => {
      const path = known[i] && isAsked(route, addr) ? wayBack(route, known[i], finder) : undefined;
      if (path === undefined) return [];
      const [first = "", ...rest] = path.map((each) => quote(each.addr));
      const way = rest.length === 0 ? "which sends it there again" : `which sends it back by ${rest.join(", ")}`;
      const message = `${quote(route.backend)} is this server's own listener ${first}, ${way}: a connection would go ` +
        "round for ever; write the address of the service itself";
      return [{ path: `listeners[${i}].routes[${j}].backend`, message }];
    })
  );
}

/** Whether a route leads to one of these listeners at all. */
export function leadsToOwn(
  route: RouteConfig,
  listeners: readonly Pick<ListenerConfig, "addr" | "proxyProtocol">[],
  addressesOf: AddressesOf,
): boolean {
  return new OwnListeners(listeners.map(placeOf), addressesOf).find(route) !== undefined;
}

/** Finds the listeners that routes lead to. */
class OwnListeners<Known extends Place> {
  readonly #listeners: readonly Known[];
  readonly #ports: ReadonlySet<number>;
  readonly #addressesOf: AddressesOf;
  readonly #own = new Map<string, boolean>();

  constructor(listeners: readonly Known[], addressesOf: AddressesOf) {
    this.#listeners = listeners;
    this.#ports = new Set(listeners.map(({ port }) => port).filter((port) => port !== 0));
    this.#addressesOf = addressesOf;
  }

  /** The listener that a route's connections come to, if one takes them. */
  find({ backend, sendProxyProtocol }: RouteConfig): Known | undefined {
    const { port = 0 } = parseHostPort(backend) ?? {};
    if (!this.#ports.has(port)) return undefined;
    const addresses = this.#addressesOf(backend).filter((address) => this.#isOwn(address));
    return this.#listeners.find((listener) =>
      listener.port === port && listener.proxyProtocol === sendProxyProtocol &&
      addresses.some((address) => isReachedAt(listener, address))
    );
  }

  #isOwn(address: IpAddress): boolean {
    const text = formatIpAddress(address);
    const isOwn = this.#own.get(text) ?? isOwnAddress(address);
    this.#own.set(text, isOwn);
    return isOwn;
  }
}

function placeOf({ addr, proxyProtocol }: Pick<ListenerConfig, "addr" | "proxyProtocol">): Place {
  const { hostname, port } = bindingOf(addr);
  return { addr, proxyProtocol, hostname, port, address: localAddressOf(hostname) };
}

function tableOf({ routes }: ListenerConfig): RouteTable<RouteConfig> {
  const table = new RouteTable<RouteConfig>();
  for (const route of routes) table.set(route.hostname, route);
  return table;
}

/** The listeners on the way from a route back to it; `undefined` where there is none. */
function wayBack(start: RouteConfig, own: Listener, listeners: OwnListeners<Listener>): Listener[] | undefined {
  const seen = new Set<RouteConfig>();
  const way: Listener[] = [];
  let route: RouteConfig | undefined = start;
  let name: string | undefined = start.hostname.replace(/^\*(?=\.)/, ANY).replace(/^\*$/, `${ANY}.invalid`);
  while (route !== undefined && !seen.has(route)) {
    seen.add(route);
    if (route.mode === "l7" && !route.backendTls) return undefined;
    const next = listeners.find(route);
    if (next === undefined) return undefined;
    way.push(next);
    if (route.mode === "l7") name = serverNameOf(route, name);
    route = next.routes.lookup(name);
    if (route === start && next === own) return way;
  }
  return undefined;
}

/** What a backend of an L7 route is asked for: no name, where it is given as an address. */
function serverNameOf({ backend, backendServerName }: RouteConfig, asked: string | undefined): string | undefined {
  if (backendServerName === REQUEST_HOST) return asked;
  if (backendServerName !== "") return backendServerName;
  const host = parseHostPort(backend)?.host ?? "";
  return parseIpAddress(host) === undefined ? host : undefined;
}

/** Whether a listener is reached at an address of this machine. */
function isReachedAt({ hostname, address }: Place, own: IpAddress): boolean {
  if (hostname === "::") return true;
  const [bound, asked] = [address && formatIpAddress(address), formatIpAddress(own)];
  // Who connects to no address in particular, comes to the loopback: tcp(7) has it so for both families.
  const reached = asked === "0.0.0.0" ? "127.0.0.1" : asked === "::" ? "::1" : asked;
  return bound === reached || (bound === "0.0.0.0" && isIpv4(own));
}

/** The address of a backend that is given as one, or as `localhost`. */
export function addressesGiven(backend: string): readonly IpAddress[] {
  const { host = "" } = parseHostPort(backend) ?? {};
  const address = host === "localhost" ? localAddressOf(host) : parseIpAddress(host);
  return address === undefined ? [] : [address];
}
