/**
 * The life of one connection, from accept to end, as a state machine that events drive. The steps stand in the order in
 * which they are taken, which is that of docs/ARCHITECTURE.md.
 *
 * @module
 */

import { BLOCKED, brokenOff, type End } from "../end.ts";
import type { EndReason } from "../engine.ts";
import type { RouteSnapshot } from "../snapshot.ts";
import { type ClientHelloProgress, newClientHelloProgress, parseClientHello } from "../../wire/client_hello.ts";
import { encodeProxyHeaderV2, parseProxyHeader } from "../../wire/proxy_protocol.ts";
import type { IpAddress } from "../../wire/ip_address.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import { CompactEndpoint } from "./compact_endpoint.ts";
import { dialFailure, type DialledConnection, dialNext, type DialWorker } from "./dial.ts";
import {
  EAGAIN,
  EPIPE,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  errorName,
  IPPROTO_TCP,
  TCP_QUICKACK,
} from "./libc.ts";
import type { Handler } from "./loop.ts";
import { pump, type RelayedConnection, type Relaying, type RelayWorker } from "./relay.ts";
import type { CounterWriter } from "../counters.ts";
import type { Firewall } from "../../rules/firewall.ts";
import type { RouteTable } from "../../rules/route_table.ts";
import type { EdgeTimeouts } from "../snapshot.ts";

/** Edge-triggered: an event tells that something is new, so that one which is not acted upon does not come again. */
const WATCHED = (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) >>> 0;

/** What a read may find: bytes, their end, or an error. */
const READABLE = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;

/** What a connection needs of its worker. */
export interface ConnectionWorker extends DialWorker, RelayWorker {
  readonly counters: CounterWriter;
  readonly firewall: Firewall;
  readonly timeouts: EdgeTimeouts;
  /** Gives a connection of an L7 route to HTTP, which counts and reports it. */
  serve(connection: Connection, route: RouteSnapshot): void;
  /** Counts and reports a connection that is over. */
  ended(connection: Connection, end: End): void;
  /** Ends a connection in whose turn something was thrown: it, and it alone. */
  fault(connection: Connection, thrown: unknown): void;
}

/** What a connection needs of the listener that it came on. */
export interface ConnectionListener {
  readonly worker: ConnectionWorker;
  /** Its place in the snapshot, and in the counters. */
  readonly index: number;
  readonly addr: string;
  readonly proxyProtocol: boolean;
  readonly routes: RouteTable<RouteSnapshot>;
}

/** Where a connection is in its life; it goes from left to right, and to `ended` from anywhere but `served`,
 * where HTTP has taken it up. */
export type State = "proxy_header" | "hello" | "dialing" | "relaying" | "served" | "ended";

/** One of the two sockets of a connection. */
export class Side implements Handler, Relaying {
  fd = -1;
  generation = 0;
  readonly connection: Connection;
  hungUp = false;
  finished = false;
  eof = false;
  shut = false;
  pending: Uint8Array<ArrayBuffer> | undefined;
  pendingStart = 0;
  pendingEnd = 0;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  onEvent(events: number): void {
    try {
      this.connection.onEvent(this, events);
    } catch (error) {
      this.connection.worker.fault(this.connection, error);
    }
  }
}

/** One accepted connection and all that belongs to it. */
export class Connection implements DialledConnection, RelayedConnection {
  readonly worker: ConnectionWorker;
  readonly acceptor: ConnectionListener;
  readonly client: Side = new Side(this);
  readonly backend: Side = new Side(this);
  readonly startedAt: number;
  state: State;

  /** The real client: the peer, or whom the PROXY header names. */
  source: CompactEndpoint;
  /** The address that the client connected to, where a PROXY header named it. */
  destination: Endpoint | undefined;
  serverName: string | undefined;
  route: RouteSnapshot | undefined;
  /** How many of the backend's addresses were dialled, and until when the rest may be. */
  dialled = 0;
  giveUpAt = 0;
  bytesIn = 0;
  bytesOut = 0;

  deadline = 0;
  slot = -1;
  #progress: ClientHelloProgress | undefined;

  constructor(acceptor: ConnectionListener, source: CompactEndpoint) {
    this.worker = acceptor.worker;
    this.acceptor = acceptor;
    this.source = source;
    this.startedAt = this.worker.deadlines.now;
    this.state = acceptor.proxyProtocol ? "proxy_header" : "hello";
  }

  get listener(): number {
    return this.acceptor.index;
  }

  /** How long it has been open. */
  get durationMs(): number {
    return this.worker.deadlines.now - this.startedAt;
  }

  /** The program is to end: a client that has not said yet whom it wants has so many milliseconds left. */
  hurry(ms: number): void {
    const { deadlines } = this.worker;
    if (this.state !== "proxy_header" && this.state !== "hello") return;
    if (deadlines.remaining(this) > ms) deadlines.set(this, ms);
  }

  // ---- What drives it: events of its sockets, and time-outs ---------------------------------------------------------

  onEvent(side: Side, events: number): void {
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0) {
      side.hungUp = true;
      side.finished = (events & (EPOLLHUP | EPOLLERR)) === 0;
    }
    switch (this.state) {
      case "proxy_header":
      case "hello":
        return this.#readFirstBytes();
      case "dialing":
        if (side === this.backend) this.#onDialEvent(events);
        return;
      case "relaying":
        return this.#onRelayEvent(side, events);
      case "served":
      case "ended":
        return;
    }
  }

  expire(): void {
    try {
      this.#tooLate();
    } catch (error) {
      this.worker.fault(this, error);
    }
  }

  #tooLate(): void {
    switch (this.state) {
      case "proxy_header":
        return this.finish({ reason: "proxy_header_timeout" });
      case "hello":
        return this.finish({ reason: "hello_timeout" });
      case "dialing":
        return dialNext(this, { reason: "backend_timeout" });
      case "relaying":
        return this.finish({ reason: "idle_timeout" });
      case "served":
      case "ended":
        return;
    }
  }

  /** Registers a side with the loop of the worker; `false` where the kernel has no room for it. */
  watch(side: Handler): boolean {
    return this.worker.loop.add(side, WATCHED);
  }

  #watchClient(): void {
    if (!this.watch(this.client)) this.finish({ reason: "internal_error", detail: "epoll_ctl" });
  }

  // ---- Accepted, with a place on its listener -----------------------------------------------------------------------

  /** Takes up a connection from `peer` that has a place on its listener. */
  begin(peer: IpAddress): void {
    const { deadlines, timeouts } = this.worker;
    if (this.state === "proxy_header") deadlines.set(this, timeouts.proxyHeaderMs);
    else if (!this.#passFirewall(peer)) return;
    this.#readFirstBytes();
    const waiting = this.state === "proxy_header" || this.state === "hello";
    if (waiting) this.#watchClient();
  }

  /** Looks at what has come, which stays in the kernel's buffer until it is known to be whole. */
  #readFirstBytes(): void {
    const { libc, buffer } = this.worker;
    for (;;) {
      const length = libc.peek(this.client.fd, buffer, buffer.length);
      if (length === -EAGAIN) return;
      if (length <= 0) return this.finish({ reason: "client_gone" });
      const received = buffer.subarray(0, length);
      const more = this.state === "proxy_header" ? this.#readProxyHeader(received) : this.#readClientHello(received);
      if (!more) return;
    }
  }

  // ---- PROXY header -------------------------------------------------------------------------------------------------

  /** @returns Whether to look at what comes behind it. */
  #readProxyHeader(received: Uint8Array): boolean {
    const header = parseProxyHeader(received);
    switch (header.kind) {
      case "malformed":
        this.finish({ reason: "proxy_header_malformed", detail: header.rule });
        return false;
      case "need_more":
        if (this.client.hungUp) this.finish({ reason: "client_gone" });
        return false;
      case "header":
        // These very octets were there a moment ago, so this takes exactly them.
        this.worker.libc.recv(this.client.fd, this.worker.buffer, header.length);
        if (header.source !== undefined) this.source = new CompactEndpoint(header.source.address, header.source.port);
        this.destination = header.destination;
        return this.#passFirewall(this.source.endpoint.address);
    }
  }

  // ---- Firewall -----------------------------------------------------------------------------------------------------

  #passFirewall(client: IpAddress): boolean {
    const { firewall, deadlines, timeouts } = this.worker;
    const blocked = firewall.check(client, deadlines.now);
    if (blocked !== undefined) {
      this.finish({ reason: BLOCKED[blocked] });
      return false;
    }
    this.state = "hello";
    deadlines.set(this, timeouts.helloMs);
    return true;
  }

  // ---- ClientHello --------------------------------------------------------------------------------------------------

  #readClientHello(received: Uint8Array): false {
    this.#progress ??= newClientHelloProgress();
    const hello = parseClientHello(received, this.#progress);
    switch (hello.kind) {
      case "not_tls":
        this.finish({ reason: "not_tls" });
        return false;
      case "malformed":
        this.finish(
          hello.rule === "too_large"
            ? { reason: "hello_too_large" }
            : { reason: "hello_malformed", detail: hello.rule },
        );
        return false;
      case "need_more":
        if (this.client.hungUp) this.finish({ reason: "client_gone" });
        // A sender may keep the rest back until this part is acknowledged: Nagle's algorithm, RFC 896.
        else this.worker.libc.enable(this.client.fd, IPPROTO_TCP, TCP_QUICKACK);
        return false;
      case "hello":
        this.#progress = undefined;
        this.serverName = hello.serverName;
        this.#chooseRoute();
        return false;
    }
  }

  // ---- Route --------------------------------------------------------------------------------------------------------

  #chooseRoute(): void {
    const route = this.acceptor.routes.lookup(this.serverName);
    if (route === undefined) return this.finish({ reason: "no_route" });
    this.route = route;
    if (route.http === undefined) this.#dial();
    else this.#serve(route);
  }

  // ---- L4: dial, then relay -----------------------------------------------------------------------------------------

  #dial(): void {
    this.state = "dialing";
    this.giveUpAt = this.worker.deadlines.time + this.worker.timeouts.connectMs;
    dialNext(this, { reason: "backend_unresolved" });
  }

  #onDialEvent(events: number): void {
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0) {
      const error = this.worker.libc.socketError(this.backend.fd);
      if (error !== 0) return dialNext(this, dialFailure(error));
    }
    if ((events & EPOLLOUT) === 0) return;
    this.#connected();
    // A backend that speaks first may have spoken already, and the event will not come again.
    if (this.state === "relaying") this.#onRelayEvent(this.backend, events);
  }

  #connected(): void {
    const { counters, deadlines, timeouts } = this.worker;
    counters.routes.dialled(
      this.route?.rows.backend ?? 0,
      (deadlines.time - this.giveUpAt + timeouts.connectMs) / 1000,
    );
    if (this.dialled > 1) this.worker.backends.get(this.route?.backend ?? "")?.prefer(this.dialled - 1);
    this.state = "relaying";
    deadlines.set(this, timeouts.idleMs);
    if (this.route?.sendProxyProtocol && !this.#sendProxyHeader()) return;
    // A client that is not watched yet is readable at once, and that event starts the relay.
    if (this.client.generation === 0) this.#watchClient();
    else pump(this.worker, this, this.client, this.backend);
  }

  /** Sends a PROXY header, to share a segment with the ClientHello; whether the connection lives on. */
  #sendProxyHeader(): boolean {
    const { client, backend, serverName: authority } = this;
    const source = this.source.endpoint;
    const destination = this.destination ?? this.worker.ownAddress(client.fd);
    const header = encodeProxyHeaderV2({ source, destination, authority });
    const sent = this.worker.libc.sendMore(backend.fd, header, header.length);
    if (sent === header.length) return true; // the buffer of a new socket takes far more
    this.broken(backend, sent < 0 ? -sent : 0);
    return false;
  }

  #onRelayEvent(side: Side, events: number): void {
    const other = side === this.client ? this.backend : this.client;
    // What came before a reset can still be read, and is passed on; the error is what the reads end with.
    if ((events & EPOLLERR) !== 0 && side.eof) return this.broken(side, this.worker.libc.socketError(side.fd));
    if ((events & READABLE) !== 0) pump(this.worker, this, side, other);
    if ((events & EPOLLOUT) !== 0 && side.pending !== undefined && this.state === "relaying") {
      pump(this.worker, this, other, side);
    }
  }

  /** A socket failed: its peer reset it. With EPIPE, the kernel says that a FIN had come before, read or not. */
  broken(side: Relaying, errno: number): void {
    const hadEnded = side.eof || errno === EPIPE;
    this.finish({ reason: brokenOff(side === this.client, hadEnded), detail: errorName(errno) });
  }

  // ---- L7: TLS and HTTP ---------------------------------------------------------------------------------------------

  /** HTTP does the rest, on the same socket, in the same loop. */
  #serve(route: RouteSnapshot): void {
    this.state = "served";
    this.worker.deadlines.clear(this);
    if (this.client.generation !== 0) this.worker.loop.remove(this.client);
    this.worker.serve(this, route);
  }

  // ---- End ----------------------------------------------------------------------------------------------------------

  /** Ends the connection: sockets closed or reset, places given back, counted and reported. */
  finish(end: End): void {
    if (this.state === "ended") return;
    this.state = "ended";
    this.worker.deadlines.clear(this);
    this.#close(this.client, end.reason);
    this.#close(this.backend, end.reason);
    this.worker.ended(this, end);
  }

  #close(side: Side, reason: EndReason): void {
    if (side.pending !== undefined) this.worker.pool.give(side.pending);
    side.pending = undefined;
    this.worker.closeSocket(side, reason !== "closed" && reason !== "idle_timeout");
  }
}
