/**
 * Random configurations, as the program holds them.
 *
 * @module
 */

import fc from "fast-check";
import { TLS_VERSIONS } from "../../edge/tls_settings.ts";
import {
  BACKEND_PROTOCOLS,
  type Config,
  ENGINES,
  type FirewallRules,
  L7_POLICY_TYPES,
  type ListenerConfig,
  LOG_FORMATS,
  LOG_LEVELS,
  ROUTE_MODES,
  type RouteConfig,
  SOCKET_MODES,
  type StoredState,
} from "../config_types.ts";

// Few of each, so that two states have much in common.
const addr = fc.constantFrom(":443", ":8443", "127.0.0.1:0", "[2001:db8::1]:8444", "edge.test:8445");
const hostname = fc.constantFrom("*", "a.test", "*.a.test", "*.b.a.test", "b.test", "xn--bcher-kva.test");
const backend = fc.constantFrom("127.0.0.1:1", "127.0.0.1:2", "[::1]:1", "backend.test:65535");
const path = fc.oneof(
  fc.constantFrom("/c.pem", "/c.key", "/a b/ü.pem", '/"\\\t\x7f\u0001\u2028', "/日本"),
  fc.string({ unit: "binary", maxLength: 20 }).map((name) => `/x${name.replaceAll(/[\0/.]/g, "")}`),
);
const noPath = fc.constant("");
const policy = fc.record({
  type: fc.constantFrom(...L7_POLICY_TYPES),
  value: fc.constantFrom("X-Key", "BadBot", "a'b"),
});
const policies = fc.uniqueArray(policy, { maxLength: 4, selector: ({ type, value }) => `${type} ${value}` });

const PINS = ["sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", `sha256/${"A".repeat(43)}=`];
const duration = fc.oneof(fc.constantFrom(1, 5_000, 60_000, 300_000), fc.integer({ min: 1, max: 24 * 3_600_000 }));

/** Any route, also with settings that have no effect on it: a file may have them. */
const route: fc.Arbitrary<RouteConfig> = fc.constantFrom(...ROUTE_MODES).chain((mode) =>
  fc.record({
    hostname,
    backend,
    mode: fc.constant(mode),
    sendProxyProtocol: fc.boolean(),
    tlsCert: mode === "l7" ? path : fc.oneof(noPath, path),
    tlsKey: mode === "l7" ? path : fc.oneof(noPath, path),
    backendTls: fc.boolean(),
    backendProtocol: fc.constantFrom(...BACKEND_PROTOCOLS),
    backendCa: fc.oneof(noPath, path),
    backendServerName: fc.constantFrom("", "backend.test", "{host}"),
    backendPins: fc.shuffledSubarray(PINS),
    backendTimeoutMs: duration,
    backendMaxConnections: fc.constantFrom(1, 1_024, 65_535),
    allowTrace: fc.boolean(),
    l7Policies: policies,
  })
);

const listener: fc.Arbitrary<ListenerConfig> = fc.record({
  addr,
  proxyProtocol: fc.boolean(),
  maxConnections: fc.constantFrom(0, 1, 2 ** 31 - 1),
  routes: fc.uniqueArray(route, { maxLength: 5, selector: ({ hostname }) => hostname }),
});

const rules: fc.Arbitrary<FirewallRules> = fc.record({
  blockedIps: fc.shuffledSubarray(["192.0.2.1", "192.0.2.10", "2001:db8::1"]),
  blockedCidrs: fc.shuffledSubarray(["192.0.2.0/24", "2001:db8::/32", "10.0.0.0/8"]),
  blockedCountries: fc.shuffledSubarray(["NL", "DE"]),
});

/** What a database may hold; in any order. */
export const storedState: fc.Arbitrary<StoredState> = fc.record({
  listeners: fc.uniqueArray(listener, { minLength: 1, maxLength: 3, selector: ({ addr }) => addr }),
  firewall: rules,
});

/** What a server may be started with, but for what the database holds. */
export const settings: fc.Arbitrary<Omit<Config, "listeners">> = fc.record({
  database: fc.record({ path }),
  firewall: fc.record({
    blockedIps: fc.constant([]),
    blockedCidrs: fc.constant([]),
    blockedCountries: fc.constant([]),
    geoipDb: path,
    rateLimit: fc.constantFrom(0, 1, 65_535),
    rateWindowMs: duration,
  }),
  grpc: fc.option(
    fc.record({
      addr: fc.constantFrom("/run/x.sock", "/a b/x.sock"),
      mode: fc.constantFrom(...SOCKET_MODES),
      group: fc.constantFrom("", "admins", "1001"),
    }),
    { nil: undefined },
  ),
  metrics: fc.option(
    fc.record({
      addr: fc.constantFrom("127.0.0.1:9090", ":9091"),
      path: fc.constantFrom("/metrics", "/m%20"),
      dashboard: fc.boolean(),
      hosts: fc.constantFrom([], ["a.example", "b.example"]),
    }),
    { nil: undefined },
  ),
  proxy: fc.record({
    engine: fc.constantFrom(...ENGINES),
    workers: fc.constantFrom(0, 1, 1024),
    tls: fc.record({
      libssl: fc.constantFrom("", "/opt/a b/libssl.so.3"),
      minVersion: fc.constantFrom(...TLS_VERSIONS),
      groups: fc.shuffledSubarray(["X25519MLKEM768", "X25519"]),
      ciphers: fc.shuffledSubarray(["TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]),
    }),
    connectTimeoutMs: duration,
    helloTimeoutMs: duration,
    idleTimeoutMs: duration,
    shutdownTimeoutMs: duration,
  }),
  log: fc.record({
    level: fc.constantFrom(...LOG_LEVELS),
    format: fc.constantFrom(...LOG_FORMATS),
    access: fc.boolean(),
  }),
});
