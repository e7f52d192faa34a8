/**
 * Connections to one backend, kept and shared.
 *
 * @module
 */

import type { Endpoint } from "../../../wire/socket_address.ts";
import type { Expirable } from "../../deadlines.ts";
import { addressKey, type BackendSettings, type Dial, type Dialled } from "./dial.ts";
import { DialError } from "./dial_error.ts";
import { HEAD_LIMITS } from "../head_limits.ts";
import { Http1ClientConnection } from "../http1/client.ts";
import { Http2ClientConnection, type Http2ClientOptions } from "../http2/client.ts";
import type { Turn } from "../turn.ts";
import type { ClientConnectionEvents, ClientStreamEvents, HttpStream, RequestHead } from "../message.ts";

/** Requests of one pool that wait for a connection: more are answered with 503. */
const MAX_WAITING = 1_024;

/** How long a connection is kept without a request. Most servers keep theirs for longer. */
const IDLE_MS = 60_000;

/** How much longer than a dial a request waits: where one fails, it is to be told why. */
const GRACE_MS = 1_000;

/** Whoever wants to send a request. */
export interface Requester extends ClientStreamEvents {
  readonly head: RequestHead;
  readonly bodiless: boolean;
  /** The request is on its way. @param reused Whether on a connection that has carried others. */
  sending(stream: HttpStream, reused: boolean): void;
  /** It cannot be sent. */
  unavailable(error: DialError | "overloaded"): void;
}

/** What a pool is of. */
export interface PoolOptions {
  readonly dial: Dial;
  readonly settings: BackendSettings;
  /** What goes before everything else on a connection: a PROXY header. */
  readonly prefix: Uint8Array<ArrayBuffer> | undefined;
  readonly connectMs: number;
  /** Connections at once, those that are being dialled included. */
  readonly maxConnections: number;
  readonly turn: Turn;
  readonly addresses: () => readonly Endpoint[];
  /** A connection was made, after so many seconds. */
  dialled(seconds: number): void;
  dialFailed(): void;
  /** It has neither a connection nor a request any more. */
  unused?(): void;
  /** A fault of ours that ended a connection. */
  fault(thrown: unknown): void;
}

/** One connection of a pool. */
class Pooled implements ClientConnectionEvents, Expirable {
  readonly pool: BackendPool;
  readonly address: string;
  readonly connection: Http1ClientConnection | Http2ClientConnection;
  used = false;
  deadline = 0;
  slot = -1;

  constructor(pool: BackendPool, { transport, protocol, address }: Dialled, options: Http2ClientOptions) {
    this.pool = pool;
    this.address = address;
    this.connection = protocol === "h2"
      ? new Http2ClientConnection(transport, this, options)
      : new Http1ClientConnection(transport, this, { limits: HEAD_LIMITS });
  }

  changed(): void {
    this.pool.changed(this);
  }

  closed(unready?: DialError): void {
    this.pool.forget(this, unready);
  }

  expire(): void {
    this.connection.close();
  }
}

/** See the module. */
export class BackendPool {
  readonly #options: PoolOptions;
  /** The one used last comes last, and is taken first. */
  #connections: Pooled[] = [];
  #waiting = new Set<Waiter>();
  #dialling = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get settings(): BackendSettings {
    return this.#options.settings;
  }

  /** Whether it has no request. */
  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#dialling === 0 &&
      this.#connections.every(({ connection }) => connection.active === 0);
  }

  /** Sends a request at once where a connection is free, or as soon as one is. @returns How to take it back meanwhile. */
  request(requester: Requester): Waiter | undefined {
    const pooled = this.#free(requester);
    if (pooled !== undefined) {
      this.#send(pooled, requester);
      return undefined;
    }
    if (this.#waiting.size >= MAX_WAITING) {
      requester.unavailable("overloaded");
      return undefined;
    }
    const waiter = new Waiter(this, requester);
    this.#waiting.add(waiter);
    this.#options.turn.deadlines.set(waiter, this.#options.connectMs + GRACE_MS);
    this.#dialMore();
    return waiter;
  }

  /** Takes back a request that waits. */
  cancel(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    this.#options.turn.deadlines.clear(waiter);
    this.#tellIfUnused();
  }

  /** Nobody will send any more requests: connections end with those that are under way. */
  close(): void {
    this.#closed = true;
    for (const { connection } of [...this.#connections]) connection.close();
  }

  /** The backend has other addresses now: connections to those that are gone take no new request. */
  addressesChanged(): void {
    const current = new Set(this.#options.addresses().map(addressKey));
    for (const { address, connection } of [...this.#connections]) if (!current.has(address)) connection.close();
  }

  changed(pooled: Pooled): void {
    if (this.#waiting.size > 0) this.#serveWaiting();
    const { connection } = pooled;
    if (connection.active > 0) return;
    if (this.#closed) return connection.close();
    this.#options.turn.deadlines.set(pooled, idleMs(connection));
  }

  forget(pooled: Pooled, unready: DialError | undefined): void {
    this.#options.turn.deadlines.clear(pooled);
    this.#connections = this.#connections.filter((other) => other !== pooled);
    if (unready !== undefined) this.#dialFailed(unready);
    else if (this.#waiting.size > 0) this.#dialMore();
    this.#tellIfUnused();
  }

  #tellIfUnused(): void {
    if (this.#connections.length + this.#waiting.size + this.#dialling === 0) this.#options.unused?.();
  }

  #free({ head }: Requester): Pooled | undefined {
    for (let i = this.#connections.length - 1; i >= 0; i--) {
      const pooled = this.#connections[i];
      if (pooled === undefined || !pooled.connection.available) continue;
      if (head.protocol === undefined || pooled.connection.carriesWebSockets === true) return pooled;
    }
    return undefined;
  }

  #send(pooled: Pooled, requester: Requester): void {
    const reused = pooled.used;
    pooled.used = true;
    this.#options.turn.deadlines.clear(pooled);
    requester.sending(pooled.connection.request(requester.head, requester.bodiless, requester), reused);
  }

  #serveWaiting(): void {
    for (const waiter of this.#waiting) {
      const pooled = this.#free(waiter.requester);
      if (pooled === undefined) {
        if (isWebSocket(waiter.requester)) continue;
        break; // where there is nothing for one, there is nothing for the next
      }
      this.cancel(waiter);
      this.#send(pooled, waiter.requester);
    }
    if (this.#waiting.size > 0) this.#dialMore();
  }

  /** A connection of HTTP/1.1 carries one request, one of HTTP/2 many: how many is known once it is there. */
  #dialMore(): void {
    const { backendProtocol, backendTls } = this.#options.settings;
    const http1 = backendProtocol === "http1" ||
      this.#connections.some((p) => p.connection instanceof Http1ClientConnection);
    const websocket = this.#needsHttp1();
    if (websocket && backendProtocol === "h2") {
      const message = "the backend's HTTP/2 takes no WebSockets (RFC 8441)";
      this.#refuseWaiting(new DialError("unreachable", message), isWebSocket);
    }
    const wanted = http1 || websocket ? this.#waiting.size : 1;
    const room = this.#options.maxConnections - this.#connections.length - this.#dialling;
    const more = Math.min(wanted - this.#pending, room);
    for (let i = 0; i < more; i++) this.#dial(websocket && (backendTls || backendProtocol === ""));
  }

  /** How many connections are on their way, those included whose backend has yet to say what it takes. */
  get #pending(): number {
    let pending = this.#dialling;
    for (const { connection } of this.#connections) if (!connection.ready) pending++;
    return pending;
  }

  /** Whether somebody waits to open a WebSocket, and the backend has said that its HTTP/2 takes none. */
  #needsHttp1(): boolean {
    for (const { requester } of this.#waiting) {
      if (requester.head.protocol === undefined) continue;
      if (this.#connections.some(({ connection }) => connection.carriesWebSockets === false)) return true;
    }
    return false;
  }

  #refuseWaiting(error: DialError, which: (requester: Requester) => boolean): void {
    for (const waiter of [...this.#waiting]) {
      if (!which(waiter.requester)) continue;
      this.cancel(waiter);
      waiter.requester.unavailable(error);
    }
  }

  #dial(http1Only: boolean): void {
    const { settings, prefix, connectMs, addresses, fault, dial } = this.#options;
    this.#dialling++;
    const startedAt = this.#options.turn.now;
    dial({ settings, addresses: addresses(), prefix, http1Only, connectMs, fault }, (result) => {
      this.#dialling--;
      if (!(result instanceof Error)) {
        this.#options.dialled((this.#options.turn.now - startedAt) / 1000);
        return this.#add(result);
      }
      if (result instanceof DialError) this.#options.dialFailed();
      else fault(result);
      this.#dialFailed(
        result instanceof DialError ? result : new DialError("unreachable", "a fault of the proxy's own"),
      );
      this.#tellIfUnused();
    });
  }

  /** Each dial was for one request, but the last one that fails leaves no hope to the others. */
  #dialFailed(error: DialError): void {
    const [first] = this.#waiting;
    const isLast = this.#pending === 0;
    this.#refuseWaiting(error, (requester) => isLast || requester === first?.requester);
  }

  #add(dialled: Dialled): void {
    try {
      const pooled = new Pooled(this, dialled, {
        scheme: this.#options.settings.backendTls ? "https" : "http",
        settingsMs: this.#options.connectMs,
      });
      this.#connections.push(pooled);
      this.changed(pooled);
    } catch (thrown) {
      dialled.transport.fault(thrown);
    }
  }
}

/** A request that waits for a connection. */
export class Waiter implements Expirable {
  deadline = 0;
  slot = -1;

  constructor(readonly pool: BackendPool, readonly requester: Requester) {}

  expire(): void {
    this.pool.cancel(this);
    this.requester.unavailable("overloaded");
  }
}

function isWebSocket({ head }: Requester): boolean {
  return head.protocol !== undefined;
}

function idleMs(connection: Http1ClientConnection | Http2ClientConnection): number {
  const told = connection instanceof Http1ClientConnection ? connection.idleLimitMs : undefined;
  return told === undefined ? IDLE_MS : Math.max(0, Math.min(IDLE_MS, told - 1_000));
}
