import assert from "node:assert/strict";
import { ConfigError, parseConfig } from "./config.ts";

/** The problems of a text, as they are told. */
function told(text: string, environment: Record<string, string> = {}): string[] {
  try {
    parseConfig(text, { file: "c.toml", environment });
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message.split("\n");
  }
  return [];
}

Deno.test("a problem is told with its line, and the host name of its route", () => {
  const text = `
[database]
path = "x.db"

[[listeners]]
addr = ":443"
max_connections = -1

  [[listeners.routes]]
  hostname = "git.example.net"
  backend = "nowhere"

  [[listeners.routes]]
  hostname = "*.example.net"

  [[listeners.routes]]
  backend = "b:1"
  mode = "l7"

[[listeners]]
addr = "nowhere"
routes = [
  { hostname = "a.test", backend = "b:1" },
  { hostname = "b.test",
    backend = 5 },
]
[proxy]
workers = "x"
`;
  assert.deepEqual(told(text).map((line) => line.split(/: (?:expected|is missing|must|"nowhere")/)[0]), [
    "c.toml: line 7: listeners[0].max_connections (:443)",
    "c.toml: line 11: listeners[0].routes[0].backend (git.example.net)",
    "c.toml: line 13: listeners[0].routes[1].backend (*.example.net)",
    "c.toml: line 16: listeners[0].routes[2].hostname",
    "c.toml: line 21: listeners[1].addr",
    "c.toml: line 25: listeners[1].routes[1].backend (b.test)",
    "c.toml: line 28: proxy.workers",
    "c.toml: line 16: listeners[0].routes[2].tls_cert",
    "c.toml: line 16: listeners[0].routes[2].tls_key",
  ]);
});

Deno.test("what the file does not have is told without a line, and so is what the environment says", () => {
  assert.deepEqual(told("", { MCPROXY_PROXY_WORKERS: "x" }).map((line) => line.split(": ").slice(0, 2).join(": ")), [
    "c.toml: database.path",
    "c.toml: MCPROXY_PROXY_WORKERS",
  ]);
});

Deno.test("what the environment overrides is told by the variable, though the file says something, too", () => {
  const text = '[database]\npath = "x.db"\n[metrics]\naddr = ":9090"\n';
  const { places } = parseConfig(text, { file: "c.toml", environment: { MCPROXY_METRICS_ADDR: ":9091" } });
  const describe = (path: string) => places.describe({ path, message: "m" });
  assert.deepEqual([describe("metrics.addr"), describe("database.path")], [
    "MCPROXY_METRICS_ADDR: m",
    "line 2: database.path: m",
  ]);
  assert.deepEqual([places.variable("metrics.addr"), places.variable("database.path")], [
    "MCPROXY_METRICS_ADDR",
    undefined,
  ]);
});

Deno.test("a name that would not print as itself is told in quotes", () => {
  const routes = String.raw`[{ hostname = "\u001b[31m", backend = 1 }, { hostname = 5, backend = 2 }]`;
  const backends = told(`database.path = "x"\n[[listeners]]\naddr = ":1"\nroutes = ${routes}`)
    .filter((line) => line.includes(".backend"));
  assert.deepEqual(backends.map((line) => line.split(": expected")[0]), [
    String.raw`c.toml: line 4: listeners[0].routes[0].backend ("\u001b[31m")`,
    "c.toml: line 4: listeners[0].routes[1].backend",
  ]);
});

Deno.test("a mistyped key gets the one that was meant, and one of another table gets that table", () => {
  const keys: readonly (readonly [text: string, told: string])[] = [
    ["[databse]", "; did you mean database? Known are "],
    ["[proxy]\nidle_timout = 1", "; did you mean idle_timeout? Known are "],
    ["[proxy]\nidle-timeout = 1", "; did you mean idle_timeout? Known are "],
    ["[log]\nLevel = 1", "; did you mean level? Known are "],
    ["[grpc]\naddr = '/x'\naddress = 1", "; did you mean addr? Known are "],
    ["[proxy]\nrate_limit = 1", ", but in [firewall]; known are "],
    ["hostname = 1", ", but in [[listeners.routes]]; known are "],
    ["[log]\ncolour = 1", "; known are "],
    [
      "[[listeners]]\naddr = ':1'\nroutes = [{ hostname = 'a', backend = 'b:1', tls_crt = 1 }]",
      "; did you mean tls_cert?",
    ],
  ];
  for (const [text, expected] of keys) {
    const [line = ""] = told(`database.path = "x"\n${text}`).filter((each) => each.includes("known key"));
    assert.ok(line.includes(`is not a known key here${expected}`), line);
  }
});
