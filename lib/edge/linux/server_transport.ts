/**
 * A client's connection of an L7 route: accepted, then TLS, then a transport.
 *
 * @module
 */

import type { RouteSnapshot } from "../snapshot.ts";
import type { ByteCounting, ClientTls, HandshakeEvents } from "../http/client_tls.ts";
import type { HttpEnd } from "../http/client_connection.ts";
import type { Incoming } from "../http/service.ts";
import type { FaultReport } from "../http/transport.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import type { CompactEndpoint } from "./compact_endpoint.ts";
import type { Handshakes } from "./handshakes.ts";
import { EPOLLIN, EPOLLOUT, IPPROTO_TCP, TCP_CORK } from "./libc.ts";
import { ENDED, WANT_READ, WANT_WRITE } from "./libssl/connection.ts";
import type { ServerContext } from "./libssl/server_context.ts";
import type { Thread } from "./thread.ts";
import { TlsTransport } from "./tls_transport.ts";

/** Whose connection it is, as far as it is told when it ends. */
export interface ServedConnection {
  /** The listener's place in the snapshot. */
  readonly listener: number;
  readonly source: CompactEndpoint;
  readonly serverName: string | undefined;
  readonly servedRoute: RouteSnapshot;
}

/** What it needs of its worker. */
export interface ServerTransportOwner extends Thread {
  readonly handshakes: Handshakes;
  /** The address that a socket is bound to. */
  ownAddress(fd: number): Endpoint;
  /** Counts and reports an L7 connection that is over. */
  servedEnded(connection: ServedConnection, end: HttpEnd): void;
}

/** See the module. */
export class ServerTransport extends TlsTransport implements ClientTls, Incoming<ServerContext>, ServedConnection {
  readonly listener: number;
  readonly source: CompactEndpoint;
  readonly serverName: string | undefined;
  readonly #owner: ServerTransportOwner;
  readonly servedRoute: RouteSnapshot;
  readonly #destination: Endpoint | undefined;
  #handshake: HandshakeEvents | undefined;
  #counting: ByteCounting | undefined;
  #isCorked = false;
  /** Whether its next step waits for its turn: level-triggered, what it is for is told again meanwhile. */
  #isQueued = false;
  #isEndTold = false;
  protected readonly readsAfterReset = false;

  /**
   * @param fd Of the client's socket, of which a ClientHello was peeked and nothing read. It is this transport's from now
   * on, and not in the epoll set.
   * @param destination Where a PROXY header named it.
   */
  constructor(
    owner: ServerTransportOwner,
    fd: number,
    { listener, source, serverName, servedRoute }: ServedConnection,
    destination: Endpoint | undefined,
  ) {
    super(owner);
    this.#owner = owner;
    this.listener = listener;
    this.source = source;
    this.serverName = serverName;
    this.servedRoute = servedRoute;
    this.#destination = destination;
    owner.own(this, fd);
  }

  // ---- As what HTTP takes up -----------------------------------------------------------------------------------------

  get client(): Endpoint {
    return this.source.endpoint;
  }

  get destination(): Endpoint {
    return this.#destination ?? this.#owner.ownAddress(this.fd);
  }

  get route(): string {
    return this.servedRoute.hostname;
  }

  secure(context: ServerContext): ClientTls {
    this.tls = context.accept(this.fd);
    return this;
  }

  refuse(): void {
    if (this.over) return;
    this.over = true;
    this.release();
    this.thread.closeSocket(this, true);
  }

  ended(end: HttpEnd): void {
    if (this.#isEndTold) return; // a fault may come behind it
    this.#isEndTold = true;
    this.#owner.servedEnded(this, end);
  }

  // ---- The handshake -------------------------------------------------------------------------------------------------

  handshake(events: HandshakeEvents, counting: ByteCounting, fault: FaultReport): void {
    this.#handshake = events;
    this.#counting = counting;
    this.report = fault;
    this.#queue();
  }

  protected override handle(events: number): void {
    if (this.#handshake === undefined) super.handle(events);
    else this.#queue();
  }

  #queue(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#owner.handshakes.add(this);
  }

  /** Takes the next step of the handshake. */
  step(): void {
    this.#isQueued = false;
    if (this.over) return;
    try {
      if (this.generation !== 0) this.#cork();
      this.#step();
    } catch (thrown) {
      this.fault(thrown);
    }
  }

  /** Has session tickets, and the SETTINGS of HTTP/2 behind them, share a segment: until the end of the turn. */
  #cork(): void {
    this.thread.libc.enable(this.fd, IPPROTO_TCP, TCP_CORK);
    this.#isCorked = true;
  }

  #step(): void {
    const { tls } = this;
    if (tls === undefined) throw new TypeError("a handshake without TLS");
    const result = tls.handshake();
    if (result === 1) return this.#secured(tls.protocol);
    if (result === WANT_READ || result === WANT_WRITE) {
      if (this.#isCorked) this.doLater();
      if (!this.watchFor(result === WANT_READ ? EPOLLIN : EPOLLOUT)) this.#failed("epoll_ctl");
    } else this.#failed(result === ENDED ? "the client closed the connection" : tls.error);
  }

  #secured(protocol: "h2" | "http/1.1" | ""): void {
    const events = this.#handshake;
    this.#handshake = undefined;
    events?.secured(protocol === "h2" ? "h2" : "http/1.1");
    if (this.#isCorked && !this.over) this.doLater(); // behind what HTTP says first
    // The first request may have come with the end of the handshake: then epoll knows nothing of it.
    if (!this.over && !this.paused && this.hasPending) this.readable();
  }

  #failed(detail: string): void {
    const events = this.#handshake;
    this.destroy();
    events?.failed(detail);
  }

  override endTurn(): void {
    if (this.#isCorked && !this.over) this.thread.libc.disable(this.fd, IPPROTO_TCP, TCP_CORK);
    this.#isCorked = false;
    super.endTurn();
  }

  // ---- What passes ---------------------------------------------------------------------------------------------------

  protected override passedIn(bytes: number): void {
    this.#counting?.read(bytes);
  }

  protected override passedOut(bytes: number): void {
    this.#counting?.written(bytes);
  }
}
