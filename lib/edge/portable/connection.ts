/**
 * The life of one connection, from accept to end.
 *
 * @module
 */

import type { Firewall } from "../../rules/firewall.ts";
import type { RouteTable } from "../../rules/route_table.ts";
import { newClientHelloProgress, parseClientHello } from "../../wire/client_hello.ts";
import { encodeProxyHeaderV2, parseProxyHeader } from "../../wire/proxy_protocol.ts";
import type { Endpoint } from "../../wire/socket_address.ts";
import { parseIpAddress } from "../../wire/ip_address.ts";
import { BLOCKED, type End } from "../end.ts";
import type { EndReason, EngineEvents } from "../engine.ts";
import type { HttpEnd } from "../http/client_connection.ts";
import type { HttpService } from "../http/service.ts";
import type { RouteSnapshot } from "../snapshot.ts";
import { stackOf } from "../thrown.ts";
import { ConnDuplex } from "./conn_duplex.ts";
import { dial, type DialAttempt, type DialEngine, type DialledConnection } from "./dial.ts";
import { NodeTls, type NodeTlsContext } from "./node_tls.ts";
import { type Direction, relay, type RelayedConnection, type RelayEngine, writeAll } from "./relay.ts";
import type { EventLoopTurn } from "./turn.ts";

/** What a connection needs of the engine. */
export interface ConnectionEngine extends DialEngine, RelayEngine {
  readonly events: Pick<EngineEvents, "dialFailed" | "internalError">;
  readonly firewall: Firewall;
  readonly http: HttpService<NodeTlsContext>;
  /** All connections that live. */
  readonly open: Set<Connection>;
  readonly turn: EventLoopTurn;
  /** Counts and reports a connection that is over. */
  ended(connection: Connection): void;
}

/** What a connection needs of the listener that it came on. */
export interface ConnectionListener {
  /** Its place in the snapshot, and in the counters. */
  readonly index: number;
  readonly addr: string;
  readonly proxyProtocol: boolean;
  readonly routes: RouteTable<RouteSnapshot>;
}

const NO_BUFFER = new Uint8Array(0);

/** One accepted connection and all that belongs to it. */
export class Connection implements DialledConnection, RelayedConnection {
  readonly engine: ConnectionEngine;
  readonly listener: ConnectionListener;
  readonly socket: Deno.TcpConn;
  readonly startedAt = performance.now();

  /** The real client: the peer, or whom the PROXY header names. */
  client: Endpoint;
  /** The address that the client connected to, likewise. */
  destination: Endpoint;
  /** What was received and not yet passed on is `buffer[start..end]`. */
  buffer: Uint8Array<ArrayBuffer>;
  bufferStart = 0;
  bufferEnd = 0;

  serverName: string | undefined;
  route: RouteSnapshot | undefined;
  backend: Deno.TcpConn | undefined;
  dialing: DialAttempt | undefined;
  bytesIn = 0;
  bytesOut = 0;

  /** L7: who serves HTTP closes the socket, and tells what became of it. */
  handedOver = false;
  httpEnd: HttpEnd | undefined;

  /** How it ended; `undefined` while it lives. */
  ended: End | undefined;

  deadline = 0;
  slot = -1;
  #expiresAs: EndReason = "hello_timeout";

  /** @throws {TypeError} If the runtime gives an address that is not one. */
  constructor(engine: ConnectionEngine, listener: ConnectionListener, socket: Deno.TcpConn) {
    this.engine = engine;
    this.listener = listener;
    this.socket = socket;
    this.client = endpointOf(socket.remoteAddr);
    this.destination = endpointOf(socket.localAddr);
    this.buffer = engine.pool.take();
  }

  /** Gives the buffer back once all that was received has been passed on. */
  releaseBuffer(): void {
    this.engine.pool.give(this.buffer);
    this.buffer = NO_BUFFER;
    this.bufferStart = this.bufferEnd = 0;
  }

  /** Received and not yet passed on. */
  get received(): Uint8Array<ArrayBuffer> {
    return this.buffer.subarray(this.bufferStart, this.bufferEnd);
  }

  /** Counts bytes that were passed on: `in` from client to backend, `out` from backend to client. */
  passed(direction: Direction, bytes: number): void {
    const { counters } = this.engine;
    if (direction === "in") {
      this.bytesIn += bytes;
      counters.bytesIn(this.listener.index, bytes);
    } else {
      this.bytesOut += bytes;
      counters.bytesOut(this.listener.index, bytes);
    }
  }

  /** Ends the connection with `reason` unless something else happens within `ms`. */
  expireAs(reason: EndReason, ms: number): void {
    this.#expiresAs = reason;
    if (this.ended === undefined) this.engine.deadlines.set(this, ms);
  }

  /** The program is to end: a client that has not said yet whom it wants has so many milliseconds left. */
  hurry(ms: number): void {
    const isStranger = this.#expiresAs === "hello_timeout" || this.#expiresAs === "proxy_header_timeout";
    if (!isStranger || this.handedOver || this.dialing !== undefined || this.slot < 0) return;
    const { deadlines } = this.engine;
    if (deadlines.remaining(this) > ms) deadlines.set(this, ms);
  }

  expire(): void {
    this.finish({ reason: this.#expiresAs });
  }

  /** Ends the connection: the first call decides how; whatever waits on its sockets is woken by their closing. */
  finish(end: End): void {
    if (this.ended !== undefined) return;
    this.ended = end;
    this.engine.deadlines.clear(this);
    this.dialing?.abort();
    if (!this.handedOver) this.socket.close();
    this.backend?.close();
  }
}

/** @throws {TypeError} If the runtime gives an address that is not one. */
export function endpointOf({ hostname, port }: Deno.NetAddr): Endpoint {
  const address = parseIpAddress(hostname);
  if (address === undefined) throw new TypeError(`not an IP address: ${hostname}`);
  return { address, port };
}

/** Serves one connection that has a place on its listener. Never throws. */
export async function serveConnection(connection: Connection): Promise<void> {
  const { engine } = connection;
  engine.open.add(connection);
  try {
    connection.finish(await live(connection));
  } catch (error) {
    if (connection.ended === undefined) engine.events.internalError(stackOf(error));
    connection.finish({ reason: "internal_error" });
  } finally {
    connection.releaseBuffer();
    engine.ended(connection);
  }
}

async function live(connection: Connection): Promise<End> {
  const { engine, listener } = connection;
  connection.socket.setNoDelay(true);

  if (listener.proxyProtocol) {
    const refused = await readProxyHeader(connection);
    if (refused !== undefined) return refused;
  }

  const blocked = engine.firewall.check(connection.client.address, performance.now());
  if (blocked !== undefined) return { reason: BLOCKED[blocked] };

  const refused = await readClientHello(connection);
  if (refused !== undefined) return refused;

  const route = listener.routes.lookup(connection.serverName);
  if (route === undefined) return { reason: "no_route" };
  connection.route = route;
  if (route.http !== undefined) return await serveHttp(connection, route);

  const backend = await dial(connection, route);
  if (!("socket" in backend)) return backend;
  connection.backend = backend.socket;

  connection.expireAs("idle_timeout", engine.timeouts.idleMs);
  return await sendFirstBytes(connection, route, backend.socket) ?? await relay(connection, backend.socket);
}

/** Has HTTP served on what the client sends, its ClientHello included. */
async function serveHttp(connection: Connection, route: RouteSnapshot): Promise<End> {
  const { engine, listener, socket, client, destination, serverName } = connection;
  engine.deadlines.clear(connection);
  const duplex = new ConnDuplex(socket, connection.received.slice());
  connection.releaseBuffer();
  connection.handedOver = true;
  const end = Promise.withResolvers<HttpEnd>();
  engine.http.take({
    listener: listener.index,
    client,
    destination,
    serverName,
    route: route.hostname,
    secure: (context) => new NodeTls(engine.turn, duplex, context),
    refuse: () => void duplex.destroy(),
    ended: end.resolve,
  });
  return connection.httpEnd = await end.promise;
}

/** Reads the PROXY header that must come first, and takes the client's address from it. */
async function readProxyHeader(connection: Connection): Promise<End | undefined> {
  connection.expireAs("proxy_header_timeout", connection.engine.timeouts.proxyHeaderMs);
  for (;;) {
    const header = parseProxyHeader(connection.received);
    switch (header.kind) {
      case "malformed":
        return { reason: "proxy_header_malformed", detail: header.rule };
      case "header":
        connection.bufferStart += header.length;
        connection.client = header.source ?? connection.client;
        connection.destination = header.destination ?? connection.destination;
        return undefined;
      case "need_more":
        if (!await receive(connection)) return { reason: "client_gone" };
    }
  }
}

/** Reads until one whole ClientHello is there. */
async function readClientHello(connection: Connection): Promise<End | undefined> {
  connection.expireAs("hello_timeout", connection.engine.timeouts.helloMs);
  const progress = newClientHelloProgress();
  for (;;) {
    const hello = parseClientHello(connection.received, progress);
    switch (hello.kind) {
      case "not_tls":
        return { reason: "not_tls" };
      case "malformed":
        return hello.rule === "too_large"
          ? { reason: "hello_too_large" }
          : { reason: "hello_malformed", detail: hello.rule };
      case "hello":
        connection.serverName = hello.serverName;
        return undefined;
      case "need_more":
        if (!await receive(connection)) return { reason: "client_gone" };
    }
  }
}

/** Receives some more bytes; `false` where the client has closed or reset the connection. */
async function receive(connection: Connection): Promise<boolean> {
  if (connection.bufferEnd === connection.buffer.length) enlarge(connection);
  try {
    const n = await connection.socket.read(connection.buffer.subarray(connection.bufferEnd));
    connection.bufferEnd += n ?? 0;
    return n !== null;
  } catch {
    // Reset by the client, or closed by `finish`, which has then said why.
    return false;
  }
}

/** Both parsers bound what they ask for, and so this. */
function enlarge(connection: Connection): void {
  const { engine, buffer } = connection;
  const larger = engine.pool.take(buffer.length * 4);
  larger.set(buffer);
  engine.pool.give(buffer);
  connection.buffer = larger;
}

/** Sends the PROXY header, where the route wants one, and all that was received so far, in one segment if they fit. */
async function sendFirstBytes(
  connection: Connection,
  route: RouteSnapshot,
  backend: Deno.TcpConn,
): Promise<End | undefined> {
  const { received } = connection;
  const bytes = route.sendProxyProtocol ? behindProxyHeader(connection, received) : received;
  if (!await writeAll(connection, backend, bytes)) return { reason: "backend_reset" };
  connection.passed("in", received.length);
  connection.releaseBuffer();
  return undefined;
}

function behindProxyHeader(connection: Connection, bytes: Uint8Array): Uint8Array {
  const { client: source, destination, serverName: authority } = connection;
  const header = encodeProxyHeaderV2({ source, destination, authority });
  const both = new Uint8Array(header.length + bytes.length);
  both.set(header);
  both.set(bytes, header.length);
  return both;
}
