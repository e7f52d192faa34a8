import assert from "node:assert/strict";
import { AdminError } from "../../admin/client.ts";
import { explain, typedName } from "./explain.ts";

Deno.test("every wrong field is named as it was typed", () => {
  const violations = [
    "listener_addr",
    "hostname",
    "route.hostname",
    "route.backend",
    "route.mode",
    "route.tls_cert",
    "route.backend_server_name",
    "route.l7_policies[0].value",
    "policy.value",
    "rule.type",
    "max_connections",
  ].map((field) => ({ field, description: "is wrong" }));
  const { lines } = explain(new AdminError("INVALID_ARGUMENT", "all is wrong", violations), {
    path: "/s",
    isServerNamed: true,
  });
  assert.deepEqual(lines.map((line) => line.replace(": is wrong", "")), [
    "LISTENER",
    "HOST",
    "HOST",
    "BACKEND",
    "--mode",
    "--tls-cert",
    "--backend-server-name",
    "route.l7_policies[0].value",
    "VALUE",
    "TYPE",
    "N",
  ]);
});

Deno.test("other errors say what to do where that is known", () => {
  const lines = (code: AdminError["code"], message: string, list?: string, isServerNamed = false) =>
    explain(new AdminError(code, message), { path: "/s", list, isServerNamed }).lines;
  assert.deepEqual(lines("NOT_FOUND", "there is none", "ctl list"), ['there is none; "ctl list" shows what there is']);
  assert.deepEqual(lines("NOT_FOUND", "there is none"), ["there is none"]);
  assert.deepEqual(lines("UNAVAILABLE", "no admin API at /s"), ["no admin API at /s; -c or --addr names another"]);
  assert.deepEqual(lines("UNAVAILABLE", "no admin API at /s", "", true), ["no admin API at /s"]);
  assert.deepEqual(lines("UNAVAILABLE", "the server is shutting down"), ["the server is shutting down"]);
  assert.deepEqual(lines("INVALID_ARGUMENT", "without fields"), ["without fields"]);
  assert.deepEqual(lines("UNAVAILABLE", "no admin API at /s (permission denied)"), [
    "no admin API at /s (permission denied); run this as the user that runs the server, or as root",
  ]);
  for (const message of ["Connection dropped", "Received RST_STREAM with code 2", "read ECONNRESET"]) {
    assert.deepEqual(lines("INTERNAL", message), ["the server at /s broke off before it answered (has it stopped?)"]);
  }
  assert.match(lines("UNIMPLEMENTED", "no such method").join(), /own version/);
});

Deno.test("a field of a route is named as its option, an item of a list as the option that is repeated", () => {
  assert.equal(typedName("route.backend_ca"), "--backend-ca");
  assert.equal(typedName("route.backend_pins[1]"), "--backend-pin");
  assert.equal(typedName("route.l7_policies[1]"), "route.l7_policies[1]");
  assert.equal(typedName("route.hostname"), "HOST");
});
