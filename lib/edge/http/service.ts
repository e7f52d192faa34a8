/**
 * The L7 data plane of one thread: what it knows of routes and backends, and the connections that it serves.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import { createSecureContext, type SecureContext } from "node:tls";
import type { ClientTls } from "./client_tls.ts";
import { NodeTls } from "../portable/node_tls.ts";
import { dialWithDeno } from "../portable/backend_dial.ts";
import type { Dial } from "./backend/pool.ts";
import type { HttpPolicy } from "../../rules/http_policy.ts";
import { RouteTable } from "../../rules/route_table.ts";
import { type Endpoint, formatEndpoint } from "../../wire/socket_address.ts";
import type { EdgeChange } from "../change.ts";
import type { CounterWriter } from "../counters.ts";
import type { Deadlines } from "../deadlines.ts";
import type { ConnectionEnd, EndReason, RequestEnd } from "../engine.ts";
import type { Suppression } from "../suppression.ts";
import { stackOf } from "../thrown.ts";
import type { CertificateSnapshot, EdgeSnapshot, EdgeTimeouts, HttpRoute, RouteSnapshot } from "../snapshot.ts";
import { BackendPool } from "./backend/pool.ts";
import { type Accepted, HttpClient } from "./client_connection.ts";
import type { Counting } from "../portable/socket_transport.ts";

/** An L7 route. */
export type ServedRoute = RouteSnapshot & { readonly http: HttpRoute };

/** What a service is given beside a snapshot. */
export interface ServiceOptions {
  readonly counters: CounterWriter;
  readonly deadlines: Deadlines;
  /** Decides which requests that could not be read are reported. */
  readonly suppression: Suppression;
  /** Where they are not the runtime's. */
  readonly makeContext?: (pem: CertificateSnapshot) => unknown;
  readonly dial?: Dial;
  requestEnded(end: RequestEnd): void;
  dialFailed(backend: string): void;
  /** A fault of ours that ended one connection: its stack. */
  internalError(stack: string): void;
}

interface Certificate {
  readonly pem: CertificateSnapshot;
  context: unknown;
}

interface SharedPool {
  readonly pool: BackendPool;
  users: number;
}

/** See the module. */
export class HttpService {
  readonly deadlines: Deadlines;
  readonly timeouts: EdgeTimeouts;
  /** Whether anyone wants to know of requests that ended. */
  readonly reportsRequests: boolean;
  readonly #options: ServiceOptions;
  readonly #listeners: readonly { readonly addr: string; readonly routes: RouteTable<RouteSnapshot> }[];
  readonly #backends: Map<string, readonly Endpoint[]>;
  /** Connections to backends, by what they have in common. */
  readonly #pools = new Map<string, SharedPool>();
  readonly #keys = new WeakMap<RouteSnapshot, string>();
  readonly #certificates = new Map<string, Certificate>();
  readonly #clients = new Set<HttpClient>();
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(snapshot: EdgeSnapshot, options: ServiceOptions) {
    this.#options = options;
    this.deadlines = options.deadlines;
    this.timeouts = snapshot.timeouts;
    this.reportsRequests = snapshot.reportsRequests;
    this.#listeners = snapshot.listeners.map(({ addr }) => ({ addr, routes: new RouteTable<RouteSnapshot>() }));
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
  take(socket: Duplex, accepted: Accepted, ended: (end: ConnectionEnd) => void): void {
    const tls = (context: unknown) => new NodeTls(socket, context as SecureContext);
    this.takeTls(tls, () => socket.destroy(), accepted, ended);
  }

  /** @param makeTls Over a connection of which nothing was read. @param destroy Ends one that there is no context for. */
  takeTls(
    makeTls: (context: unknown) => ClientTls,
    destroy: () => void,
    accepted: Accepted,
    ended: (end: ConnectionEnd) => void,
  ): void {
    const route = this.#listeners[accepted.listener]?.routes.get(accepted.route);
    const context = route && isHttp(route) ? this.secureContextOf(route) : undefined;
    if (context === undefined) { // removed a moment ago, or its files have never been sound
      destroy();
      const addr = this.listenerAddr(accepted.listener);
      return ended(route === undefined ? refused(addr, accepted, "no_route") : refused(addr, accepted, "tls_failed"));
    }
    let isEnded = false;
    try {
      const client = new HttpClient(this, makeTls(context), accepted, (end) => {
        isEnded = true;
        ended(end);
      });
      if (isEnded) return;
      this.#clients.add(client);
      if (this.#drained !== undefined) client.drain();
    } catch (thrown) {
      destroy();
      this.fault(thrown);
      ended(refused(this.listenerAddr(accepted.listener), accepted, "internal_error"));
    }
  }

  /** Makes those of the changes that concern HTTP. */
  apply(changes: readonly EdgeChange[]): void {
    for (const change of changes) this.#apply(change);
  }

  /** Has every connection end when its requests are answered; resolves when none is open. */
  async drain(): Promise<void> {
    this.#drained ??= Promise.withResolvers();
    for (const client of [...this.#clients]) client.drain();
    if (this.#clients.size === 0) this.#drained.resolve();
    await this.#drained.promise;
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
    return route !== undefined && route.hostname === pattern && isHttp(route) ? route : undefined;
  }

  /** What the TLS of a route needs; `undefined` where its certificate is missing. It is made when it is first used. */
  secureContextOf({ http }: ServedRoute): unknown {
    const certificate = this.#certificates.get(http.certificate);
    if (certificate === undefined) return undefined;
    return certificate.context ??= this.#options.makeContext?.(certificate.pem) ??
      createSecureContext({ ...certificate.pem, minVersion: "TLSv1.2" });
  }

  /** What connections to a route's backend have in common. */
  poolKey(route: ServedRoute): string {
    let key = this.#keys.get(route);
    if (key === undefined) {
      const { backendTls, backendProtocol, backendCa, backendServerName } = route.http;
      key = JSON.stringify([route.backend, backendTls, backendProtocol, backendCa, backendServerName]);
      this.#keys.set(route, key);
    }
    return key;
  }

  sharedPool(route: ServedRoute): BackendPool {
    const shared = this.#pools.get(this.poolKey(route));
    if (shared === undefined) throw new TypeError(`no pool for ${route.backend}`);
    return shared.pool;
  }

  makePool(route: ServedRoute, prefix?: Uint8Array): BackendPool {
    const { backend: name, rows } = route;
    const { routes: counters } = this.#options.counters;
    return new BackendPool({
      settings: { ...route.http, name },
      prefix,
      dial: this.#options.dial ?? dialWithDeno,
      connectMs: this.timeouts.connectMs,
      deadlines: this.deadlines,
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

  counting(listener: number): Counting {
    const { counters } = this.#options;
    return {
      read: (bytes) => counters.bytesIn(listener, bytes),
      written: (bytes) => counters.bytesOut(listener, bytes),
    };
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
    if (this.#clients.size === 0) this.#drained?.resolve();
  }

  // ---- Changes -------------------------------------------------------------------------------------------------------

  #apply(change: EdgeChange): void {
    switch (change.kind) {
      case "set_backend": {
        this.#backends.set(change.name, change.addresses);
        for (const { pool } of this.#pools.values()) if (pool.settings.name === change.name) pool.addressesChanged();
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
        this.#certificates.set(change.name, { pem: change.certificate, context: undefined });
        return;
      case "remove_certificate":
        this.#certificates.delete(change.name);
        return;
      default: // of the rest, nothing is decided here
        return;
    }
  }

  #setRoute(listener: number, route: RouteSnapshot): void {
    const routes = this.#listeners[listener]?.routes;
    if (routes === undefined) throw new RangeError(`no listener number ${listener}`);
    const old = routes.get(route.hostname);
    // Routes of L4 too: a name that has one of its own is not served by a wildcard of L7.
    routes.set(route.hostname, route);
    if (isHttp(route) && !route.sendProxyProtocol) this.#usePool(route);
    if (old !== undefined) this.#releasePool(old);
  }

  #removeRoute(listener: number, hostname: string): void {
    const routes = this.#listeners[listener]?.routes;
    const old = routes?.get(hostname);
    routes?.delete(hostname);
    if (old !== undefined) this.#releasePool(old);
  }

  #usePool(route: ServedRoute): void {
    const key = this.poolKey(route);
    const shared = this.#pools.get(key);
    if (shared === undefined) this.#pools.set(key, { pool: this.makePool(route), users: 1 });
    else shared.users++;
  }

  #releasePool(route: RouteSnapshot): void {
    if (!isHttp(route) || route.sendProxyProtocol) return;
    const key = this.poolKey(route);
    const shared = this.#pools.get(key);
    if (shared === undefined || --shared.users > 0) return;
    this.#pools.delete(key);
    shared.pool.close();
  }
}

function isHttp(route: RouteSnapshot): route is ServedRoute {
  return route.http !== undefined;
}

function refused(listener: string, { client, serverName, route }: Accepted, end: EndReason): ConnectionEnd {
  return {
    listener,
    client: formatEndpoint(client),
    serverName,
    route,
    backend: undefined,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: 0,
    end,
    detail: end === "tls_failed" ? "the route has no certificate" : undefined,
  };
}
