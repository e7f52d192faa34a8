import assert from "node:assert/strict";
import { ConfigError, type LoadedConfig, parseConfig } from "./config.ts";

const DATABASE = 'database.path = "/x.db"\n';

function parse(environment: Record<string, string>, text = DATABASE): LoadedConfig {
  return parseConfig(text, { file: "/c.toml", environment });
}

Deno.test("every scalar outside the arrays can be overridden", () => {
  const { config, warnings } = parse({
    MCPROXY_DATABASE_PATH: "/y.db",
    MCPROXY_FIREWALL_GEOIP_DB: "/g.mmdb",
    MCPROXY_FIREWALL_RATE_LIMIT: "9",
    MCPROXY_FIREWALL_RATE_WINDOW: "9s",
    MCPROXY_GRPC_ADDR: "/y.sock",
    MCPROXY_GRPC_MODE: "0660",
    MCPROXY_GRPC_GROUP: "admins",
    MCPROXY_METRICS_ADDR: ":99",
    MCPROXY_METRICS_PATH: "/y",
    MCPROXY_METRICS_DASHBOARD: "true",
    MCPROXY_PROXY_WORKERS: "3",
    MCPROXY_PROXY_LIBSSL: "/l.so",
    MCPROXY_PROXY_TLS_MIN_VERSION: "1.3",
    MCPROXY_PROXY_CONNECT_TIMEOUT: "1s",
    MCPROXY_PROXY_HELLO_TIMEOUT: "2s",
    MCPROXY_PROXY_IDLE_TIMEOUT: "3s",
    MCPROXY_PROXY_SHUTDOWN_TIMEOUT: "4s",
    MCPROXY_LOG_LEVEL: "warn",
    MCPROXY_LOG_FORMAT: "json",
    MCPROXY_LOG_ACCESS: "false",
  }, `${DATABASE}proxy.workers = 1\nlog.level = "debug"`);
  assert.deepEqual(warnings, []);
  assert.deepEqual(config, {
    database: { path: "/y.db" },
    listeners: [],
    firewall: {
      blockedIps: [],
      blockedCidrs: [],
      blockedCountries: [],
      geoipDb: "/g.mmdb",
      rateLimit: 9,
      rateWindowMs: 9_000,
    },
    grpc: { addr: "/y.sock", mode: "0660", group: "admins" },
    metrics: { addr: ":99", path: "/y", dashboard: true, hosts: [] },
    proxy: {
      engine: "auto",
      workers: 3,
      tls: { libssl: "/l.so", minVersion: "1.3", groups: [], ciphers: [] },
      connectTimeoutMs: 1_000,
      helloTimeoutMs: 2_000,
      idleTimeoutMs: 3_000,
      shutdownTimeoutMs: 4_000,
    },
    log: { level: "warn", format: "json", access: false },
  });
});

Deno.test("the environment alone can name the database and satisfy what the file leaves out", () => {
  assert.equal(parse({ MCPROXY_DATABASE_PATH: "rel.db" }, "").config.database.path, "/rel.db");
  const geoip = { MCPROXY_FIREWALL_GEOIP_DB: "g" };
  assert.equal(parse(geoip, `${DATABASE}firewall.blocked_countries = ["DE"]`).config.firewall.geoipDb, "/g");
});

Deno.test("an override replaces even a wrong value of the file", () => {
  assert.equal(parse({ MCPROXY_LOG_LEVEL: "warn" }, `${DATABASE}log.level = 5`).config.log.level, "warn");
});

Deno.test("a wrong override is reported under the variable's name", () => {
  for (
    const [name, value, message] of [
      ["MCPROXY_PROXY_WORKERS", "many", 'expected a whole number from 0 to 1024, got "many"'],
      ["MCPROXY_PROXY_WORKERS", "", 'expected a whole number from 0 to 1024, got ""'],
      ["MCPROXY_PROXY_WORKERS", "1.5", "expected a whole number from 0 to 1024, got 1.5"],
      ["MCPROXY_PROXY_WORKERS", "0x10", 'expected a whole number from 0 to 1024, got "0x10"'],
      ["MCPROXY_LOG_FORMAT", "xml", 'expected "text" or "json", got "xml"'],
      ["MCPROXY_DATABASE_PATH", "", "must not be empty; write the path of a file"],
    ] as const
  ) {
    assert.throws(() => parse({ [name]: value }), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.problems, [{ path: name, message }]);
      return true;
    });
  }
});

Deno.test("a section that is no table is reported as the file has it", () => {
  assert.throws(() => parse({ MCPROXY_PROXY_WORKERS: "1" }, `${DATABASE}proxy = 5`), {
    message: "/c.toml: line 2: proxy: expected a table, got 5",
  });
});

Deno.test("variables that override nothing are warnings, others of the environment are not looked at", () => {
  const { warnings } = parse({
    MCPROXY_SERVICE_HOST: "10.0.0.1",
    MCPROXY_FIREWALL_BLOCKED_IPS: "10.0.0.1",
    MCPROXY_LISTENERS: "x",
    MCPROXY_LOG_: "x",
    mcproxy_log_level: "x",
    PATH: "/bin",
  });
  assert.deepEqual(warnings, [
    { path: "MCPROXY_SERVICE_HOST", message: "is ignored: no key has this variable" },
    { path: "MCPROXY_FIREWALL_BLOCKED_IPS", message: "is ignored: an array is set in the file only" },
    { path: "MCPROXY_LISTENERS", message: "is ignored: no key has this variable" },
    { path: "MCPROXY_LOG_", message: "is ignored: no key has this variable; did you mean MCPROXY_LOG_LEVEL?" },
  ]);
});
