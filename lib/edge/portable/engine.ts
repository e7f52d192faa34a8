/**
 * The portable engine: `Deno.listen` and `Deno.Conn`, on every platform that Deno runs on.
 *
 * @module
 */

import { Firewall } from "../../rules/firewall.ts";
import { GeoIp } from "../../rules/geoip.ts";
import { RateLimiter } from "../../rules/rate_limiter.ts";
import { RouteTable } from "../../rules/route_table.ts";
import { type Endpoint, formatEndpoint, formatHostPort } from "../../wire/socket_address.ts";
import { type Counters, REJECT_REASONS, type RejectReason } from "../counters.ts";
import type { ConnectionEnd, EndReason, Engine, EngineEvents } from "../engine.ts";
import type { EdgeSnapshot, EdgeTimeouts, FirewallSnapshot, ListenerSnapshot, RouteSnapshot } from "../snapshot.ts";
import { BufferPool } from "./buffer_pool.ts";
import { Connection, serveConnection } from "./connection.ts";
import { Backend } from "./dial.ts";
import { listen } from "./listen.ts";
import { TimedDeadlines } from "./timed_deadlines.ts";

/** How long accepting rests after the system refused it. */
const ACCEPT_PAUSE_MS = 100;

/** A bound listener. */
export interface Listener {
  /** Its place in the snapshot, and in the counters. */
  readonly index: number;
  readonly snapshot: ListenerSnapshot;
  readonly routes: RouteTable<RouteSnapshot>;
  readonly socket: Deno.TcpListener;
}

/** See the module. */
export class PortableEngine implements Engine {
  readonly addresses: readonly string[];
  readonly counters: Counters;
  readonly events: EngineEvents;
  readonly timeouts: EdgeTimeouts;
  readonly firewall: Firewall;
  readonly backends: Map<string, Backend>;
  readonly deadlines = new TimedDeadlines();
  readonly pool = new BufferPool();
  readonly open = new Set<Connection>();
  readonly #listeners: readonly Listener[];
  #accepting: Promise<void>[] = [];
  #stopped = false;
  #closed = false;
  readonly #drained = Promise.withResolvers<void>();

  /**
   * Binds every listener; none stays bound where one cannot be.
   *
   * @param counters One for as many listeners as the snapshot has.
   * @throws {ListenError} If an address cannot be bound.
   * @throws {GeoIpError} If the GeoIP file is not one.
   */
  constructor(snapshot: EdgeSnapshot, counters: Counters, events: EngineEvents) {
    this.counters = counters;
    this.events = events;
    this.timeouts = snapshot.timeouts;
    this.firewall = makeFirewall(snapshot.firewall);
    this.backends = new Map(snapshot.backends.entries().map(([name, addresses]) => [name, new Backend(addresses)]));
    this.#listeners = bindAll(snapshot.listeners);
    this.addresses = this.#listeners.map(({ socket }) => formatHostPort(socket.addr.hostname, socket.addr.port));
  }

  start(): void {
    this.#accepting = this.#listeners.map((listener) => this.#acceptLoop(listener));
  }

  setBackend(name: string, addresses: readonly Endpoint[]): void {
    this.backends.set(name, new Backend(addresses));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { socket } of this.#listeners) socket.close();
    await Promise.all(this.#accepting); // the kernel's socket lives until the `accept` that waits on it is over
    this.#closed = true;
    if (this.open.size === 0) this.#drained.resolve();
  }

  drained(): Promise<void> {
    return this.#drained.promise;
  }

  abort(): void {
    for (const connection of [...this.open]) connection.finish({ reason: "shutdown" });
  }

  /** Counts and reports a connection that is over. */
  ended(connection: Connection): void {
    const { listener, ended } = connection;
    const reason = ended?.reason ?? "internal_error";
    if (isRejection(reason)) this.counters.reject(listener.index, reason);
    this.counters.close(listener.index);
    this.events.connectionEnded({
      listener: listener.snapshot.addr,
      client: formatEndpoint(connection.client),
      serverName: connection.serverName,
      route: connection.route?.hostname,
      backend: connection.route?.backend,
      bytesIn: connection.bytesIn,
      bytesOut: connection.bytesOut,
      durationMs: performance.now() - connection.startedAt,
      end: reason,
      detail: ended?.detail,
    });
    this.open.delete(connection);
    if (this.#closed && this.open.size === 0) this.#drained.resolve();
  }

  async #acceptLoop(listener: Listener): Promise<void> {
    let failing = false;
    while (!this.#stopped) {
      try {
        this.#admit(listener, await listener.socket.accept());
        if (failing) this.events.acceptRecovered(listener.snapshot.addr);
        failing = false;
      } catch (error) {
        if (this.#stopped) return;
        // EMFILE and the like last: without a rest this loop would spin.
        if (!failing) this.events.acceptFailed(listener.snapshot.addr, error);
        failing = true;
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
      }
    }
  }

  #admit(listener: Listener, socket: Deno.TcpConn): void {
    if (!this.counters.open(listener.index, listener.snapshot.maxConnections)) {
      socket.close();
      this.events.connectionEnded(refusedAtOnce(listener.snapshot.addr, socket.remoteAddr));
      return;
    }
    try {
      void serveConnection(new Connection(this, listener, socket));
    } catch (error) {
      socket.close();
      this.counters.close(listener.index);
      this.events.internalError(error);
    }
  }
}

function refusedAtOnce(listener: string, { hostname, port }: Deno.NetAddr): ConnectionEnd {
  return {
    listener,
    client: formatHostPort(hostname, port),
    serverName: undefined,
    route: undefined,
    backend: undefined,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: 0,
    end: "max_connections",
    detail: undefined,
  };
}

const REJECTIONS: ReadonlySet<string> = new Set(REJECT_REASONS);

function isRejection(reason: EndReason): reason is RejectReason {
  return REJECTIONS.has(reason);
}

function makeFirewall({ rules, geoip, rateLimit, rateWindowMs }: FirewallSnapshot): Firewall {
  return new Firewall({
    rules,
    geoip: geoip && GeoIp.open(geoip),
    rateLimiter: rateLimit === 0 ? undefined : new RateLimiter({ limit: rateLimit, windowMs: rateWindowMs }),
  });
}

function bindAll(snapshots: readonly ListenerSnapshot[]): Listener[] {
  const bound: Listener[] = [];
  try {
    for (const [index, snapshot] of snapshots.entries()) {
      const routes = new RouteTable<RouteSnapshot>();
      for (const route of snapshot.routes) routes.set(route.hostname, route);
      bound.push({ index, snapshot, routes, socket: listen(snapshot.addr, snapshot.hostname, snapshot.port) });
    }
    return bound;
  } catch (error) {
    for (const { socket } of bound) socket.close();
    throw error;
  }
}
