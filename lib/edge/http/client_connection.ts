/**
 * A client's connection of an L7 route, from the TLS handshake to its end.
 *
 * @module
 */

import type { HttpPolicy } from "../../rules/http_policy.ts";
import { encodeProxyHeaderV2 } from "../../wire/proxy_protocol.ts";
import { randomUuid } from "../../wire/uuid.ts";
import { formatIpAddress, type IpAddress, isIpv4 } from "../../wire/ip_address.ts";
import { type Endpoint, formatEndpoint } from "../../wire/socket_address.ts";
import type { Expirable } from "../deadlines.ts";
import type { EndReason, HttpProtocol, RequestEnd } from "../engine.ts";
import type { End } from "../end.ts";
import type { EdgeTimeouts } from "../snapshot.ts";
import type { BackendPool } from "./backend/pool.ts";
import { type NoPool, PoolTable } from "./backend/pool_table.ts";
import type { ByteCounting, ClientTls, HandshakeEvents } from "./client_tls.ts";
import { Exchange, type ExchangeClient } from "./exchange.ts";
import { HEAD_LIMITS } from "./head_limits.ts";
import { Http1ServerConnection } from "./http1/server.ts";
import { Http2ServerConnection } from "./http2/server.ts";
import type { RequestHandler, RequestHead, ServerConnection, ServerConnectionEvents, ServerStream } from "./message.ts";
import type { ServedRoute } from "./served_route.ts";
import { withLikelyCause } from "./tls_alert.ts";
import type { Turn } from "./turn.ts";

/** How a client's connection ended, and what it was. */
export interface HttpEnd extends End {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** `undefined` where there was no handshake. */
  readonly http: { readonly protocol: HttpProtocol; readonly requests: number } | undefined;
}

/** The end of a connection that nothing was read from. */
export function refusedEnd(reason: EndReason, detail?: string): HttpEnd {
  return { reason, ...detail !== undefined && { detail }, bytesIn: 0, bytesOut: 0, durationMs: 0, http: undefined };
}

/** Whose connection it is. */
export interface Accepted {
  /** The listener's place in the snapshot. */
  readonly listener: number;
  /** The real client, and the address that it connected to. */
  readonly client: Endpoint;
  readonly destination: Endpoint;
  readonly serverName: string | undefined;
  /** The host name pattern of its route. */
  readonly route: string;
  /** Told once, when it is over. */
  ended(end: HttpEnd): void;
}

/** What a client's connection needs to know, and whom it tells. */
export interface ClientService {
  readonly turn: Turn;
  readonly timeouts: EdgeTimeouts;
  readonly reportsRequests: boolean;
  routeFor(listener: number, pattern: string, hostname: string | undefined): ServedRoute | undefined;
  sharedPool(route: ServedRoute, hostname: string | undefined): BackendPool | NoPool;
  /** The same in a table of the client's own. @param prefix Goes before everything else on each connection. */
  ownPool(
    route: ServedRoute,
    hostname: string | undefined,
    own: { readonly pools: PoolTable<BackendPool>; prefix(): Uint8Array<ArrayBuffer> },
  ): BackendPool | NoPool;
  listenerAddr(listener: number): string;
  counting(listener: number): ByteCounting;
  countRequest(listener: number, pattern: string, request: Pick<RequestEnd, "status" | "durationMs">): void;
  countPolicyBlock(route: ServedRoute, policy: HttpPolicy): void;
  requestEnded(end: RequestEnd): void;
  suppressesMalformed(listener: number, route: string, status: number, client: string): boolean;
  fault(thrown: unknown): void;
  forget(client: HttpClient): void;
}

/** Backends, or names of one, that a client has connections of its own to at once. */
const MAX_OWN_POOLS = 128;

/** How long an idle client may take to hear that its connection ends, so that no request of it is lost. */
const GOODBYE_MS = 2_000;

/** How long a client may take to its first request while the program shuts down. */
const FIRST_REQUEST_MS = 2_000;

/** See the module. */
export class HttpClient implements RequestHandler, ServerConnectionEvents, HandshakeEvents, ExchangeClient, Expirable {
  readonly #service: ClientService;
  readonly #accepted: Accepted;
  readonly #tls: ClientTls;
  readonly #startedAt: number;
  #address: string | undefined;
  #network: string | undefined;
  #protocol: HttpProtocol | undefined;
  #connection: ServerConnection | undefined;
  /** Connections to backends that tell this client's address, where there are any. */
  #pools: PoolTable<BackendPool> | undefined;
  #requests = 0;
  #draining = false;
  /** A head has begun, and its end is yet to come. */
  #inHead = false;
  /** It was told that it ends, for want of requests. */
  #idle = false;
  /** It was told that it ends, since the program does. */
  #dismissed = false;
  #over = false;
  #cutFor: EndReason | undefined;
  deadline = 0;
  slot = -1;

  constructor(service: ClientService, tls: ClientTls, accepted: Accepted) {
    this.#service = service;
    this.#accepted = accepted;
    this.#tls = tls;
    this.#startedAt = service.turn.now;
    service.turn.deadlines.set(this, service.timeouts.helloMs);
    tls.handshake(this, service.counting(accepted.listener), (thrown) => this.fault(thrown));
  }

  secured(protocol: HttpProtocol): void {
    this.contain(() => this.#begin(protocol));
  }

  failed(detail: string): void {
    if (this.#protocol === undefined) this.#finish("tls_failed", withLikelyCause(detail));
  }

  get turn(): Turn {
    return this.#service.turn;
  }

  /** The real client's IP address. */
  get address(): string {
    return this.#address ??= formatIpAddress(this.#accepted.client.address);
  }

  get network(): string {
    return this.#network ??= networkOf(this.#accepted.client.address, this.address);
  }

  get #name(): string {
    return formatEndpoint(this.#accepted.client);
  }

  get timeouts(): EdgeTimeouts {
    return this.#service.timeouts;
  }

  /** What is spoken on it, of a connection that brings requests. */
  get protocol(): HttpProtocol {
    return this.#protocol ?? "http/1.1";
  }

  get cutFor(): EndReason | undefined {
    return this.#cutFor;
  }

  /** The connection's route as it is now, where `hostname` is one of its names (RFC 9110 §7.4). */
  routeFor(hostname: string | undefined): ServedRoute | undefined {
    return this.#service.routeFor(this.#accepted.listener, this.#accepted.route, hostname);
  }

  /** Where requests of `route` are sent: a backend that is told the client's address has connections of its own for it. */
  poolFor(route: ServedRoute, hostname: string | undefined): BackendPool | NoPool {
    if (!route.sendProxyProtocol) return this.#service.sharedPool(route, hostname);
    const pools = this.#pools ??= new PoolTable<BackendPool>(MAX_OWN_POOLS);
    return this.#service.ownPool(route, hostname, { pools, prefix: () => this.#proxyHeader() });
  }

  #proxyHeader(): Uint8Array<ArrayBuffer> {
    const { client: source, destination, serverName: authority } = this.#accepted;
    return encodeProxyHeaderV2({ source, destination, authority });
  }

  /** Takes no new request, but for the first: a client that has just connected is about to send it. */
  drain(): void {
    this.#draining = true;
    if (this.#requests > 0) this.#dismiss();
    else if (this.#connection !== undefined || this.timeouts.helloMs > FIRST_REQUEST_MS) {
      this.turn.deadlines.set(this, FIRST_REQUEST_MS); // of a handshake that has begun, too
    }
  }

  /** Ends it at once. */
  abort(): void {
    this.#finish("shutdown", undefined);
  }

  request(stream: ServerStream, head: RequestHead, end: boolean): void {
    this.#requests++;
    if (this.#draining) this.#dismiss();
    new Exchange(this, stream, head, end).begin();
  }

  malformed(detail: string, status: number | undefined): string {
    this.#requests++;
    const requestId = randomUuid();
    this.#malformed(requestId, detail, status ?? 400);
    return requestId;
  }

  /** One connection may bring ten thousand. */
  #malformed(requestId: string, error: string, status: number): void {
    const { listener, route } = this.#accepted;
    if (this.#service.reportsRequests && this.#service.suppressesMalformed(listener, route, status, this.#name)) {
      return this.#service.countRequest(listener, route, { status, durationMs: 0 });
    }
    this.requestEnded({
      requestId,
      method: "-",
      host: "-",
      path: "-",
      userAgent: undefined,
      status,
      grpcStatus: undefined,
      bytesIn: 0,
      bytesOut: 0,
      durationMs: 0,
      backendMs: undefined,
      error,
    });
  }

  /** Counts a request that nobody is told of. @returns Whether that is so. */
  onlyCounted(status: number, durationMs: number): boolean {
    if (this.#service.reportsRequests) return false;
    const { listener, route } = this.#accepted;
    this.#service.countRequest(listener, route, { status, durationMs });
    return true;
  }

  requestEnded(end: Omit<RequestEnd, "listener" | "route" | "client" | "protocol">): void {
    const { listener, route } = this.#accepted;
    this.#service.countRequest(listener, route, end);
    if (!this.#service.reportsRequests) return;
    this.#service.requestEnded({
      listener: this.#service.listenerAddr(listener),
      route,
      client: this.#name,
      protocol: this.protocol,
      ...end,
    });
  }

  policyBlocked(route: ServedRoute, policy: HttpPolicy): void {
    this.#service.countPolicyBlock(route, policy);
  }

  headBegun(): void {
    if (this.#requests === 0 || this.#idle) return; // its time runs already
    this.#inHead = true;
    this.turn.deadlines.set(this, this.timeouts.helloMs);
  }

  headEnded(): void {
    if (!this.#inHead) return;
    this.#inHead = false;
    this.activity(this.#connection?.active ?? 0);
  }

  activity(active: number): void {
    if (this.#inHead || this.#over || (this.#idle && active === 0)) return;
    if (active > 0) this.turn.deadlines.clear(this);
    else this.turn.deadlines.set(this, this.timeouts.idleMs);
  }

  closed(error: string | undefined, isBreach: boolean): void {
    const inOrder = this.#idle ? "idle_timeout" : "closed";
    const broken = isBreach ? "protocol_error" : "client_reset";
    this.#finish(error === undefined ? inOrder : broken, error && withLikelyCause(error));
  }

  /** No handshake, or no request, for too long. */
  expire(): void {
    this.contain(() => this.#expire());
  }

  #expire(): void {
    if (this.#protocol === undefined) return this.#finish("tls_timeout", undefined);
    if (this.#requests === 0) {
      if (!this.#draining || this.#dismissed) return this.#finish("idle_timeout", "no request");
      this.turn.deadlines.set(this, GOODBYE_MS);
      return this.#dismiss();
    }
    if (this.#inHead) return this.#finish("idle_timeout", "a request without the end of its head");
    if (this.#idle) return this.#finish("idle_timeout", undefined);
    this.#idle = true;
    this.turn.deadlines.set(this, GOODBYE_MS);
    this.#connection?.drain();
  }

  /** Has the connection end behind the requests that it has. */
  #dismiss(): void {
    if (this.#dismissed) return;
    this.#dismissed = true;
    this.#connection?.drain();
  }

  #begin(protocol: HttpProtocol): void {
    if (this.#over) return;
    this.#protocol = protocol;
    this.turn.deadlines.set(this, this.#draining ? FIRST_REQUEST_MS : this.timeouts.helloMs);
    const connection: ServerConnection = this.#protocol === "h2"
      ? new Http2ServerConnection(this.#tls, this, this)
      : new Http1ServerConnection(this.#tls, this, this, { limits: HEAD_LIMITS });
    this.#connection = connection;
  }

  /** Does something that is this connection's alone: a fault in it ends it, and no other. */
  contain(action: () => void): void {
    try {
      action();
    } catch (thrown) {
      this.fault(thrown);
    }
  }

  fault(thrown: unknown): void {
    this.#service.fault(thrown);
    this.#finish("internal_error", undefined);
  }

  #finish(end: EndReason, detail: string | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.turn.deadlines.clear(this);
    if (end !== "closed" && end !== "client_reset" && end !== "protocol_error") {
      this.#cutFor = end;
      this.#destroy();
    }
    this.#pools?.close("");
    this.#accepted.ended({
      reason: end,
      ...detail !== undefined && { detail },
      bytesIn: this.#tls.bytesRead,
      bytesOut: this.#tls.bytesWritten,
      durationMs: this.turn.now - this.#startedAt,
      http: this.#protocol && { protocol: this.#protocol, requests: this.#requests },
    });
    this.#service.forget(this);
  }

  #destroy(): void {
    try {
      this.#connection?.abort();
    } catch (thrown) { // a fault may have left it in any state
      this.#service.fault(thrown);
    }
    this.#tls.destroy();
  }
}

/** An IPv4 address, or the first 64 bits of an IPv6 address: what one subscriber has at the least. */
function networkOf(ip: IpAddress, text: string): string {
  if (isIpv4(ip)) return text;
  const network = new Uint8Array(16);
  network.set(ip.subarray(0, 8));
  return formatIpAddress(network);
}
