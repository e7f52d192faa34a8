import assert from "node:assert/strict";
import fc from "fast-check";
import { stringify } from "smol-toml";
import { ConfigError, examineConfig, loadConfig } from "./config.ts";
import { withoutMistakes } from "./config_salvage.ts";

const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

type Table = Record<string, unknown>;

/** A document with something in every section. */
function document() {
  const l7 = { mode: "l7", tls_cert: "a.pem", tls_key: "a.key", backend_tls: true, backend_ca: "ca.pem" };
  return {
    database: { path: "x.db" },
    listeners: [
      {
        addr: ":443",
        max_connections: 5,
        routes: [
          { hostname: "a.test", backend: "127.0.0.1:1", ...l7, l7_policies: [{ type: "require_header", value: "x" }] },
          { hostname: "*", backend: "127.0.0.1:2", send_proxy_protocol: true },
        ],
      },
      { addr: ":444" },
    ],
    firewall: { blocked_ips: ["192.0.2.1"], rate_limit: 5, rate_window: "1s", geoip_db: "geo.mmdb" },
    grpc: { addr: "/x.sock", mode: "0660", group: "g" },
    metrics: { addr: "127.0.0.1:9090", hosts: ["m.test"] },
    proxy: { engine: "portable", workers: 1, idle_timeout: "5m" },
    log: { level: "info", format: "text" },
  };
}

/** Every place of a document: what holds it, and under which key. */
function placesOf(value: unknown): [holder: Table, key: string][] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Table;
  return Object.keys(holder).flatMap((key) => [[holder, key] as [Table, string], ...placesOf(holder[key])]);
}

function examine(text: string) {
  const file = `${folder}/c.toml`;
  Deno.writeTextFileSync(file, text);
  return { ...examineConfig(file, {}), file };
}

Deno.test("of a sound file nothing is taken out", () => {
  const { config, mistakes, file } = examine(stringify(document()));
  assert.deepEqual(mistakes, []);
  assert.deepEqual(config, loadConfig(file, {}).config);
});

Deno.test("whatever is wrong, wherever: the mistakes are those of a start, and the rest can be had", () => {
  const junk = fc.constantFrom<unknown>(7, -1, 1.5, "", "junk", true, [], [7], {}, { junk: 1 }, new Date(0));
  const changes = fc.array(fc.tuple(fc.nat(), junk), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(changes, (made) => {
      const spoilt = document();
      for (const [n, value] of made) {
        const places = placesOf(spoilt);
        const [holder, key] = places[n % places.length] ?? [];
        if (holder !== undefined && key !== undefined) holder[key] = structuredClone(value);
      }
      let text;
      try {
        text = stringify(spoilt);
      } catch {
        return; // TOML cannot say it
      }
      const { config, mistakes, file } = examine(text);
      assert.ok(config !== undefined, text);
      try {
        assert.deepEqual(loadConfig(file, {}).config, config);
        assert.deepEqual(mistakes, []);
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
        assert.deepEqual(error.problems, mistakes);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("what is taken out has its default, and all else stays as it is, at its place", () => {
  const spoilt = structuredClone(document()) as Table & ReturnType<typeof document>;
  const before = structuredClone(spoilt);
  const rest = withoutMistakes(spoilt, [
    { path: "listeners[0].routes[0].backend", message: "" },
    { path: "listeners[0].routes[0].l7_policies[0].type", message: "" },
    { path: "listeners[0].max_connections", message: "" },
    { path: "firewall.blocked_ips[0]", message: "" },
    { path: "log", message: "" },
    { path: '"a key".b', message: "" },
  ]) as ReturnType<typeof document>;
  assert.deepEqual(spoilt, before);
  const [listener] = rest.listeners;
  assert.deepEqual(Object.keys(listener ?? {}), ["addr", "routes"]);
  const [first, second] = document().listeners[0]?.routes ?? [];
  assert.deepEqual(listener?.routes, [{ ...without("l7_policies", first), backend: "127.0.0.1:1" }, second]);
  assert.deepEqual({ ...rest, listeners: [] }, {
    ...without("log", document()),
    firewall: without("blocked_ips", document().firewall),
    listeners: [],
  });
});

function without(name: string, table: object = {}): Table {
  return Object.fromEntries(Object.entries(table).filter(([key]) => key !== name));
}
