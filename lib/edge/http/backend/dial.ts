/**
 * What connects to backends, whoever provides it.
 *
 * @module
 */

import { formatIpAddress } from "../../../wire/ip_address.ts";
import type { Endpoint } from "../../../wire/socket_address.ts";
import type { HttpProtocol } from "../../engine.ts";
import type { HttpRoute } from "../../snapshot.ts";
import { PROTOCOLS } from "../alpn.ts";
import type { FaultReport, Transport } from "../transport.ts";
import { DialError } from "./dial_error.ts";

/** How a backend is reached, beside its addresses. */
export type BackendSettings =
  & Pick<HttpRoute, "backendTls" | "backendProtocol" | "backendCa" | "backendServerName" | "backendPins">
  & { /** `host:port`. */ readonly name: string };

/** An open connection, and what is spoken on it. */
export interface Dialled {
  readonly transport: Transport;
  readonly protocol: HttpProtocol;
  /** As {@linkcode addressKey} gives it. */
  readonly address: string;
}

/** What a dial needs. */
export interface DialOptions {
  readonly settings: BackendSettings;
  /** Tried in turn, each for its share of the time that is left. */
  readonly addresses: readonly Endpoint[];
  /** What goes before everything else: a PROXY header. */
  readonly prefix: Uint8Array<ArrayBuffer> | undefined;
  /** Only HTTP/1.1: the connection is to carry a WebSocket that HTTP/2 cannot. */
  readonly http1Only: boolean;
  /** For all of it, in milliseconds. */
  readonly connectMs: number;
  readonly fault: FaultReport;
}

/**
 * Connects, and tells what came of it, once, and never from within the call.
 *
 * An error that is no {@linkcode DialError} is a fault of ours.
 */
export type Dial = (options: DialOptions, done: (result: Dialled | Error) => void) => void;

/** What tells an address from others. */
export function addressKey({ address, port }: Endpoint): string {
  return `${formatIpAddress(address)} ${port}`;
}

/** Whom the certificate of a backend must be for: a host name or an IP address, without brackets. */
export function serverNameOf({ backendServerName, name }: BackendSettings): string {
  return backendServerName || name.slice(0, name.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
}

/** What is spoken with a backend without TLS, where nothing is chosen. */
export function plainProtocol({ backendProtocol }: BackendSettings, http1Only: boolean): HttpProtocol {
  return http1Only || backendProtocol === "http1" ? "http/1.1" : "h2";
}

/** What is offered to a backend with ALPN. */
export function alpnOf(settings: BackendSettings, http1Only: boolean): readonly HttpProtocol[] {
  const preferred = plainProtocol(settings, http1Only);
  return preferred === "http/1.1" || settings.backendProtocol === "h2" ? [preferred] : PROTOCOLS;
}

/** Whether an error of TLS is the alert of a backend that takes none of {@linkcode alpnOf} (RFC 7301 §3.2). */
export function refusesProtocols(error: string): boolean {
  return /no.?application.?protocol/i.test(error);
}

/** The error of a backend that takes none of {@linkcode alpnOf}. Some say so by what they choose, some by an alert (RFC 7301 §3.2). */
export function noProtocol({ backendProtocol }: BackendSettings): DialError {
  return new DialError(
    "tls",
    backendProtocol === "h2"
      ? 'the backend does not speak HTTP/2 over TLS; set backend_protocol = "http1"'
      : "the backend does not speak HTTP/1.1 over TLS",
  );
}
