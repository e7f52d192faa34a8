/**
 * What docs/CONFIG.md says of each key; its type, its default and the variable that overrides it come from the schema.
 *
 * @module
 */

import type { TABLES } from "../../lib/control/config_schema.ts";

/** What is to be said of a key. */
export interface KeyText {
  /** What it does, in Markdown. */
  readonly does: string;
  /** A value that is not the default, as TOML. */
  readonly example: string;
  /** What text it takes, where it takes any: behind the words "a string,". */
  readonly text?: string;
}

/** What is to be said of a table. */
export interface TableText<Keys extends string> {
  readonly about: string;
  readonly keys: { readonly [Key in Keys]: KeyText };
}

type Tables = typeof TABLES;

/** Of every table, and every key of it: one that has no text here is a type error. */
export const TEXTS: { readonly [Table in keyof Tables]: TableText<Extract<keyof Tables[Table], string>> } = {
  database: {
    about: "Where all is kept that may change while the server runs. The table is required.",
    keys: {
      path: {
        does: "The SQLite database. The first start makes it, in a folder that must be there and that the server may " +
          "write to: beside it SQLite keeps its journal.",
        example: '"/srv/mc-proxy/mc-proxy.db"',
        text: "the path of a file",
      },
    },
  },
  listeners: {
    about: "An address to listen on; there may be any number of these tables, one at least.",
    keys: {
      addr: {
        does: "The address, which is also the name of the listener in commands, logs and metrics. `:port` is every " +
          "address of the host, IPv4 and IPv6. Port 0 is any that is free; the log says which.",
        example: '":443"',
        text: "`:port`, `host:port` or `[v6]:port`",
      },
      proxy_protocol: {
        does: "Whether every connection must begin with a PROXY protocol header, version 1 or 2. From then on the " +
          "address in it is the client's, for the firewall too: let nobody connect who may not say so.",
        example: "true",
      },
      max_connections: {
        does: "How many connections may be open at once; more are refused. 0 is no limit.",
        example: "5000",
      },
      routes: {
        does: "The routes: see [below](#listenersroutes). Connections for which there is none are refused.",
        example: '[{ hostname = "git.example.net", backend = "127.0.0.1:18443" }]',
      },
    },
  },
  "listeners.routes": {
    about: "Where the connections for a host name go. [HTTP.md](HTTP.md) tells all about those of mode `l7`.",
    keys: {
      hostname: {
        does:
          "The name that clients ask for by SNI. An exact name wins over a wildcard, which fits names one or more " +
          "labels deep, a longer wildcard over a shorter one, and `*` takes what is left, connections without a name " +
          "included. On one listener each is there once.",
        example: '"*.apps.example.net"',
        text: "a host name, `*.` and a host name, or `*`",
      },
      backend: {
        does: "Where to connect to. A name is looked up every 30 seconds, and anew when it cannot be reached.",
        example: '"127.0.0.1:18443"',
        text: "`host:port` or `[v6]:port`",
      },
      mode: {
        does: "`l4` passes the TLS stream on as it is; `l7` ends TLS and forwards HTTP requests.",
        example: '"l7"',
      },
      send_proxy_protocol: {
        does: "Whether the backend is told the client's address in a PROXY protocol header, version 2.",
        example: "true",
      },
      tls_cert: {
        does:
          "L7: the certificate chain in PEM, the server's own certificate first. Required with `l7`. It is loaded " +
          "anew when it changes.",
        example: '"/srv/mc-proxy/certs/www.pem"',
        text: "the path of a file, or none",
      },
      tls_key: {
        does: "L7: its private key in PEM. Required with `l7`.",
        example: '"/srv/mc-proxy/certs/www.key"',
        text: "the path of a file, or none",
      },
      backend_tls: {
        does: "L7: whether TLS is spoken to the backend, whose certificate is verified.",
        example: "true",
      },
      backend_protocol: {
        does:
          'L7: what the backend speaks. `""` is HTTP/2 without TLS (h2c), or what ALPN chooses where `backend_tls` ' +
          "is true.",
        example: '"http1"',
      },
      backend_ca: {
        does: "L7, with `backend_tls`: the certificates in PEM that sign the backend's; without it, those that the " +
          "system trusts. It is read at the start, and when the route changes.",
        example: '"/srv/mc-proxy/certs/internal-ca.pem"',
        text: "the path of a file, or none",
      },
      backend_server_name: {
        does: "L7, with `backend_tls`: the name that the backend's certificate must carry; without it, the host of " +
          "`backend`. `{host}` is the host of each request, for a backend with virtual hosts of its own, such as that of " +
          "a wildcard route. It is also the server name (SNI) that the backend is sent; where it is an IP address, none is.",
        example: '"api.internal"',
        text: "a host name, `{host}`, or none",
      },
      backend_pins: {
        does:
          "L7, with `backend_tls`: public keys, of which the backend's certificate must have one; beside chain and name " +
          "where `backend_ca` is there, otherwise in place of them. Each is the SHA-256 of the key (its SubjectPublicKeyInfo) in base64, as RFC 7469 has it; " +
          "`sha256/` may stand before it. Name the key that comes next as well, or the day of the change is an outage. " +
          "Without any, the backend may have any key.",
        example: '["sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]',
      },
      backend_timeout: {
        does: "L7: how long the backend may take to begin its answer, from the end of the request on: then 504. " +
          "`idle_timeout` ends it as well, where that is shorter.",
        example: '"5m"',
      },
      backend_max_connections: {
        does:
          "L7: how many connections each worker has at most to the backend. Those that are taken up by WebSockets, or " +
          "by requests that take longer than 10 s, are counted apart, up to as many again, so that they do not use up what " +
          "other requests need. One client (an IPv4 address, or the /64 of an IPv6 address) may take up half of them: " +
          "its further requests wait. What waits longer than `connect_timeout` is answered with 503.",
        example: "4096",
      },
      allow_trace: {
        does: "L7: whether TRACE requests reach the backend; otherwise the proxy answers 405.",
        example: "true",
      },
      l7_policies: {
        does: "L7: what each request must pass: see [below](#listenersroutesl7_policies).",
        example: '[{ type = "block_user_agent", value = "BadBot" }]',
      },
    },
  },
  "listeners.routes.l7_policies": {
    about: "A rule for the requests of an L7 route. They are tried in order; the first that fits answers 403.",
    keys: {
      type: {
        does: "`block_user_agent` refuses requests whose `User-Agent` contains the value, " +
          "`block_user_agent_any_case` does so whatever the case of its letters, `require_header` refuses those " +
          "without the header of that name.",
        example: '"require_header"',
      },
      value: {
        does: "What is looked for.",
        example: '"X-Api-Key"',
        text: "1 to 256 printable ASCII characters",
      },
    },
  },
  firewall: {
    about: "Who is refused before any routing, on every listener. Addresses are those of PROXY headers, where there " +
      "are any.",
    keys: {
      blocked_ips: {
        does: "Addresses that are refused.",
        example: '["192.0.2.66", "2001:db8::bad"]',
      },
      blocked_cidrs: {
        does: "Prefixes that are refused; host bits are not set in them.",
        example: '["198.51.100.0/24"]',
      },
      blocked_countries: {
        does: "Countries that are refused, by their ISO 3166-1 alpha-2 codes. Needs `geoip_db`.",
        example: '["KP"]',
      },
      geoip_db: {
        does: "The database that says which country an address is of, in MaxMind's format. SIGHUP loads it anew.",
        example: '"/srv/mc-proxy/GeoLite2-Country.mmdb"',
        text: "the path of a file, or none",
      },
      rate_limit: {
        does: "How many connections one address may open in `rate_window`; more are refused. 0 is no limit.",
        example: "100",
      },
      rate_window: {
        does: "The window of `rate_limit`, which slides.",
        example: '"1m"',
      },
    },
  },
  grpc: {
    about: "The admin API, which [`ctl`](CTL.md) speaks to. Without this table there is none.",
    keys: {
      addr: {
        does: "The Unix socket, made in a folder that must be there.",
        example: '"/srv/mc-proxy/mc-proxy.sock"',
        text: "an absolute path of at most 107 octets",
      },
      mode: {
        does: 'Who may connect: the server\'s own user and root, or with `"0660"` the members of its group too. ' +
          "Whoever may can change everything that is served. The folder has to let them through.",
        example: '"0660"',
      },
      group: {
        does: 'The group of the socket, with `mode = "0660"`; by default that of the server. The server\'s user must ' +
          "be a member of it. Under systemd it takes a drop-in: [INSTALL.md](INSTALL.md#administrators).",
        example: '"mc-proxy-admin"',
        text: "the name of a group in `/etc/group`, or a number",
      },
    },
  },
  metrics: {
    about: "The endpoint that Prometheus scrapes: [METRICS.md](METRICS.md). Without this table there is none.",
    keys: {
      addr: {
        does: "Where it listens. It knows neither TLS nor passwords: take the loopback, or a private network.",
        example: '"127.0.0.1:9090"',
        text: "`:port`, `host:port` or `[v6]:port`",
      },
      path: {
        does: "The path of the metrics. Beside it there are `/healthz` and `/readyz`.",
        example: '"/internal/metrics"',
        text: "a URL path",
      },
      dashboard: {
        does: "Whether there is a page for people at `/`.",
        example: "true",
      },
      hosts: {
        does:
          "Names by which the endpoint may be asked. The page for people is answered by these, by IP addresses, by " +
          "`localhost` and by the host in `addr` alone, so that no web site can read it through a browser (DNS rebinding); " +
          "where any are given, so are the metrics, and scrapers that use a name must use one of these. " +
          "[Why](METRICS.md#by-which-names).",
        example: '["proxy.example.net"]',
      },
    },
  },
  proxy: {
    about: "How connections are served.",
    keys: {
      engine: {
        does:
          "What moves the bytes. `epoll` needs Linux and the libssl of OpenSSL 3.0 or newer; `portable` runs everywhere, " +
          "with the TLS of the runtime; `auto` is `epoll` where that can run. The log says why it is `portable`.",
        example: '"portable"',
      },
      workers: {
        does: "Threads of the epoll engine; 0 is one for each core.",
        example: "4",
      },
      libssl: {
        does:
          "The libssl that the epoll engine speaks TLS with: the file, whose libcrypto stands beside it. Without it, " +
          "the system's, which the system's updates keep safe: [SECURITY.md](SECURITY.md#the-library-that-speaks-tls).",
        example: '"/opt/openssl/lib/libssl.so.3"',
        text: "the path of a file, or none",
      },
      tls_min_version: {
        does: "The oldest version of TLS that is spoken, with clients of L7 routes and with backends over TLS.",
        example: '"1.3"',
      },
      tls_groups: {
        does:
          "The groups that keys are agreed on with, in order of preference, by the names of OpenSSL. Without them, " +
          "those of the library, which `check`, the log and `status` tell. Those with `MLKEM` in their names are " +
          "post-quantum; OpenSSL has them from 3.5 on. The portable engine has groups of its own.",
        example: '["X25519MLKEM768", "X25519", "secp256r1"]',
      },
      tls_ciphers: {
        does: "The ciphers of TLS 1.3 (`TLS_…`) and TLS 1.2, in order of preference: `TLS_AES_128_GCM_SHA256`, " +
          "`TLS_AES_256_GCM_SHA384`, `TLS_CHACHA20_POLY1305_SHA256`, and `ECDHE-ECDSA-` or `ECDHE-RSA-` with " +
          "`AES128-GCM-SHA256`, `AES256-GCM-SHA384` or `CHACHA20-POLY1305`. Without any of a version, all of these, AES-128 " +
          "first. A client that prefers ChaCha20 gets it, where it is among them. The portable engine has ciphers of its " +
          "own.",
        example: '["TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"]',
      },
      connect_timeout: {
        does: "How long it may take to connect to a backend.",
        example: '"2s"',
      },
      hello_timeout: {
        does:
          "How long a client may take to send its whole ClientHello; once the server stops or was taken over, 1 s at most.",
        example: '"5s"',
      },
      idle_timeout: {
        does: "How long a connection may be without a byte in either direction; then it is ended.",
        example: '"1h"',
      },
      shutdown_timeout: {
        does:
          "How long open connections may go on after SIGTERM; then they are ended. One that has not said yet which host " +
          "it wants, for want of a PROXY header or a whole ClientHello, has 1 s.",
        example: '"2m"',
      },
    },
  },
  log: {
    about: "What is written to standard error.",
    keys: {
      level: {
        does: "The least level of the lines. Connections and requests are of level `info`.",
        example: '"warn"',
      },
      format: {
        does: "How a line is written.",
        example: '"json"',
      },
      access: {
        does: "L7: whether each request is a line.",
        example: "false",
      },
    },
  },
};
