/**
 * The TLS of a client's connection, whoever provides it.
 *
 * @module
 */

import type { HttpProtocol } from "../engine.ts";
import type { FaultReport, Transport } from "./transport.ts";

/** What the TLS library has made of a certificate and its key, for the connections of a thread. */
export interface ServerTlsContext {
  /** Gives it up: connections that have it keep it until they end. */
  free(): void;
}

/** Hears how a handshake ends, never from within a call of its own. */
export interface HandshakeEvents {
  /** The transport may be started. @param protocol What ALPN has chosen; HTTP/1.1 where the client offers nothing. */
  secured(protocol: HttpProtocol): void;
  /** There is no handshake, and nothing can be sent. @param detail Why, in the words of the library. */
  failed(detail: string): void;
}

/** Counts bytes as they pass, without those of TLS. */
export interface ByteCounting {
  read(bytes: number): void;
  written(bytes: number): void;
}

/** A client's connection of which nothing was read. It is a transport once it is secured. */
export interface ClientTls extends Transport {
  /** Without those of TLS. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Begins the handshake. */
  handshake(events: HandshakeEvents, counting: ByteCounting, fault: FaultReport): void;
}
