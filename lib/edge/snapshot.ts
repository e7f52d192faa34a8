/**
 * What the control plane hands to an engine: everything there is to serve, as plain immutable values that can be
 * posted to another thread.
 *
 * @module
 */

import type { FirewallRules } from "../rules/firewall.ts";
import type { HttpPolicy } from "../rules/http_policy.ts";
import type { RouteRows } from "./route_counters.ts";
import type { LogFormat } from "../wire/log_line.ts";
import type { Endpoint } from "../wire/socket_address.ts";
import type { TicketKey } from "./ticket_key.ts";
import type { TlsSettings } from "./tls_settings.ts";

/** All that an engine serves. */
export interface EdgeSnapshot {
  /** In the order of their counters: a listener is known to counters and events by its index. */
  readonly listeners: readonly ListenerSnapshot[];
  readonly firewall: FirewallSnapshot;
  /** The addresses of every backend that a route names, by that name; empty where it could not be resolved. */
  readonly backends: ReadonlyMap<string, readonly Endpoint[]>;
  /** The certificates of L7 routes by name; one that is missing has connections refused. */
  readonly certificates: ReadonlyMap<string, CertificateSnapshot>;
  /** How TLS is spoken, by the engine that brings a library for it. */
  readonly tls: TlsSettings;
  /** The keys of session tickets: the first makes them, all take them. None: sessions are not resumed. */
  readonly ticketKeys: readonly TicketKey[];
  readonly timeouts: EdgeTimeouts;
  /** How lines of the log are written. */
  readonly logFormat: LogFormat;
  /** Whether each begins with its priority: the journal of systemd reads it. */
  readonly logPriorities: boolean;
  /** Whether each ended connection is a line. They are counted all the same. */
  readonly reportsConnections: boolean;
  /** Whether each request is a line. */
  readonly reportsRequests: boolean;
}

/** A certificate chain and its key, PEM. */
export interface CertificateSnapshot {
  readonly cert: string;
  readonly key: string;
}

/** One listening address and its routes. */
export interface ListenerSnapshot {
  /** As configured, e.g. `":443"`: the name of the listener in logs and metrics. */
  readonly addr: string;
  /** An IP address, or a host name of this machine; `"::"` takes IPv4 as well. */
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
  /** Whether every connection starts with a PROXY protocol header. */
  readonly proxyProtocol: boolean;
  /** 0: no limit. */
  readonly maxConnections: number;
  readonly routes: readonly RouteSnapshot[];
}

/** The {@linkcode HttpRoute.backendServerName} that stands for the host of each request. */
export const REQUEST_HOST = "{host}";

/** One route. */
export interface RouteSnapshot {
  /** An exact host name, `*.suffix` or `*`, normalised. */
  readonly hostname: string;
  /** `host:port`, a key of {@linkcode EdgeSnapshot.backends}. */
  readonly backend: string;
  readonly sendProxyProtocol: boolean;
  /** Where it is counted. */
  readonly rows: RouteRows;
  /** L7: how TLS is terminated and HTTP forwarded; `undefined`: the stream is passed on as it is. */
  readonly http: HttpRoute | undefined;
}

/** What an L7 route has beside. */
export interface HttpRoute {
  /** A key of {@linkcode EdgeSnapshot.certificates}. */
  readonly certificate: string;
  readonly backendTls: boolean;
  /** `""`: h2c, or what ALPN chooses where `backendTls` is set. */
  readonly backendProtocol: "" | "h2" | "http1";
  /** PEM certificates that sign the backend's; `""`: those of the system. */
  readonly backendCa: string;
  /** The name that the backend's certificate must carry; `""`: the host of the backend; `{host}`: what the client asks for. */
  readonly backendServerName: string;
  /** The public keys of which the backend's certificate must have one, each `sha256/BASE64` of its 32 bytes; none: any. */
  readonly backendPins: readonly string[];
  /** From the end of a request to the head of its answer, in milliseconds. */
  readonly backendTimeoutMs: number;
  /** Connections of one worker to the backend, at least 1; as many again that are taken up for long. */
  readonly backendMaxConnections: number;
  /** Whether TRACE reaches the backend. */
  readonly allowTrace: boolean;
  /** In the order in which they are tried. */
  readonly policies: readonly HttpPolicy[];
}

/** What decides whether a client is let in. */
export interface FirewallSnapshot {
  readonly rules: FirewallRules;
  /** The bytes of a MaxMind-format file. */
  readonly geoip: Uint8Array | undefined;
  /** Connections of one source address in a window, at most 65,535; 0: no limit. */
  readonly rateLimit: number;
  readonly rateWindowMs: number;
}

/** How long each wait may last, in milliseconds. */
export interface EdgeTimeouts {
  readonly proxyHeaderMs: number;
  readonly helloMs: number;
  readonly connectMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
}
