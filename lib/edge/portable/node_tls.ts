/**
 * The TLS of clients, from node:tls.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { PROTOCOLS, spoken } from "../http/alpn.ts";
import type { ByteCounting, ClientTls, HandshakeEvents, ServerTlsContext } from "../http/client_tls.ts";
import type { FaultReport, TransportEvents } from "../http/transport.ts";
import type { Turn } from "../http/turn.ts";
import type { CertificateSnapshot } from "../snapshot.ts";
import type { TlsSettings } from "../tls_settings.ts";
import { SocketTransport } from "./socket_transport.ts";
import { tlsSource } from "./tls_source.ts";

/**
 * A certificate and its key as node:tls has them. Of the settings it goes by the least version: node:tls of Deno 2.9.6
 * takes groups (`ecdhCurve`) and ciphers without a word, and uses its own.
 */
export class NodeTlsContext implements ServerTlsContext {
  readonly secure: SecureContext;

  /** @throws {Error} If they are not sound, or do not belong together. */
  constructor({ cert, key }: CertificateSnapshot, { minVersion }: TlsSettings) {
    this.secure = createSecureContext({ cert, key, minVersion: `TLSv${minVersion}` });
  }

  free(): void {}
}

/** See the module. */
export class NodeTls implements ClientTls {
  readonly turn: Turn;
  readonly #socket: Duplex;
  readonly #context: NodeTlsContext;
  #tls: TLSSocket | undefined;
  #transport: SocketTransport | undefined;
  #fault: FaultReport | undefined;

  /** @param socket Nothing was read from it. */
  constructor(turn: Turn, socket: Duplex, context: NodeTlsContext) {
    this.turn = turn;
    this.#socket = socket;
    this.#context = context;
  }

  handshake(events: HandshakeEvents, counting: ByteCounting, fault: FaultReport): void {
    const socket = this.#socket;
    this.#fault = fault;
    socket.on("error", () => {}); // told by the TLS on it
    const source = tlsSource(socket);
    const tls = new TLSSocket(socket as never, {
      isServer: true,
      secureContext: this.#context.secure,
      ALPNProtocols: [...PROTOCOLS],
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
      this.#transport = new SocketTransport(this.turn, tls, source, counting, fault);
      events.secured(spoken(tls.alpnProtocol));
    });
  }

  get bytesRead(): number {
    return this.#transport?.bytesRead ?? 0;
  }

  get bytesWritten(): number {
    return this.#transport?.bytesWritten ?? 0;
  }

  get leavesAtOnce(): boolean {
    return false;
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

  fault(thrown: unknown): void {
    if (this.#transport === undefined) this.#fault?.(thrown);
    else this.#transport.fault(thrown);
  }
}
