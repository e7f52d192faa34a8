/**
 * A client's connection of an L7 route, from the TLS handshake to its end.
 *
 * @module
 */

import { turnTime } from "../turn.ts";
import type { ClientTls } from "./client_tls.ts";
import type { HttpPolicy } from "../../rules/http_policy.ts";
import { encodeProxyHeaderV2 } from "../../wire/proxy_protocol.ts";
import { formatIpAddress } from "../../wire/ip_address.ts";
import { type Endpoint, formatEndpoint } from "../../wire/socket_address.ts";
import type { Deadlines, Expirable } from "../deadlines.ts";
import type { ConnectionEnd, EndReason, HttpProtocol, RequestEnd } from "../engine.ts";
import type { EdgeTimeouts } from "../snapshot.ts";
import type { BackendPool } from "./backend/pool.ts";
import { Exchange } from "./exchange.ts";
import { HEAD_LIMITS } from "./head_limits.ts";
import { Http1ServerConnection } from "./http1/server.ts";
import { Http2ServerConnection } from "./http2/server.ts";
import type { RequestHandler, RequestHead, ServerConnection, ServerConnectionEvents, ServerStream } from "./message.ts";
import type { HttpService, ServedRoute } from "./service.ts";

/** A connection whose ClientHello was read, and nothing more. */
export interface Accepted {
  /** The listener's place in the snapshot. */
  readonly listener: number;
  /** The real client, and the address that it connected to. */
  readonly client: Endpoint;
  readonly destination: Endpoint;
  readonly serverName: string | undefined;
  /** The host name pattern of its route. */
  readonly route: string;
}

/** How long an idle client may take to hear that its connection ends, so that no request of it is lost. */
const GOODBYE_MS = 2_000;

/** How long a client may take to its first request while the program shuts down. */
const FIRST_REQUEST_MS = 2_000;

/** See the module. */
export class HttpClient implements RequestHandler, ServerConnectionEvents, Expirable {
  readonly #service: HttpService;
  readonly #accepted: Accepted;
  readonly #ended: (end: ConnectionEnd) => void;
  readonly #tls: ClientTls;
  readonly address: string;
  readonly #name: string;
  readonly #startedAt = turnTime();
  #protocol: HttpProtocol | undefined;
  #connection: ServerConnection | undefined;
  /** Connections to backends that tell this client's address. */
  readonly #pools = new Map<string, BackendPool>();
  #requests = 0;
  #draining = false;
  /** A head has begun, and its end is yet to come. */
  #inHead = false;
  /** It was told that it ends, for want of requests. */
  #idle = false;
  /** It was told that it ends, since the program does. */
  #dismissed = false;
  #over = false;
  deadline = 0;
  slot = -1;

  constructor(
    service: HttpService,
    tls: ClientTls,
    accepted: Accepted,
    ended: (end: ConnectionEnd) => void,
  ) {
    this.#service = service;
    this.#accepted = accepted;
    this.#ended = ended;
    this.address = formatIpAddress(accepted.client.address);
    this.#name = formatEndpoint(accepted.client);
    service.deadlines.set(this, service.timeouts.helloMs);
    this.#tls = tls;
    tls.handshake(
      {
        secured: (protocol) => this.contain(() => this.#begin(protocol)),
        failed: (detail) => {
          if (this.#protocol === undefined) this.#finish("tls_failed", detail);
        },
      },
      service.counting(accepted.listener),
      this.#fault,
    );
  }

  get deadlines(): Deadlines {
    return this.#service.deadlines;
  }

  get timeouts(): EdgeTimeouts {
    return this.#service.timeouts;
  }

  /** What is spoken on it, of a connection that brings requests. */
  get protocol(): HttpProtocol {
    return this.#protocol ?? "http/1.1";
  }

  /** The connection's route as it is now, where `hostname` is one of its names (RFC 9110 §7.4). */
  routeFor(hostname: string | undefined): ServedRoute | undefined {
    return this.#service.routeFor(this.#accepted.listener, this.#accepted.route, hostname);
  }

  /** Where requests of `route` are sent: a backend that is told the client's address has connections of its own for it. */
  poolFor(route: ServedRoute): BackendPool {
    if (!route.sendProxyProtocol) return this.#service.sharedPool(route);
    const key = this.#service.poolKey(route);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      const { client: source, destination, serverName: authority } = this.#accepted;
      pool = this.#service.makePool(route, encodeProxyHeaderV2({ source, destination, authority }));
      this.#pools.set(key, pool);
    }
    return pool;
  }

  /** Takes no new request, but for the first: a client that has just connected is about to send it. */
  drain(): void {
    this.#draining = true;
    if (this.#requests > 0) this.#dismiss();
    else if (this.#connection !== undefined) this.deadlines.set(this, FIRST_REQUEST_MS);
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
    const requestId = crypto.randomUUID();
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
    this.deadlines.set(this, this.timeouts.helloMs);
  }

  headEnded(): void {
    if (!this.#inHead) return;
    this.#inHead = false;
    this.activity(this.#connection?.active ?? 0);
  }

  activity(active: number): void {
    if (this.#inHead || this.#over || (this.#idle && active === 0)) return;
    if (active > 0) this.deadlines.clear(this);
    else this.deadlines.set(this, this.timeouts.idleMs);
  }

  closed(error: string | undefined): void {
    const reason = this.#idle ? "idle_timeout" : "closed";
    this.#finish(error === undefined ? reason : "client_reset", error);
  }

  /** No handshake, or no request, for too long. */
  expire(): void {
    this.contain(() => this.#expire());
  }

  #expire(): void {
    if (this.#protocol === undefined) return this.#finish("tls_timeout", undefined);
    if (this.#requests === 0) {
      if (!this.#draining || this.#dismissed) return this.#finish("idle_timeout", "no request");
      this.deadlines.set(this, GOODBYE_MS);
      return this.#dismiss();
    }
    if (this.#inHead) return this.#finish("idle_timeout", "a request without the end of its head");
    if (this.#idle) return this.#finish("idle_timeout", undefined);
    this.#idle = true;
    this.deadlines.set(this, GOODBYE_MS);
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
    this.deadlines.set(this, this.#draining ? FIRST_REQUEST_MS : this.timeouts.helloMs);
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
      this.#fault(thrown);
    }
  }

  readonly #fault = (thrown: unknown): void => {
    this.#service.fault(thrown);
    this.#finish("internal_error", undefined);
  };

  #finish(end: EndReason, detail: string | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.deadlines.clear(this);
    if (end !== "closed" && end !== "client_reset") this.#destroy();
    for (const pool of this.#pools.values()) pool.close();
    const { listener, serverName, route } = this.#accepted;
    this.#ended({
      listener: this.#service.listenerAddr(listener),
      client: this.#name,
      serverName,
      route,
      backend: undefined,
      bytesIn: this.#tls.bytesRead,
      bytesOut: this.#tls.bytesWritten,
      durationMs: turnTime() - this.#startedAt,
      end,
      detail,
      ...this.#protocol && { http: { protocol: this.#protocol, requests: this.#requests } },
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
