/**
 * The L7 data plane of one thread: what it knows of routes and backends, and the connections that it serves.
 *
 * @module
 */

import type { HttpPolicy } from "../../rules/http_policy.ts";
import { RouteTable } from "../../rules/route_table.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import type { EdgeChange } from "../change.ts";
import type { CounterWriter } from "../counters.ts";
import type { RequestEnd } from "../engine.ts";
import {
  type CertificateSnapshot,
  type EdgeSnapshot,
  type EdgeTimeouts,
  REQUEST_HOST,
  type RouteSnapshot,
} from "../snapshot.ts";
import type { Suppression } from "../suppression.ts";
import { messageOf, stackOf } from "../thrown.ts";
import type { Dial } from "./backend/dial.ts";
import { BackendPool } from "./backend/pool.ts";
import { type NoPool, PoolTable } from "./backend/pool_table.ts";
import { BackendRoom } from "./backend/room.ts";
import { type Accepted, type ClientService, HttpClient, type HttpEnd, refusedEnd } from "./client_connection.ts";
import type { ByteCounting, ClientTls, ServerTlsContext } from "./client_tls.ts";
import { isServed, type ServedRoute } from "./served_route.ts";
import type { Turn } from "./turn.ts";

/** What a service is given beside a snapshot. */
export interface ServiceOptions<Context extends ServerTlsContext> {
  readonly counters: CounterWriter;
  readonly turn: Turn;
  /** Decides which requests that could not be read are reported. */
  readonly suppression: Suppression;
  /** Connects to backends. */
  readonly dial: Dial;
  /** @throws {Error} Where the library takes the certificate or its key for unsound. */
  makeContext(pem: CertificateSnapshot): Context;
  requestEnded(end: RequestEnd): void;
  dialFailed(backend: string): void;
  /** A fault of ours that ended one connection: its stack. */
  internalError(stack: string): void;
}

/** A client's connection of an L7 route, of which nothing was read. */
export interface Incoming<Context extends ServerTlsContext> extends Accepted {
  /** Begins TLS on it. It is the service's from now on. */
  secure(context: Context): ClientTls;
  /** Ends it: there is nothing to begin TLS with. */
  refuse(): void;
}

interface Certificate<Context> {
  readonly pem: CertificateSnapshot;
  /** Made when it is first used. */
  context: Context | undefined;
}

/** What routes with the same backend and settings have in common. */
interface SharedBackend {
  readonly room: BackendRoom;
  /** Made when it is first used; never where each name that is asked for, or each client, has one of its own. */
  pool: BackendPool | undefined;
  /** Routes. */
  users: number;
}

/** Names that a thread has connections for at once, over all routes that ask their backend for the client's. */
const MAX_NAMED_POOLS = 1_024;

/** What goes before every connection of a pool, and what is done when it is not used any more. */
interface PoolOwner {
  readonly room: BackendRoom;
  readonly prefix?: Uint8Array<ArrayBuffer>;
  readonly unused?: () => void;
}

/** See the module. */
export class HttpService<Context extends ServerTlsContext = ServerTlsContext> implements ClientService {
  readonly turn: Turn;
  readonly timeouts: EdgeTimeouts;
  /** Whether anyone wants to know of requests that ended. */
  readonly reportsRequests: boolean;
  readonly #options: ServiceOptions<Context>;
  readonly #listeners: readonly { readonly addr: string; readonly routes: RouteTable<RouteSnapshot> }[];
  readonly #countings: readonly ByteCounting[];
  readonly #backends: Map<string, readonly Endpoint[]>;
  /** Backends, by what their connections have in common. */
  readonly #shared = new Map<string, SharedBackend>();
  /** Connections to them by the name that is asked for as well: those of `backend_server_name = "{host}"`. */
  readonly #named = new PoolTable<BackendPool>(MAX_NAMED_POOLS);
  readonly #keys = new WeakMap<RouteSnapshot, string>();
  readonly #certificates = new Map<string, Certificate<Context>>();
  readonly #clients = new Set<HttpClient>();
  #draining = false;
  #drained: (() => void) | undefined;

  constructor(snapshot: EdgeSnapshot, options: ServiceOptions<Context>) {
    this.#options = options;
    this.turn = options.turn;
    this.timeouts = snapshot.timeouts;
    this.reportsRequests = snapshot.reportsRequests;
    this.#listeners = snapshot.listeners.map(({ addr }) => ({ addr, routes: new RouteTable<RouteSnapshot>() }));
    const { counters } = options;
    this.#countings = snapshot.listeners.map((_, listener) => ({
      read: (bytes) => counters.bytesIn(listener, bytes),
      written: (bytes) => counters.bytesOut(listener, bytes),
    }));
    this.#backends = new Map(snapshot.backends);
    for (const [name, pem] of snapshot.certificates) this.#certificates.set(name, { pem, context: undefined });
    for (const [listener, { routes }] of snapshot.listeners.entries()) {
      for (const route of routes) this.#setRoute(listener, route);
    }
  }

  /** How many connections are open. */
  get active(): number {
    return this.#clients.size;
  }

  /** Serves a connection. */
  take(incoming: Incoming<Context>): void {
    const route = this.#listeners[incoming.listener]?.routes.get(incoming.route);
    if (route === undefined || !isServed(route)) return this.#refuse(incoming, refusedEnd("no_route")); // removed a moment ago
    let context: Context | undefined;
    try {
      context = this.#contextOf(route);
    } catch (thrown) {
      return this.#refuse(incoming, refusedEnd("tls_failed", messageOf(thrown)));
    }
    if (context === undefined) return this.#refuse(incoming, refusedEnd("tls_failed", "the route has no certificate"));
    try {
      const client = new HttpClient(this, incoming.secure(context), incoming);
      this.#clients.add(client);
      if (this.#draining) client.drain();
    } catch (thrown) {
      this.fault(thrown);
      this.#refuse(incoming, refusedEnd("internal_error"));
    }
  }

  #refuse(incoming: Incoming<Context>, end: HttpEnd): void {
    incoming.refuse();
    incoming.ended(end);
  }

  /** Makes those of the changes that concern HTTP. */
  apply(changes: readonly EdgeChange[]): void {
    for (const change of changes) this.#apply(change);
  }

  /** Has every connection end when its requests are answered. @param drained Told once none is open. */
  drain(drained?: () => void): void {
    this.#draining = true;
    this.#drained = drained;
    for (const client of [...this.#clients]) client.drain();
    if (this.#clients.size === 0) this.#drained?.();
  }

  /** Ends every connection at once. */
  abort(): void {
    for (const client of [...this.#clients]) client.abort();
  }

  // ---- What a client's connection uses -------------------------------------------------------------------------------

  /**
   * The route of a pattern as it is now, where it is also the one that serves `hostname`.
   *
   * @param hostname As `normalizeHostname` spells it; `undefined` where an IP address or nobody is asked for.
   */
  routeFor(listener: number, pattern: string, hostname: string | undefined): ServedRoute | undefined {
    const route = this.#listeners[listener]?.routes.lookup(hostname);
    return route !== undefined && route.hostname === pattern && isServed(route) ? route : undefined;
  }

  #contextOf({ http }: ServedRoute): Context | undefined {
    const certificate = this.#certificates.get(http.certificate);
    if (certificate === undefined) return undefined;
    return certificate.context ??= this.#options.makeContext(certificate.pem);
  }

  /** What connections to a route's backend have in common. */
  #poolKey(route: ServedRoute): string {
    let key = this.#keys.get(route);
    if (key === undefined) {
      const { backendTls, backendProtocol, backendCa, backendServerName, backendPins } = route.http;
      const tls = [backendTls, backendProtocol, backendCa, backendServerName, backendPins];
      key = JSON.stringify([route.backend, ...tls, route.http.backendMaxConnections]);
      this.#keys.set(route, key);
    }
    return key;
  }

  sharedPool(route: ServedRoute, hostname: string | undefined): BackendPool | NoPool {
    const shared = this.#sharedOf(route);
    const { room } = shared;
    if (!asksForHost(route)) return shared.pool ??= this.#makePool(route, { room });
    if (hostname === undefined) return "nameless";
    const make = (unused: () => void) => this.#makePool(named(route, hostname), { room, unused });
    return this.#named.get(this.#namedKey(route, hostname), make);
  }

  #sharedOf(route: ServedRoute): SharedBackend {
    const shared = this.#shared.get(this.#poolKey(route));
    if (shared === undefined) throw new TypeError(`no pool for ${route.backend}`);
    return shared;
  }

  ownPool(
    route: ServedRoute,
    hostname: string | undefined,
    { pools, prefix }: { readonly pools: PoolTable<BackendPool>; prefix(): Uint8Array<ArrayBuffer> },
  ): BackendPool | NoPool {
    const { room } = this.#sharedOf(route);
    const makeFor = (asked: ServedRoute) => (unused: () => void) =>
      this.#makePool(asked, { room, prefix: prefix(), unused });
    if (!asksForHost(route)) return pools.get(this.#poolKey(route), makeFor(route));
    if (hostname === undefined) return "nameless";
    return pools.get(this.#namedKey(route, hostname), makeFor(named(route, hostname)));
  }

  #namedKey(route: ServedRoute, hostname: string): string {
    return `${this.#poolKey(route)}${hostname}`;
  }

  #makePool(route: ServedRoute, { room, prefix, unused }: PoolOwner): BackendPool {
    const { backend: name, rows } = route;
    const { routes: counters } = this.#options.counters;
    return new BackendPool({
      settings: { ...route.http, name },
      prefix,
      ...unused !== undefined && { unused },
      dial: this.#options.dial,
      connectMs: this.timeouts.connectMs,
      room,
      turn: this.turn,
      addresses: () => this.#backends.get(name) ?? [],
      dialled: (seconds) => counters.dialled(rows.backend, seconds),
      dialFailed: () => {
        counters.dialFailed(rows.backend);
        this.#options.dialFailed(name);
      },
      fault: (thrown) => this.fault(thrown),
    });
  }

  listenerAddr(listener: number): string {
    return this.#listeners[listener]?.addr ?? "";
  }

  counting(listener: number): ByteCounting {
    const counting = this.#countings[listener];
    if (counting === undefined) throw new RangeError(`no listener number ${listener}`);
    return counting;
  }

  /** Counts a request that is over, by the pattern of its route; that of a route which was removed has no place. */
  countRequest(
    listener: number,
    pattern: string,
    { status, durationMs }: Pick<RequestEnd, "status" | "durationMs">,
  ): void {
    const route = this.#listeners[listener]?.routes.get(pattern);
    if (route !== undefined) this.#options.counters.routes.request(route.rows.hostname, status, durationMs / 1000);
  }

  /** Counts a request that a policy refused. */
  countPolicyBlock({ rows }: ServedRoute, { type }: HttpPolicy): void {
    this.#options.counters.routes.policyBlock(rows.hostname, type);
  }

  requestEnded(end: RequestEnd): void {
    this.#options.requestEnded(end);
  }

  /** Whether a request that could not be read is one of so many that it is only counted. */
  suppressesMalformed(listener: number, route: string, status: number, client: string): boolean {
    const suppressed = this.#options.suppression.malformed(this.listenerAddr(listener), route, status);
    if (suppressed?.wantsClient) suppressed.note(client);
    return suppressed !== undefined;
  }

  /** Reports what was thrown in a connection, which its owner ends. */
  fault(thrown: unknown): void {
    this.#options.internalError(stackOf(thrown));
  }

  forget(client: HttpClient): void {
    this.#clients.delete(client);
    if (this.#clients.size === 0 && this.#draining) this.#drained?.();
  }

  // ---- Changes -------------------------------------------------------------------------------------------------------

  #apply(change: EdgeChange): void {
    switch (change.kind) {
      case "set_backend": {
        this.#backends.set(change.name, change.addresses);
        this.#addressesChanged(change.name);
        return;
      }
      case "remove_backend":
        this.#backends.delete(change.name);
        return;
      case "set_route":
        return this.#setRoute(change.listener, change.route);
      case "remove_route":
        return this.#removeRoute(change.listener, change.hostname);
      case "set_certificate":
        this.#forgetCertificate(change.name);
        this.#certificates.set(change.name, { pem: change.certificate, context: undefined });
        return;
      case "remove_certificate":
        return this.#forgetCertificate(change.name);
      default: // of the rest, nothing is decided here
        return;
    }
  }

  #addressesChanged(backend: string): void {
    for (const pool of this.#named) if (pool.settings.name === backend) pool.addressesChanged();
    for (const { pool } of this.#shared.values()) if (pool?.settings.name === backend) pool.addressesChanged();
  }

  #forgetCertificate(name: string): void {
    this.#certificates.get(name)?.context?.free();
    this.#certificates.delete(name);
  }

  #setRoute(listener: number, route: RouteSnapshot): void {
    const routes = this.#listeners[listener]?.routes;
    if (routes === undefined) throw new RangeError(`no listener number ${listener}`);
    const old = routes.get(route.hostname);
    // Routes of L4 too: a name that has one of its own is not served by a wildcard of L7.
    routes.set(route.hostname, route);
    if (isServed(route)) this.#useBackend(route);
    if (old !== undefined) this.#releaseBackend(old);
  }

  #removeRoute(listener: number, hostname: string): void {
    const routes = this.#listeners[listener]?.routes;
    const old = routes?.get(hostname);
    routes?.delete(hostname);
    if (old !== undefined) this.#releaseBackend(old);
  }

  #useBackend(route: ServedRoute): void {
    const key = this.#poolKey(route);
    const shared = this.#shared.get(key);
    if (shared !== undefined) shared.users++;
    else {
      const room = new BackendRoom(route.http.backendMaxConnections, this.turn);
      this.#shared.set(key, { room, pool: undefined, users: 1 });
    }
  }

  #releaseBackend(route: RouteSnapshot): void {
    if (!isServed(route)) return;
    const key = this.#poolKey(route);
    const shared = this.#shared.get(key);
    if (shared === undefined || --shared.users > 0) return;
    this.#shared.delete(key);
    shared.pool?.close();
    this.#named.close(key);
  }
}

/** Whether the backend is asked for the name that the client asks for. */
function asksForHost({ http }: ServedRoute): boolean {
  return http.backendTls && http.backendServerName === REQUEST_HOST;
}

/** A route whose backend is asked for one name. */
function named(route: ServedRoute, hostname: string): ServedRoute {
  return { ...route, http: { ...route.http, backendServerName: hostname } };
}
