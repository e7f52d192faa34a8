/**
 * TLS of node's, as the portable engine uses it.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import { type SecureContext, TLSSocket } from "node:tls";
import type { ClientTls, ClientTlsEvents } from "../http/client_tls.ts";
import { type Counting, SocketTransport } from "./socket_transport.ts";
import { tlsSource } from "./tls_source.ts";
import type { FaultReport, TransportEvents } from "../http/transport.ts";

export class NodeTls implements ClientTls {
  readonly #socket: Duplex;
  readonly #context: SecureContext;
  #tls: TLSSocket | undefined;
  #transport: SocketTransport | undefined;

  constructor(socket: Duplex, context: SecureContext) {
    this.#socket = socket;
    this.#context = context;
  }

  handshake(events: ClientTlsEvents, counting: Counting, fault: FaultReport): void {
    const socket = this.#socket;
    socket.on("error", () => {});
    const source = tlsSource(socket);
    const tls = new TLSSocket(socket as never, {
      isServer: true,
      secureContext: this.#context,
      ALPNProtocols: ["h2", "http/1.1"],
    });
    this.#tls = tls;
    let secured = false;
    tls.on("error", (error: Error) => {
      if (!secured) events.failed(error.message);
    });
    tls.once("close", () => {
      if (!secured) events.failed("the client closed the connection");
    });
    tls.once("secure", () => {
      secured = true;
      this.#transport = new SocketTransport(tls, source, counting, fault);
      events.secured(tls.alpnProtocol === "h2" ? "h2" : "http/1.1");
    });
  }

  get bytesRead(): number {
    return this.#transport?.bytesRead ?? 0;
  }
  get bytesWritten(): number {
    return this.#transport?.bytesWritten ?? 0;
  }
  get backlog(): number {
    return this.#transport?.backlog ?? 0;
  }
  start(events: TransportEvents): void {
    this.#transport?.start(events);
  }
  write(bytes: Uint8Array<ArrayBuffer>): void {
    this.#transport?.write(bytes);
  }
  pause(): void {
    this.#transport?.pause();
  }
  resume(): void {
    this.#transport?.resume();
  }
  end(): void {
    this.#transport?.end();
  }
  destroy(): void {
    this.#transport?.destroy();
    this.#tls?.destroy();
    this.#socket.destroy();
  }
  contained(action: () => void): () => void {
    return this.#transport?.contained(action) ?? action;
  }
}
