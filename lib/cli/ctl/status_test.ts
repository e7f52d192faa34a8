import assert from "node:assert/strict";
import type { ServerStatus } from "../../admin/client.ts";
import { statusJson } from "./json.ts";
import { formatStatus } from "./status.ts";

const NOW = new Date("2026-02-01T13:00:00Z");

const STATUS: ServerStatus = {
  version: "1.2.3",
  startedAt: new Date("2026-01-31T09:30:00Z"),
  engine: "epoll",
  tls: {
    library: "OpenSSL 3.0.19 27 Jan 2026",
    path: "/lib/x86_64-linux-gnu/libssl.so.3",
    minVersion: "1.2",
    groups: ["X25519", "secp256r1"],
  },
  workers: 2,
  workerFailures: 1,
  draining: true,
  problems: ["shutting down", "listener :443: accepts no connections: EMFILE"],
  firewall: {
    ruleCount: 12,
    rateLimit: 100,
    rateWindowMs: 90_000,
    geoip: {
      path: "/srv/mc-proxy/GeoLite2-Country.mmdb",
      builtAt: new Date("2026-01-27T00:00:00Z"),
      loadedAt: new Date("2026-01-31T09:30:00Z"),
      reloadFailures: 1,
    },
  },
  listeners: [
    {
      addr: ":443",
      boundAddr: "[::]:443",
      problem: undefined,
      proxyProtocol: false,
      maxConnections: 0,
      counts: {
        active: 1234,
        accepted: 123_456_789,
        bytesIn: 1.5 * 2 ** 40,
        bytesOut: 1023,
        rejected: { no_route: 7, blocked_ip: 250, hello_timeout: 7 },
      },
      routeCount: 10_000,
      routes: [],
    },
    {
      addr: "192.168.100.200:18443",
      boundAddr: "192.168.100.200:18443",
      problem: undefined,
      proxyProtocol: true,
      maxConnections: 5000,
      counts: { active: 5000, accepted: 99_999, bytesIn: 0, bytesOut: 123_456_789, rejected: {} },
      routeCount: 1,
      routes: [],
    },
  ],
  certificates: [
    {
      certFile: "/srv/mc-proxy/certs/www.example.net.pem",
      keyFile: "/srv/mc-proxy/certs/www.example.net.key",
      notAfter: new Date("2026-04-01T00:00:00Z"),
      routes: [{ listener: ":443", hostname: "www.example.net" }, { listener: ":8443", hostname: "www.example.net" }],
      problem: undefined,
      failures: 0,
    },
    {
      certFile: "/srv/mc-proxy/certs/a.pem",
      keyFile: "/srv/mc-proxy/certs/a.key",
      notAfter: new Date("2026-02-08T12:00:00Z"),
      routes: [{ listener: ":443", hostname: "a.example.net" }, { listener: ":443", hostname: "*.a.example.net" }],
      problem: "/srv/mc-proxy/certs/a.key: does not exist",
      failures: 2,
    },
    {
      certFile: "/srv/mc-proxy/certs/b.pem",
      keyFile: "/srv/mc-proxy/certs/b.key",
      notAfter: new Date("2026-01-31T13:00:00Z"),
      routes: [{ listener: ":443", hostname: "b.example.net" }],
      problem: undefined,
      failures: 0,
    },
    {
      certFile: "/srv/mc-proxy/certs/c.pem",
      keyFile: "/srv/mc-proxy/certs/c.key",
      notAfter: undefined,
      routes: [{ listener: ":443", hostname: "c.example.net" }],
      problem: "/srv/mc-proxy/certs/c.pem: does not exist",
      failures: 1,
    },
  ],
};

Deno.test("a busy server's state fits 80 columns", () => {
  const screen = { hasColours: false, size: () => ({ columns: 80, rows: 24 }) };
  const text = formatStatus(STATUS, NOW, screen);
  assert.equal(
    text,
    `\
version   1.2.3
uptime    1d 3h, since 2026-01-31 09:30:00 UTC; shutting down
engine    epoll, 2 workers, 1 replaced after a failure
tls       1.2 or newer by OpenSSL 3.0.19 27 Jan 2026
          (/lib/x86_64-linux-gnu/libssl.so.3), groups X25519, secp256r1; none is
          post-quantum
firewall  12 rules, at most 100 connections per address in 1m 30s
geoip     /srv/mc-proxy/GeoLite2-Country.mmdb, built 2026-01-27 00:00:00 UTC,
          loaded 2026-01-31 09:30:00 UTC, 1 failed reload
problems  shutting down
          listener :443: accepts no connections: EMFILE

LISTENER                  ACTIVE      TOTAL  REJECTED        IN      OUT  ROUTES
:443                        1234  123456789       264  1.50 TiB   1023 B   10000
192.168.100.200:18443  5000/5000      99999         0       0 B  118 MiB       1

LISTENER  REJECTED  REASON
:443           250  blocked_ip
:443             7  hello_timeout
:443             7  no_route

HOST                            CERTIFICATE      FILE
c.example.net                   none: refuses
    /srv/mc-proxy/certs/c.pem: does not exist
b.example.net                   expired 1d ago   /srv/mc-proxy/certs/b.pem
a.example.net, *.a.example.net  ends in 6d 23h!
    /srv/mc-proxy/certs/a.key: does not exist
www.example.net                 ends in 58d 11h
    /srv/mc-proxy/certs/www.example.net.pem
`,
  );
  for (const line of text.split("\n")) assert.ok(line.length <= 80, line);
});

Deno.test("a listener that is not open is shown, and why", () => {
  const [listener] = STATUS.listeners;
  assert.ok(listener !== undefined);
  const closed = { ...listener, addr: "10.8.0.1:443", boundAddr: "", problem: "this machine has no such address" };
  assert.match(
    formatStatus({ ...STATUS, listeners: [listener, closed] }, NOW),
    /^LISTENER +NOT OPEN *\n10\.8\.0\.1:443 +this machine has no such address\n/m,
  );
  assert.doesNotMatch(formatStatus(STATUS, NOW), /NOT OPEN/);
});

Deno.test("of many certificates, those that end first are shown", () => {
  const [certificate] = STATUS.certificates;
  assert.ok(certificate !== undefined);
  const certificates = Array.from({ length: 12 }, (_, i) => ({
    ...certificate,
    routes: [{ listener: ":443", hostname: `${i}.test` }],
    notAfter: new Date(NOW.getTime() + (100 - i) * 86_400_000),
  }));
  const text = formatStatus({ ...STATUS, certificates }, NOW);
  const shown = Array.from(text.matchAll(/^(\d+)\.test +ends in (\d+)d /gm), ([, host, days]) => `${host} ${days}`);
  assert.deepEqual(shown, Array.from({ length: 10 }, (_, i) => `${11 - i} ${89 + i}`));
  assert.match(text, /\nand 2 certificates more, which end later\n$/);
});

Deno.test("as JSON, a state has the names of the configuration file, and numbers", () => {
  assert.deepEqual(
    statusJson({
      ...STATUS,
      listeners: STATUS.listeners.slice(0, 1),
      certificates: STATUS.certificates.slice(0, 1),
    }, NOW),
    {
      version: "1.2.3",
      started_at: "2026-01-31T09:30:00.000Z",
      uptime_seconds: 99_000,
      engine: "epoll",
      tls: {
        library: "OpenSSL 3.0.19 27 Jan 2026",
        path: "/lib/x86_64-linux-gnu/libssl.so.3",
        min_version: "1.2",
        groups: ["X25519", "secp256r1"],
        post_quantum: false,
      },
      workers: 2,
      worker_failures: 1,
      draining: true,
      problems: ["shutting down", "listener :443: accepts no connections: EMFILE"],
      firewall: { rule_count: 12, rate_limit: 100, rate_window_seconds: 90 },
      geoip: {
        path: "/srv/mc-proxy/GeoLite2-Country.mmdb",
        built_at: "2026-01-27T00:00:00.000Z",
        loaded_at: "2026-01-31T09:30:00.000Z",
        reload_failures: 1,
      },
      listeners: [{
        addr: ":443",
        bound_addr: "[::]:443",
        problem: null,
        proxy_protocol: false,
        max_connections: 0,
        active_connections: 1234,
        total_connections: 123_456_789,
        rejected_connections: { no_route: 7, blocked_ip: 250, hello_timeout: 7 },
        bytes_in: 1.5 * 2 ** 40,
        bytes_out: 1023,
        route_count: 10_000,
      }],
      certificates: [{
        tls_cert: "/srv/mc-proxy/certs/www.example.net.pem",
        tls_key: "/srv/mc-proxy/certs/www.example.net.key",
        not_after: "2026-04-01T00:00:00.000Z",
        routes: [{ listener: ":443", hostname: "www.example.net" }, { listener: ":8443", hostname: "www.example.net" }],
        problem: null,
        failures: 0,
      }],
    },
  );
});

Deno.test("a server says which of its groups are post-quantum, and an older one says nothing of TLS", () => {
  const tls = { library: "rustls of Deno 2.9.6", path: "", minVersion: "1.3", groups: ["X25519MLKEM768", "X25519"] };
  const text = formatStatus({ ...STATUS, tls }, NOW);
  assert.match(text, /^tls +1\.3 or newer by rustls of Deno 2\.9\.6, groups X25519MLKEM768, X25519$/m);
  const { post_quantum, path } = statusJson({ ...STATUS, tls }, NOW)["tls"] as Record<string, unknown>;
  assert.deepEqual([post_quantum, path], [true, null]);
  assert.doesNotMatch(formatStatus({ ...STATUS, tls: undefined }, NOW), /^tls/m);
  assert.equal(statusJson({ ...STATUS, tls: undefined }, NOW)["tls"], null);
});
