import assert from "node:assert/strict";
import { type Config, ConfigError, type ConfigProblem, formatProblem, loadConfig, parseConfig } from "./config.ts";

const FILE = "/etc/mc-proxy/config.toml";
const DATABASE = 'database.path = "x.db"\n';

function parse(text: string, environment: Record<string, string> = {}): Config {
  return parseConfig(text, { file: FILE, environment }).config;
}

function warningsOf(text: string): string[] {
  return parseConfig(DATABASE + text, { file: FILE }).warnings.map(line);
}

function problemsOf(text: string): string[] {
  let problems: readonly ConfigProblem[] = [];
  assert.throws(() => parseConfig(text, { file: FILE }), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.file, FILE);
    assert.equal(error.message, error.problems.map((problem) => formatProblem(FILE, problem, error.places)).join("\n"));
    problems = error.problems;
    return true;
  });
  return problems.map(line);
}

function line({ path, message }: ConfigProblem): string {
  return path === "" ? message : `${path}: ${message}`;
}

/** A file with one listener, to whose table and route's table lines are added. */
function withRoute({ listener = "", route = "" }): string {
  return `${DATABASE}
[[listeners]]
${listener.includes("addr =") ? "" : 'addr = ":443"'}
${listener}
[[listeners.routes]]
${route.includes("hostname =") ? "" : 'hostname = "a.example"'}
${route.includes("backend =") ? "" : 'backend = "127.0.0.1:8443"'}
${route}`;
}

Deno.test("a file that names only its database has every default", () => {
  assert.deepEqual(parse(DATABASE), {
    database: { path: "/etc/mc-proxy/x.db" },
    listeners: [],
    firewall: {
      blockedIps: [],
      blockedCidrs: [],
      blockedCountries: [],
      geoipDb: undefined,
      rateLimit: 0,
      rateWindowMs: 10_000,
    },
    grpc: undefined,
    metrics: undefined,
    proxy: {
      engine: "auto",
      workers: 0,
      tls: { libssl: "", minVersion: "1.2", groups: [], ciphers: [] },
      connectTimeoutMs: 5_000,
      helloTimeoutMs: 10_000,
      idleTimeoutMs: 300_000,
      shutdownTimeoutMs: 30_000,
    },
    log: { level: "info", format: "text", access: true },
  });
});

Deno.test("every key of every table arrives, in canonical form", () => {
  const { config, warnings } = parseConfig(
    `
    [database]
    path = "/var/lib/x.db"
    [[listeners]]
    addr = "[::]:443"
    proxy_protocol = true
    max_connections = 7
      [[listeners.routes]]
      hostname = "*.Example.NET."
      backend = "[2001:DB8::0:1]:8443"
      mode = "l7"
      send_proxy_protocol = true
      tls_cert = "certs/a.pem"
      tls_key = "/keys/a.key"
      backend_tls = true
      backend_protocol = "http1"
      backend_ca = "ca.pem"
      backend_server_name = "Origin.example"
      l7_policies = [{ type = "require_header", value = "X-B" }, { type = "block_user_agent", value = "Bad Bot/1" }]
      [[listeners.routes]]
      hostname = "*"
      backend = "Backend.Internal:1"
    [[listeners]]
    addr = "LocalHost:0"
    [firewall]
    blocked_ips = ["::ffff:10.0.0.1", "2001:DB8::"]
    blocked_cidrs = ["::ffff:10.0.0.0/104", "2001:DB8::/32"]
    blocked_countries = ["KP", "DE"]
    geoip_db = "geo.mmdb"
    rate_limit = 65535
    rate_window = "1m"
    [grpc]
    addr = "/run/x.sock"
    [metrics]
    addr = ":9090"
    path = "/m"
    dashboard = true
    hosts = ["Proxy.example.net."]
    [proxy]
    engine = "portable"
    workers = 1024
    libssl = "lib/libssl.so.3"
    tls_min_version = "1.3"
    tls_groups = ["X25519MLKEM768", "P-256"]
    tls_ciphers = ["TLS_AES_256_GCM_SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]
    connect_timeout = "1ms"
    hello_timeout = "2ms"
    idle_timeout = "3ms"
    shutdown_timeout = "24h"
    [log]
    level = "error"
    format = "json"
    access = false`,
    { file: FILE },
  );
  assert.deepEqual(warnings, []);
  assert.deepEqual(config, {
    database: { path: "/var/lib/x.db" },
    listeners: [{
      addr: ":443",
      proxyProtocol: true,
      maxConnections: 7,
      routes: [{
        hostname: "*.example.net",
        backend: "[2001:db8::1]:8443",
        mode: "l7",
        sendProxyProtocol: true,
        tlsCert: "/etc/mc-proxy/certs/a.pem",
        tlsKey: "/keys/a.key",
        backendTls: true,
        backendProtocol: "http1",
        backendCa: "/etc/mc-proxy/ca.pem",
        backendServerName: "origin.example",
        backendPins: [],
        backendTimeoutMs: 60_000,
        backendMaxConnections: 1_024,
        allowTrace: false,
        l7Policies: [{ type: "require_header", value: "X-B" }, { type: "block_user_agent", value: "Bad Bot/1" }],
      }, {
        hostname: "*",
        backend: "backend.internal:1",
        mode: "l4",
        sendProxyProtocol: false,
        tlsCert: "",
        tlsKey: "",
        backendTls: false,
        backendProtocol: "",
        backendCa: "",
        backendServerName: "",
        backendPins: [],
        backendTimeoutMs: 60_000,
        backendMaxConnections: 1_024,
        allowTrace: false,
        l7Policies: [],
      }],
    }, { addr: "localhost:0", proxyProtocol: false, maxConnections: 0, routes: [] }],
    firewall: {
      blockedIps: ["10.0.0.1", "2001:db8::"],
      blockedCidrs: ["10.0.0.0/8", "2001:db8::/32"],
      blockedCountries: ["KP", "DE"],
      geoipDb: "/etc/mc-proxy/geo.mmdb",
      rateLimit: 65535,
      rateWindowMs: 60_000,
    },
    grpc: { addr: "/run/x.sock", mode: "0600", group: "" },
    metrics: { addr: ":9090", path: "/m", dashboard: true, hosts: ["proxy.example.net"] },
    proxy: {
      engine: "portable",
      workers: 1024,
      tls: {
        libssl: "/etc/mc-proxy/lib/libssl.so.3",
        minVersion: "1.3",
        groups: ["X25519MLKEM768", "P-256"],
        ciphers: ["TLS_AES_256_GCM_SHA384", "ECDHE-RSA-CHACHA20-POLY1305"],
      },
      connectTimeoutMs: 1,
      helloTimeoutMs: 2,
      idleTimeoutMs: 3,
      shutdownTimeoutMs: 86_400_000,
    },
    log: { level: "error", format: "json", access: false },
  });
});

Deno.test("a value that is wrong by itself is named by its path, with what would be right", () => {
  const cases: readonly (readonly [text: string, ...problems: string[]])[] = [
    ["", 'database.path: is missing; write for example path = "/srv/mc-proxy/mc-proxy.db"'],
    ["database = 5", "database: expected a table, got 5"],
    ['database.path = ""', "database.path: must not be empty; write the path of a file"],
    ["database.path = 1979-05-27", "database.path: expected a string, got a date"],
    ['database.path = "a\\u0000"', 'database.path: "a\\u0000" is no path: it holds a NUL character'],
    [
      `proxi = 1\n${DATABASE}`,
      "proxi: is not a known key here; did you mean proxy? Known are database, listeners, firewall, grpc, metrics, proxy, log",
    ],
    [
      DATABASE + "[log]\nlevle = 1\n__proto__ = 2",
      "log.levle: is not a known key here; did you mean level? Known are level, format, access",
      "log.__proto__: is not a known key here; known are level, format, access",
    ],
    [DATABASE + 'log."a\\u001b b" = 1', 'log."a\\u001b b": is not a known key here; known are level, format, access'],
    [DATABASE + 'log.level = "INFO"', 'log.level: expected "debug", "info", "warn" or "error", got "INFO"'],
    [DATABASE + "log.format = []", 'log.format: expected "text" or "json", got an array'],
    [DATABASE + 'proxy.idle_timeout = "5"', durationProblem("proxy.idle_timeout", "5")],
    [DATABASE + 'proxy.hello_timeout = "0s"', durationProblem("proxy.hello_timeout", "0s")],
    [DATABASE + 'proxy.connect_timeout = "25h"', durationProblem("proxy.connect_timeout", "25h")],
    [DATABASE + "firewall.rate_window = 10", 'firewall.rate_window: expected a duration such as "10s", got 10'],
    ...["1025", "-1", "1.5", "nan", "true"].map((value) =>
      [
        `${DATABASE}proxy.workers = ${value}`,
        `proxy.workers: expected a whole number from 0 to 1024, got ${value === "nan" ? "NaN" : value}`,
      ] as const
    ),
    [
      DATABASE + "firewall.rate_limit = 65536",
      "firewall.rate_limit: expected a whole number from 0 to 65535, got 65536",
    ],
    [DATABASE + 'listeners = ":443"', 'listeners: expected an array of tables, each under [[listeners]], got ":443"'],
    [DATABASE + "[listeners]", "listeners: expected an array of tables, each under [[listeners]], got a table"],
    [DATABASE + "listeners = [1]", "listeners[0]: expected a table, got 1"],
    [DATABASE + "[[listeners]]", 'listeners[0].addr: is missing; write for example addr = ":443"'],
    ...["443", "*:443", "[::1]", "1.2.3.4.5:443", ":65536", "::1:443", "-a:443", "unix:/x"].map((addr) =>
      [
        withRoute({ listener: `addr = "${addr}"` }),
        `listeners[0].addr: "${addr}" is no address to listen on; ` +
        'write :port, host:port or [v6]:port, for example ":443"',
      ] as const
    ),
    [
      withRoute({ listener: "max_connections = -1" }),
      "listeners[0].max_connections: expected a whole number from 0 to 2147483647, got -1",
    ],
    [withRoute({ listener: "proxy_protocol = 1" }), "listeners[0].proxy_protocol: expected true or false, got 1"],
    [
      `${DATABASE}[[listeners]]\naddr = ":1"\n[[listeners.routes]]\nmode = "l4"`,
      'listeners[0].routes[0].hostname: is missing; write for example hostname = "git.example.net"',
      'listeners[0].routes[0].backend: is missing; write for example backend = "127.0.0.1:8443"',
    ],
    ...["", "*.*.a", "a..b", "1.2.3.4", "a b", "x\\u0007"].map((hostname) =>
      [
        withRoute({ route: `hostname = "${hostname}"` }),
        `listeners[0].routes[0].hostname: "${hostname}" is no host name pattern; ` +
        'write for example "git.example.net", "*.example.net" or "*"',
      ] as const
    ),
    [
      withRoute({ route: 'hostname = "münchen.example"' }),
      'listeners[0].routes[0].hostname: "münchen.example" is no host name pattern; write for example ' +
      '"git.example.net", "*.example.net" or "*", an international name in its xn-- form',
    ],
    ...["127.0.0.1", ":8443", "a:0", "a:70000", "https://a:443", "::1:443"].map((backend) =>
      [
        withRoute({ route: `backend = "${backend}"` }),
        `listeners[0].routes[0].backend: "${backend}" is no backend; ` +
        'write host:port or [v6]:port with a port from 1 to 65535, for example "127.0.0.1:8443"',
      ] as const
    ),
    [withRoute({ route: 'mode = "L4"' }), 'listeners[0].routes[0].mode: expected "l4" or "l7", got "L4"'],
    [
      withRoute({ route: 'backend_protocol = "h3"' }),
      'listeners[0].routes[0].backend_protocol: expected "", "h2" or "http1", got "h3"',
    ],
    [
      withRoute({ route: 'backend_server_name = "1.2.3.4"' }),
      'listeners[0].routes[0].backend_server_name: "1.2.3.4" is no host name; ' +
      'write for example "backend.example.net"',
    ],
    [
      withRoute({ route: 'l7_policies = [{ type = "block", value = "" }, {}]' }),
      'listeners[0].routes[0].l7_policies[0].type: expected "block_user_agent", "require_header" or "block_user_agent_any_case", got "block"',
      'listeners[0].routes[0].l7_policies[0].value: "" must be 1 to 256 printable ASCII characters',
      'listeners[0].routes[0].l7_policies[1].type: is missing; write for example type = "block_user_agent"',
      'listeners[0].routes[0].l7_policies[1].value: is missing; write for example value = "BadBot"',
    ],
    [
      DATABASE + 'firewall.blocked_ips = ["10.0.0.0/8", "10.0.0.1/8", "x"]',
      'firewall.blocked_ips[0]: "10.0.0.0/8" is a prefix; put it in firewall.blocked_cidrs',
      'firewall.blocked_ips[1]: "10.0.0.1/8" is a prefix; put it in firewall.blocked_cidrs',
      'firewall.blocked_ips[2]: "x" is no IP address; write for example "192.0.2.1" or "2001:db8::1"',
    ],
    [
      DATABASE + 'firewall.blocked_cidrs = ["10.0.0.1/8", "2001:db8::1/32", "10.0.0.1", "10.0.0.0/33", 5]',
      'firewall.blocked_cidrs[0]: "10.0.0.1/8" has host bits set; write "10.0.0.0/8"',
      'firewall.blocked_cidrs[1]: "2001:db8::1/32" has host bits set; write "2001:db8::/32"',
      'firewall.blocked_cidrs[2]: "10.0.0.1" is a single address; put it in firewall.blocked_ips',
      'firewall.blocked_cidrs[3]: "10.0.0.0/33" is no prefix; write for example "192.0.2.0/24" or "2001:db8::/32"',
      "firewall.blocked_cidrs[4]: expected a string, got 5",
    ],
    [
      DATABASE + 'firewall.geoip_db = "g"\nfirewall.blocked_countries = ["de", "ZZ", "Germany"]',
      'firewall.blocked_countries[0]: "de" must be in upper case; write "DE"',
      'firewall.blocked_countries[1]: "ZZ" is no country; write an ISO 3166-1 alpha-2 code, for example "DE"',
      'firewall.blocked_countries[2]: "Germany" is no country; write an ISO 3166-1 alpha-2 code, for example "DE"',
    ],
    [DATABASE + 'firewall.blocked_ips = "::1"', 'firewall.blocked_ips: expected an array of strings, got "::1"'],
    [DATABASE + "[grpc]", 'grpc.addr: is missing; write for example addr = "/srv/mc-proxy/mc-proxy.sock"'],
    [
      DATABASE + 'grpc = { addr = "/x", mode = "0777" }',
      'grpc.mode: expected "0600" or "0660", got "0777"',
    ],
    [DATABASE + 'grpc = { addr = "/x", mode = 600 }', 'grpc.mode: expected "0600" or "0660", got 600'],
    [
      DATABASE + 'grpc = { addr = "/x", group = "a b" }',
      'grpc.group: "a b" is no group; write a name or a number, for example "mc-proxy-admin" or "1001"',
    ],
    [
      DATABASE + 'grpc.addr = "x.sock"',
      'grpc.addr: "x.sock" is no path of a Unix socket; write an absolute one, for example "/run/mc-proxy.sock"',
    ],
    [
      `${DATABASE}grpc.addr = "/${"ä".repeat(54)}"`,
      `grpc.addr: "/${"ä".repeat(54)}" is 109 octets long; the path of a Unix socket has at most 107`,
    ],
    [
      DATABASE + 'proxy = { tls_min_version = "1.1", tls_groups = ["X25519:P-256", "X448", "X448"] }',
      'proxy.tls_min_version: expected "1.2" or "1.3", got "1.1"',
      'proxy.tls_groups[0]: "X25519:P-256" is no name of a group; write for example "X25519MLKEM768" or "X25519"',
      'proxy.tls_groups[2]: proxy.tls_groups[1] already lists "X448"; remove one',
    ],
    ...["AES128-SHA", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ALL", "@SECLEVEL=0"].map((cipher) =>
      [
        `${DATABASE}proxy.tls_ciphers = ["${cipher}"]`,
        `proxy.tls_ciphers[0]: "${cipher}" is none of the ciphers with authenticated encryption and forward secrecy; ` +
        "use some of TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, " +
        "ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES256-GCM-SHA384, " +
        "ECDHE-RSA-AES256-GCM-SHA384, ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-RSA-CHACHA20-POLY1305",
      ] as const
    ),
    [DATABASE + "[metrics]", 'metrics.addr: is missing; write for example addr = "127.0.0.1:9090"'],
    [
      DATABASE + 'metrics = { addr = ":9", path = "metrics" }',
      'metrics.path: "metrics" is no URL path; write one that starts with "/", for example "/metrics"',
    ],
    [
      DATABASE + 'metrics = { addr = ":9", path = "/readyz" }',
      'metrics.path: "/readyz" is the path of a health check; write another one, for example "/metrics"',
    ],
    [
      DATABASE + 'metrics = { addr = ":9", path = "/a/../b" }',
      'metrics.path: "/a/../b" is no path as clients ask for it; write "/b"',
    ],
    [
      DATABASE + 'metrics = { addr = ":9", path = "/", dashboard = true }',
      'metrics.path: is the dashboard\'s, which metrics.dashboard asks for; write another one, for example "/metrics"',
    ],
    [
      DATABASE + 'metrics = { addr = ":9", dashboard = "yes" }',
      'metrics.dashboard: expected true or false, got "yes"',
    ],
    [
      DATABASE + 'metrics = { addr = ":9", hosts = ["a.example:9"] }',
      'metrics.hosts[0]: "a.example:9" is no host name; write it without a port, for example "metrics.example.net"',
    ],
    [
      DATABASE + 'metrics.addr = ":443"\nlisteners = [{ addr = ":442" }, { addr = "[::]:443" }]',
      'metrics.addr: listeners[1].addr already listens on ":443"; choose another port',
    ],
  ];
  for (const [text, ...problems] of cases) assert.deepEqual(problemsOf(text), problems, text);
});

function durationProblem(path: string, text: string): string {
  return `${path}: "${text}" is no duration from 1 ms to 24 h; write for example "5s", "1m30s" or "250ms"`;
}

Deno.test("a socket path may be as long as the kernel takes", () => {
  const addr = `/${"x".repeat(106)}`;
  assert.equal(parse(`${DATABASE}grpc.addr = "${addr}"`).grpc?.addr, addr);
});

Deno.test("a long value is cut in the message", () => {
  const [problem] = problemsOf(`${DATABASE}log.level = "${"x".repeat(5000)}"`);
  assert.ok(problem?.endsWith(`got "${"x".repeat(80)}…"`), problem ?? "no problem");
});

Deno.test("what is no TOML is reported in one line, with its place", () => {
  assert.deepEqual(problemsOf(`${DATABASE}a = \n`), ["line 2, column 5: not valid TOML: invalid value"]);
  const [twice] = problemsOf(DATABASE + DATABASE);
  assert.match(twice ?? "", /^line 2, column \d+: not valid TOML: [^\n]+$/);
});

Deno.test("a listener or a host name that is there twice is a problem, however it is written", () => {
  for (const [a, b] of [[":443", "[::]:443"], ["127.0.0.1:1", "[::ffff:127.0.0.1]:1"], [":0", ":0"]]) {
    assert.equal(
      problemsOf(`${DATABASE}listeners = [{ addr = "${a}" }, { addr = ":9" }, { addr = "${b}" }]`).join(),
      `listeners[2].addr: listeners[0].addr already listens on "${a}"; remove one`,
    );
  }
  const routes = ["a.example", "A.Example.", "*.b"].map((hostname) => `{ hostname = "${hostname}", backend = "x:1" }`);
  assert.deepEqual(problemsOf(`${DATABASE}listeners = [{ addr = ":1", routes = [${routes.join(", ")}] }]`), [
    'listeners[0].routes[1].hostname: listeners[0].routes[0].hostname already routes "a.example"; remove one',
  ]);
});

Deno.test("one host name on two listeners, and two addresses on one port, are no repeats", () => {
  const routes = 'routes = [{ hostname = "a", backend = "x:1" }]';
  const listeners = ["127.0.0.1:443", "[::1]:443"].map((addr) => `{ addr = "${addr}", ${routes} }`);
  assert.equal(parse(`${DATABASE}listeners = [${listeners.join(", ")}]`).listeners.length, 2);
});

Deno.test("an l7 route needs its certificate and key, its policies once each, and headers that can be", () => {
  assert.deepEqual(problemsOf(withRoute({ route: 'mode = "l7"\ntls_key = ""' })), [
    'listeners[0].routes[0].tls_cert: must name a PEM file where mode is "l7"',
    'listeners[0].routes[0].tls_key: must name a PEM file where mode is "l7"',
  ]);
  const bot = '{ type = "block_user_agent", value = "Bot" }';
  const route = `mode = "l7"\ntls_cert = "c"\ntls_key = "k"
    l7_policies = [${bot}, { type = "require_header", value = "X Y" }, ${bot}]`;
  assert.deepEqual(problemsOf(withRoute({ route })), [
    "listeners[0].routes[0].l7_policies[2]: listeners[0].routes[0].l7_policies[0] already has the policy " +
    '"block_user_agent Bot"; remove one',
    'listeners[0].routes[0].l7_policies[1].value: "X Y" is no header name; write for example "X-Api-Key"',
  ]);
});

Deno.test("countries need a GeoIP file", () => {
  assert.deepEqual(problemsOf(`${DATABASE}firewall = { blocked_countries = ["DE"], geoip_db = "" }`), [
    "firewall.blocked_countries: needs firewall.geoip_db; " +
    'write for example geoip_db = "/srv/mc-proxy/GeoLite2-Country.mmdb"',
  ]);
});

Deno.test("problems of every kind are reported together, those of several values included", () => {
  const problems = problemsOf(`
    typo = 1
    [[listeners]]
    addr = ":443"
    [[listeners]]
    addr = "[::]:443"
    max_connections = "many"
      [[listeners.routes]]
      hostname = "a"
      backend = "nowhere"
      [[listeners.routes]]
      hostname = "A"
      mode = "l7"
      tls_cert = "c"
    [firewall]
    blocked_countries = ["DE"]
    blocked_ips = [5]
    [proxy]
    workers = -1`);
  const paths = problems.map((problem) => problem.slice(0, problem.indexOf(":")));
  assert.deepEqual(paths.sort(), [
    "database.path",
    "firewall.blocked_countries",
    "firewall.blocked_ips[0]",
    "listeners[1].addr",
    "listeners[1].max_connections",
    "listeners[1].routes[0].backend",
    "listeners[1].routes[1].backend",
    "listeners[1].routes[1].hostname",
    "listeners[1].routes[1].tls_key",
    "proxy.workers",
    "typo",
  ]);
});

Deno.test("keys without effect are warnings, if they say more than the default", () => {
  const route = 'tls_cert = "c"\nbackend_tls = true\nbackend_ca = ""\nl7_policies = []';
  assert.deepEqual(warningsOf(withRoute({ route }).replace(DATABASE, "")), [
    'listeners[0].routes[0].tls_cert: has no effect where mode is "l4"',
    'listeners[0].routes[0].backend_tls: has no effect where mode is "l4"',
  ]);
  const l7 = 'mode = "l7"\ntls_cert = "c"\ntls_key = "k"\nbackend_ca = "ca"\nbackend_server_name = ""';
  assert.deepEqual(warningsOf(withRoute({ route: l7 }).replace(DATABASE, "")), [
    "listeners[0].routes[0].backend_ca: has no effect where backend_tls is false",
  ]);
});

Deno.test("keys of L7 that say no more than the default are no warning where mode is l4", () => {
  const keys = [
    "backend_pins = []",
    'backend_timeout = "60s"',
    "backend_max_connections = 1024",
    "allow_trace = false",
  ];
  assert.deepEqual(warningsOf(withRoute({ route: keys.join("\n") }).replace(DATABASE, "")), []);
  const set = [`backend_pins = ["${"A".repeat(43)}="]`, 'backend_timeout = "1h"', "backend_max_connections = 1"];
  assert.deepEqual(
    warningsOf(withRoute({ route: [...set, "allow_trace = true"].join("\n") }).replace(DATABASE, "")),
    ["backend_pins", "backend_timeout", "backend_max_connections", "allow_trace"]
      .map((key) => `listeners[0].routes[0].${key}: has no effect where mode is "l4"`),
  );
});

Deno.test("a backend with TLS and no name to ask for is a warning, unless its key is known", () => {
  const l7 = 'mode = "l7"\ntls_cert = "c"\ntls_key = "k"\nbackend_tls = true\n';
  const pins = `backend_pins = ["${"A".repeat(43)}="]\n`;
  const nameless = /^listeners\[0\]\.routes\[0\]\.backend_server_name: is not there and backend is an IP address/;
  for (const route of [l7, `${l7}backend_ca = "ca"`, `${l7}${pins}backend_ca = "ca"`, `${l7}backend = "[::1]:443"`]) {
    const [warning = "", ...others] = warningsOf(withRoute({ route }).replace(DATABASE, ""));
    assert.match(warning, nameless, route);
    assert.deepEqual(others, []);
  }
  const named = ['backend_server_name = "b.test"', 'backend_server_name = "{host}"', 'backend = "b.test:443"', pins];
  for (const more of named) {
    assert.deepEqual(warningsOf(withRoute({ route: l7 + more }).replace(DATABASE, "")), [], more);
  }
});

Deno.test("a firewall rule that is there twice is a warning, and kept once", () => {
  const text = 'firewall = { blocked_ips = ["::1", "10.0.0.1", "0::1", "::ffff:10.0.0.1"] }';
  assert.deepEqual(warningsOf(text), [
    'firewall.blocked_ips[2]: firewall.blocked_ips[0] already lists "::1"; remove one',
    'firewall.blocked_ips[3]: firewall.blocked_ips[1] already lists "10.0.0.1"; remove one',
  ]);
  assert.deepEqual(parse(DATABASE + text).firewall.blockedIps, ["::1", "10.0.0.1"]);
});

Deno.test("relative paths are taken from the file's folder, wherever the program runs", () => {
  const { config } = parseConfig(DATABASE, { file: "conf/a.toml" });
  assert.equal(config.database.path, `${Deno.cwd()}/conf/x.db`);
});

Deno.test("ten thousand routes are read without recursion or repeated work", () => {
  const routes = Array.from({ length: 10_000 }, (_, i) => `{ hostname = "h${i}.example", backend = "10.0.0.1:443" }`);
  const config = parse(`${DATABASE}listeners = [{ addr = ":443", routes = [${routes.join(",\n")}] }]`);
  assert.equal(config.listeners[0]?.routes[9_999]?.hostname, "h9999.example");
});

Deno.test("the annotated example is sound", () => {
  const file = new URL("../../config/example.toml", import.meta.url).pathname;
  const { config, warnings } = loadConfig(file, {});
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.listeners.map(({ routes }) => routes.length), [2, 1]);
});

Deno.test("the part of the example that is commented out is sound too", () => {
  const text = Deno.readTextFileSync(new URL("../../config/example.toml", import.meta.url));
  const uncommented = text.replaceAll(/^ {2}# ?(?= *(?:\[\[|[a-z0-9_]+ = ))/gm, "");
  const { config, warnings } = parseConfig(uncommented, { file: FILE });
  assert.deepEqual(warnings, []);
  const route = config.listeners[0]?.routes.find(({ mode }) => mode === "l7");
  assert.deepEqual(route?.l7Policies.map(({ type }) => type), [
    "block_user_agent",
    "block_user_agent_any_case",
    "require_header",
  ]);
});

Deno.test("what the example gives as defaults are the defaults", () => {
  const example = loadConfig(new URL("../../config/example.toml", import.meta.url).pathname, {}).config;
  const { firewall, proxy, log } = parse(DATABASE);
  assert.deepEqual({ ...example.firewall, blockedIps: [], blockedCidrs: [] }, firewall);
  assert.deepEqual([example.proxy, example.log], [proxy, log]);
});

Deno.test("a file that cannot be read says why in one line", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/latin1.toml`, new Uint8Array([0x23, 0xe4]));
    await Deno.writeTextFile(`${folder}/bom.toml`, `\ufeff${DATABASE}`);
    const reason = (file: string) => {
      try {
        return loadConfig(file, {}).config.database.path;
      } catch (error) {
        return error instanceof ConfigError ? error.message : error;
      }
    };
    assert.equal(reason(`${folder}/none.toml`), `${folder}/none.toml: does not exist`);
    assert.equal(reason(folder), `${folder}: is a folder, not a file`);
    assert.equal(reason(`${folder}/latin1.toml`), `${folder}/latin1.toml: is not UTF-8 text`);
    assert.equal(
      reason(`${folder}/bom.toml/x`),
      `${folder}/bom.toml/x: does not exist: part of its path is not a folder`,
    );
    assert.equal(reason(`${folder}/bom.toml`), `${folder}/x.db`);
    assert.equal(reason(""), '"": does not exist');
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
