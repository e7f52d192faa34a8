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
import { type BackendRoom, type ClientShare, LONG_MS, type Tenant, type Waiting } from "./room.ts";
import type { ClientConnectionEvents, ClientStreamEvents, HttpStream, RequestHead } from "../message.ts";

/** Requests of one pool that wait for a connection: more are answered with 503. */
const MAX_WAITING = 2_048;

/** Of these, those of one client. */
const MAX_WAITING_OF_CLIENT = MAX_WAITING / 2;

/** How long a connection is kept without a request. Most servers keep theirs for longer. */
const IDLE_MS = 60_000;

/** How much longer than a dial a request waits: where one fails, it is to be told why. */
const GRACE_MS = 1_000;

/** Whoever wants to send a request. */
export interface Requester extends ClientStreamEvents {
  readonly head: RequestHead;
  readonly bodiless: boolean;
  /** Whose request it is: what {@linkcode BackendRoom.shareOf} tells clients apart by. */
  readonly client: string;
  /**
   * The request is on its way.
   *
   * @param reused Whether on a connection that has carried others.
   * @param share Is to be given back, by {@linkcode BackendPool.release}, once the request is over.
   */
  sending(stream: HttpStream, reused: boolean, share: ClientShare): void;
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
  /** Where its connections have their places. */
  readonly room: BackendRoom;
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
class Pooled implements ClientConnectionEvents, Expirable, Tenant {
  readonly pool: BackendPool;
  readonly address: string;
  readonly connection: Http1ClientConnection | Http2ClientConnection;
  used = false;
  /** When the last request was sent on it, and whether that opens a WebSocket. */
  sentAt = 0;
  websocket = false;
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

  get isIdle(): boolean {
    return this.connection.ready && this.connection.active === 0;
  }

  isLong(now: number): boolean {
    const { active, available } = this.connection;
    return active > 0 && !available && ((this.websocket && active === 1) || now - this.sentAt >= LONG_MS);
  }

  close(): void {
    this.connection.close();
  }
}

/** See the module. */
export class BackendPool implements Waiting {
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
    const { room } = this.#options;
    const share = room.shareOf(requester.client);
    const pooled = this.#free(requester);
    if (pooled !== undefined && room.allows(share, pooled.connection.capacity)) {
      this.#send(pooled, requester, share);
      return undefined;
    }
    if (this.#waiting.size >= MAX_WAITING || share.waiting >= MAX_WAITING_OF_CLIENT) {
      room.forget(share);
      requester.unavailable("overloaded");
      return undefined;
    }
    const waiter = new Waiter(this, requester, share);
    share.waiting++;
    this.#waiting.add(waiter);
    this.#options.turn.deadlines.set(waiter, this.#options.connectMs + GRACE_MS);
    this.#dialMore();
    return waiter;
  }

  /** Takes back a request that waits. */
  cancel(waiter: Waiter): void {
    this.#remove(waiter);
    this.#options.room.forget(waiter.share);
    this.#tellIfUnused();
  }

  #remove(waiter: Waiter): void {
    if (!this.#waiting.delete(waiter)) return;
    waiter.share.waiting--;
    this.#options.turn.deadlines.clear(waiter);
  }

  /** A request that was sent is over. */
  release(share: ClientShare): void {
    this.#options.room.release(share);
  }

  roomMade(): void {
    if (this.#waiting.size > 0) this.#serveWaiting();
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
    this.#options.room.changed();
  }

  forget(pooled: Pooled, unready: DialError | undefined): void {
    this.#options.turn.deadlines.clear(pooled);
    this.#connections = this.#connections.filter((other) => other !== pooled);
    this.#options.room.left(pooled);
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

  #send(pooled: Pooled, requester: Requester, share: ClientShare): void {
    const reused = pooled.used;
    pooled.used = true;
    pooled.sentAt = this.#options.turn.now;
    pooled.websocket = isWebSocket(requester);
    this.#options.turn.deadlines.clear(pooled);
    const stream = pooled.connection.request(requester.head, requester.bodiless, requester);
    share.held++;
    requester.sending(stream, reused, share);
  }

  #serveWaiting(): void {
    for (const waiter of this.#waiting) {
      const pooled = this.#free(waiter.requester);
      if (pooled === undefined) {
        if (isWebSocket(waiter.requester)) continue;
        break; // where there is nothing for one, there is nothing for the next
      }
      if (!this.#options.room.allows(waiter.share, pooled.connection.capacity)) {
        this.#options.room.waitFor(this);
        continue;
      }
      this.#remove(waiter);
      this.#send(pooled, waiter.requester, waiter.share);
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
    const { room } = this.#options;
    const sendable = room.sendable(this.#waiting, this.#connections[0]?.connection.capacity ?? 1);
    if (sendable < this.#waiting.size) room.waitFor(this);
    const wanted = http1 || websocket ? sendable : Math.min(1, sendable);
    for (let more = wanted - this.#pending; more > 0; more--) {
      if (!room.take(this)) return;
      this.#dial(websocket && (backendTls || backendProtocol === ""));
    }
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
    const { settings, prefix, connectMs, addresses, fault, dial, room } = this.#options;
    this.#dialling++;
    const startedAt = this.#options.turn.now;
    dial({ settings, addresses: addresses(), prefix, http1Only, connectMs, fault }, (result) => {
      this.#dialling--;
      if (!(result instanceof Error)) {
        this.#options.dialled((this.#options.turn.now - startedAt) / 1000);
        return this.#add(result);
      }
      room.failed();
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
    const { room, settings, connectMs } = this.#options;
    let pooled: Pooled | undefined;
    try {
      pooled = new Pooled(this, dialled, { scheme: settings.backendTls ? "https" : "http", settingsMs: connectMs });
      this.#connections.push(pooled);
      room.open(pooled);
      this.changed(pooled);
    } catch (thrown) {
      if (pooled === undefined) room.failed();
      dialled.transport.fault(thrown);
    }
  }
}

/** A request that waits for a connection. */
export class Waiter implements Expirable {
  deadline = 0;
  slot = -1;

  constructor(readonly pool: BackendPool, readonly requester: Requester, readonly share: ClientShare) {}

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
