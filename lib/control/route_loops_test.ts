import assert from "node:assert/strict";
import { parseConfig } from "./config.ts";
import { leadsToOwn, routeLoops } from "./route_loops.ts";

/** The loops of a configuration: `path: listeners on the way`. */
function loops(text: string): string[] {
  const { config } = parseConfig(`database.path = "x.db"\n${text}`, { file: "/c.toml" });
  return routeLoops(config.listeners).map(({ path, message }) => {
    const listeners = message.match(/listener ("\S*")|(?<=by |, )"\S+"/g) ?? [];
    return `${path}: ${listeners.map((each) => each.replace("listener ", "")).join(" ")}`;
  });
}

const L7 = `mode = "l7", tls_cert = "c", tls_key = "k"`;

/** A listener with routes, each `host backend` and whatever else. */
function listener(addr: string, routes: readonly string[], more = ""): string {
  const tables = routes.map((route) => {
    const [hostname, backend, ...rest] = route.split(" ");
    return `{ hostname = "${hostname}", backend = "${backend}"${rest.length > 0 ? `, ${rest.join(" ")}` : ""} }`;
  });
  return `[[listeners]]\naddr = "${addr}"\n${more}\nroutes = [${tables.join(", ")}]\n`;
}

Deno.test("a route to its own listener is a loop, at whatever address of this machine that is reached", () => {
  for (
    const [addr, backend] of [
      [":443", "127.0.0.1:443"],
      [":443", "127.9.9.9:443"],
      [":443", "[::1]:443"],
      [":443", "localhost:443"],
      [":443", "0.0.0.0:443"],
      [":443", "[::]:443"],
      ["0.0.0.0:443", "127.0.0.1:443"],
      ["0.0.0.0:443", "0.0.0.0:443"],
      ["127.0.0.1:443", "127.0.0.1:443"],
      ["127.0.0.1:443", "0.0.0.0:443"],
      ["[::1]:443", "[::1]:443"],
      ["localhost:443", "localhost:443"],
    ] as const
  ) {
    for (const hostname of ["a.test", "*.a.test", "*"]) {
      const expected = [`listeners[0].routes[0].backend: "${addr}"`];
      assert.deepEqual(loops(listener(addr, [`${hostname} ${backend}`])), expected, `${hostname} ${addr} ${backend}`);
    }
  }
});

Deno.test("another port or address, of this machine or of another, is no loop", () => {
  for (
    const [addr, backend] of [
      [":443", "127.0.0.1:8443"],
      [":443", "192.0.2.255:443"],
      [":443", "[2001:db8::1]:443"],
      [":443", "nowhere.invalid:443"],
      ["127.0.0.1:443", "127.0.0.2:443"],
      ["127.0.0.1:443", "[::1]:443"],
      ["0.0.0.0:443", "[::1]:443"],
      [":0", "127.0.0.1:443"],
    ] as const
  ) assert.deepEqual(loops(listener(addr, [`a.test ${backend}`])), [], `${addr} ${backend}`);
});

Deno.test("a way through other listeners is a loop where it comes back, for each route on it", () => {
  assert.deepEqual(loops(listener(":1", ["a.test 127.0.0.1:2"]) + listener(":2", ["*.test 127.0.0.1:1"])), [
    'listeners[0].routes[0].backend: ":2" ":1"',
  ]);
  assert.deepEqual(loops(listener(":1", ["* 127.0.0.1:2"]) + listener(":2", ["* 127.0.0.1:1"])), [
    'listeners[0].routes[0].backend: ":2" ":1"',
    'listeners[1].routes[0].backend: ":1" ":2"',
  ]);
  assert.deepEqual(loops(listener(":1", ["a.test 127.0.0.1:2"]) + listener(":2", ["a.test 192.0.2.255:1"])), []);
  assert.deepEqual(loops(listener(":1", ["a.test 127.0.0.1:2"]) + listener(":2", ["b.test 127.0.0.1:1"])), []);
});

Deno.test("what ends on its way is no loop", () => {
  const sent = "send_proxy_protocol = true";
  assert.deepEqual(loops(listener(":1", [`a.test 127.0.0.1:1 ${sent}`])), []);
  assert.deepEqual(loops(listener(":1", ["a.test 127.0.0.1:1"], "proxy_protocol = true")), []);
  assert.deepEqual(loops(listener(":1", [`a.test 127.0.0.1:1 ${sent}`], "proxy_protocol = true")).length, 1);
  assert.deepEqual(loops(listener(":1", [`a.test 127.0.0.1:1 ${L7}`])), []);
  const tls = `${L7}, backend_tls = true`;
  assert.deepEqual(loops(listener(":1", [`a.test 127.0.0.1:1 ${tls}, backend_server_name = "b.test"`])), []);
  assert.deepEqual(loops(listener(":1", [`a.test 127.0.0.1:1 ${tls}, backend_server_name = "a.test"`])).length, 1);
  assert.deepEqual(loops(listener(":1", [`a.test 127.0.0.1:1 ${tls}`])), [], "an address is asked for no name");
  assert.deepEqual(loops(listener(":1", [`* 127.0.0.1:1 ${tls}`])).length, 1);
});

Deno.test("a name is as good as the addresses that it is known to have", () => {
  const { config } = parseConfig(`database.path = "x.db"\n${listener(":443", ["a.test edge.test:443"])}`, {
    file: "/c.toml",
  });
  const [route] = config.listeners[0]?.routes ?? [];
  assert.ok(route !== undefined);
  const own = new Uint8Array(16).fill(1, 15); // ::1
  for (const [addresses, isLoop] of [[[own], true], [[], false]] as const) {
    assert.equal(routeLoops(config.listeners, { addressesOf: () => addresses }).length > 0, isLoop);
    assert.equal(leadsToOwn(route, config.listeners, () => addresses), isLoop);
  }
});
