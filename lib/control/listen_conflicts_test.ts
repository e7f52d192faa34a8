import assert from "node:assert/strict";
import { conflictsOf, listenAddressesOf, listenConflicts } from "./listen_conflicts.ts";

const listeners = (...addrs: string[]) =>
  addrs.map((addr) => ({ addr, proxyProtocol: false, maxConnections: 0, routes: [] }));

function conflicts(addrs: readonly string[], metrics?: string): string[] {
  const config = {
    listeners: listeners(...addrs),
    metrics: metrics === undefined ? undefined : { addr: metrics, path: "/metrics", dashboard: false, hosts: [] },
  };
  return listenConflicts(listenAddressesOf(config)).map(({ path, message }) => `${path}: ${message.split(";")[0]}`);
}

Deno.test("addresses that live together are no conflict", () => {
  assert.deepEqual(conflicts([":443", ":8443"], "127.0.0.1:9090"), []);
  assert.deepEqual(conflicts(["127.0.0.1:443", "127.0.0.2:443", "[::1]:443"], "127.0.0.3:443"), []);
  assert.deepEqual(conflicts(["0.0.0.0:443", "[::1]:443"]), []);
  assert.deepEqual(conflicts([":0", "127.0.0.1:0"], "127.0.0.1:0"), []);
});

Deno.test("a conflict names both, the port, and what they share", () => {
  assert.deepEqual(conflicts([":443", "0.0.0.0:443"]), [
    'listeners[1].addr: "0.0.0.0:443" cannot be bound together with ":443" of listeners[0].addr: ' +
    "both take port 443 of every IPv4 address",
  ]);
  assert.deepEqual(conflicts(["[::1]:443", "127.0.0.1:443", ":443"]), [
    'listeners[2].addr: ":443" cannot be bound together with "[::1]:443" of listeners[0].addr: ' +
    "both take port 443 of ::1",
  ]);
  assert.deepEqual(conflicts(["0.0.0.0:443", "127.0.0.1:443"]), [
    'listeners[1].addr: "127.0.0.1:443" cannot be bound together with "0.0.0.0:443" of listeners[0].addr: ' +
    "both take port 443 of 127.0.0.1",
  ]);
});

Deno.test("a listener and the metrics are a conflict, too", () => {
  assert.deepEqual(conflicts([":9090"], "127.0.0.1:9090"), [
    'metrics.addr: "127.0.0.1:9090" cannot be bound together with ":9090" of listeners[0].addr: ' +
    "both take port 9090 of 127.0.0.1",
  ]);
});

Deno.test("what stays is in the way of what is added, and not of what is there already", () => {
  const wanted = { listeners: listeners("127.0.0.1:8443", "0.0.0.0:8443") };
  const pathsBeside = (...stored: string[]) =>
    conflictsOf(wanted, { stored: listeners(...stored), metrics: undefined }).map(({ path }) => path);
  assert.deepEqual(pathsBeside(":443"), ["listeners[1].addr"], "with one another");
  assert.deepEqual(pathsBeside(":8443"), ["listeners[1].addr", "listeners[0].addr"]);
  assert.deepEqual(pathsBeside(":8443", "127.0.0.1:8443", "0.0.0.0:8443"), ["listeners[1].addr"]);
  const message = (beside: Parameters<typeof conflictsOf>[1]) =>
    conflictsOf({ listeners: listeners("127.0.0.1:443") }, beside)[0]?.message ?? "";
  assert.match(
    message({ stored: listeners(":443"), metrics: undefined }),
    /with ":443" of the database, which stays without --prune:/,
  );
  assert.match(
    message({ stored: [], metrics: { addr: ":443", path: "metrics.addr" } }),
    /with ":443" of metrics\.addr:/,
  );
});
