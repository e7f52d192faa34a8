/**
 * The TLS of a client's connection, whoever provides it.
 *
 * @module
 */

import type { HttpProtocol } from "../engine.ts";
import type { Counting } from "../portable/socket_transport.ts";
import type { FaultReport, Transport } from "./transport.ts";

export interface ClientTlsEvents {
  secured(protocol: HttpProtocol): void;
  failed(detail: string): void;
}

/** Becomes a transport when it is secured. */
export interface ClientTls extends Transport {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  handshake(events: ClientTlsEvents, counting: Counting, fault: FaultReport): void;
}
