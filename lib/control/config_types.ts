/**
 * The configuration as plain values: checked, in canonical form, every default filled in, every path absolute.
 *
 * @module
 */

import type { TlsSettings } from "../edge/tls_settings.ts";

/** Something wrong, or merely notable, about a configuration. */
export interface ConfigProblem {
  /** Where: `listeners[0].routes[1].backend`, `MCPROXY_PROXY_WORKERS`, or `""` for the file itself. */
  readonly path: string;
  /** What is wrong and what would be right, in one line. */
  readonly message: string;
}

/** The kinds of HTTP policy. */
export const L7_POLICY_TYPES = ["block_user_agent", "require_header", "block_user_agent_any_case"] as const;
/** What a backend of an L7 route speaks; `""` is h2c, or what ALPN chooses where `backendTls` is on. */
export const BACKEND_PROTOCOLS = ["", "h2", "http1"] as const;
/** How a route serves its connections: `l4` passes the TLS stream on, `l7` terminates it. */
export const ROUTE_MODES = ["l4", "l7"] as const;
/** How long a backend of an L7 route may take to answer, where nothing else is said, in milliseconds. */
export const BACKEND_TIMEOUT_MS = 60_000;
/** How many connections a worker has to a backend of an L7 route, where nothing else is said. */
export const BACKEND_MAX_CONNECTIONS = 1_024;
/** The data planes that there are. */
export const ENGINES = ["auto", "epoll", "portable"] as const;
/** Which rights the admin socket may have: chmod(2). To connect takes the right to write. */
export const SOCKET_MODES = ["0600", "0660"] as const;
/** The log levels, most talkative first. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
/** How a log line is written. */
export const LOG_FORMATS = ["text", "json"] as const;

/** A rule that an L7 request must pass. */
export interface L7PolicyConfig {
  readonly type: typeof L7_POLICY_TYPES[number];
  /** A substring of `User-Agent`, or the name of a header. Never empty. */
  readonly value: string;
}

/** What happens to the connections for one host name pattern. */
export interface RouteConfig {
  /** An exact host name, `*.suffix` or `*`, in lower case and without a trailing dot. */
  readonly hostname: string;
  /** `host:port`, IPv6 in brackets. */
  readonly backend: string;
  readonly mode: typeof ROUTE_MODES[number];
  /** Whether the backend is sent a PROXY v2 header. */
  readonly sendProxyProtocol: boolean;
  /** L7: path of the certificate chain in PEM; `""` where there is none. */
  readonly tlsCert: string;
  /** L7: path of the private key in PEM; `""` where there is none. */
  readonly tlsKey: string;
  readonly backendTls: boolean;
  readonly backendProtocol: typeof BACKEND_PROTOCOLS[number];
  /** L7: path of the PEM certificates that sign the backend's; `""`: the system's. */
  readonly backendCa: string;
  /** L7: the name that the backend's certificate must carry; `""`: the backend's host; `{host}`: what the client asks for. */
  readonly backendServerName: string;
  /** L7: the public keys of which the backend's certificate must have one, each `sha256/BASE64`; none: any. */
  readonly backendPins: readonly string[];
  /** L7: from the end of a request to the head of its answer, 1 to 86,400,000. */
  readonly backendTimeoutMs: number;
  /** L7: what a worker has at most to the backend, 1 to 65,535. */
  readonly backendMaxConnections: number;
  /** L7: whether TRACE reaches the backend. */
  readonly allowTrace: boolean;
  /** In the order in which they are tried. */
  readonly l7Policies: readonly L7PolicyConfig[];
}

/** One TCP address to listen on. */
export interface ListenerConfig {
  /** `host:port`, `[v6]:port` or `:port` (every address of both families). */
  readonly addr: string;
  /** Whether every connection must begin with a PROXY header. */
  readonly proxyProtocol: boolean;
  /** Connections open at once; 0: no limit. */
  readonly maxConnections: number;
  readonly routes: readonly RouteConfig[];
}

/** The part of the firewall that the database holds. */
export interface FirewallRules {
  /** Canonical addresses. */
  readonly blockedIps: readonly string[];
  /** Canonical prefixes, no host bits set. */
  readonly blockedCidrs: readonly string[];
  /** ISO 3166-1 alpha-2 codes in upper case. */
  readonly blockedCountries: readonly string[];
}

/** Which clients are turned away before any routing. */
export interface FirewallConfig extends FirewallRules {
  /** Path of a MaxMind-format file. */
  readonly geoipDb: string | undefined;
  /** Connections per source address per window, at most 65535; 0: no limit. */
  readonly rateLimit: number;
  readonly rateWindowMs: number;
}

/** The whole configuration. */
export interface Config {
  readonly database: { readonly path: string };
  readonly listeners: readonly ListenerConfig[];
  readonly firewall: FirewallConfig;
  /** The admin API; `undefined`: none. */
  readonly grpc: {
    readonly addr: string;
    /** Of the socket: `0660` for its group too. */
    readonly mode: typeof SOCKET_MODES[number];
    /** Its group, by name or number; `""`: that of the process. */
    readonly group: string;
  } | undefined;
  /** The scrape endpoint; `undefined`: none. */
  readonly metrics: {
    readonly addr: string;
    readonly path: string;
    /** Whether a page for people is served beside it, at `/`. */
    readonly dashboard: boolean;
    /** Names by which it may be asked beside `localhost` and IP addresses, as `normalizeHostname` spells them. */
    readonly hosts: readonly string[];
  } | undefined;
  readonly proxy: {
    /** What moves the bytes: `auto` is `epoll` where that can run, and `portable` elsewhere. */
    readonly engine: typeof ENGINES[number];
    /** Data-plane workers of the epoll engine; 0: one a core. */
    readonly workers: number;
    /** Of clients and of backends. */
    readonly tls: TlsSettings;
    readonly connectTimeoutMs: number;
    readonly helloTimeoutMs: number;
    readonly idleTimeoutMs: number;
    readonly shutdownTimeoutMs: number;
  };
  readonly log: {
    readonly level: typeof LOG_LEVELS[number];
    readonly format: typeof LOG_FORMATS[number];
    /** L7: whether each request is a line, of level `info`. */
    readonly access: boolean;
  };
}

/** What the database holds: everything that may change at run time. */
export interface StoredState {
  readonly listeners: readonly ListenerConfig[];
  readonly firewall: FirewallRules;
}
