import assert from "node:assert/strict";
import { ConfigError } from "../../control/config.ts";
import { loadAdminAddr } from "./admin_addr.ts";

function load(text: string, environment: Record<string, string> = {}): string {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(file, text);
    return loadAdminAddr(file, environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(({ path, message }) => `${path}: ${message}`).join("\n");
  } finally {
    Deno.removeSync(file);
  }
}

Deno.test("the socket is found whatever else the file says", () => {
  assert.equal(load('grpc.addr = "/run/a.sock"\nlisteners = 7\nbogus = true'), "/run/a.sock");
});

Deno.test("the environment names another socket", () => {
  assert.equal(load("", { MCPROXY_GRPC_ADDR: "/run/b.sock" }), "/run/b.sock");
  assert.match(load("", { MCPROXY_GRPC_ADDR: "b" }), /^MCPROXY_GRPC_ADDR: "b" is no path of a Unix socket/);
});

Deno.test("a file without a sound socket says so", () => {
  assert.match(load('database.path = "x"'), /^grpc: is missing: the server has no admin API; add it with addr = "/);
  assert.match(load("grpc = 1"), /^grpc: expected a table, got 1$/);
  assert.match(load("[grpc]"), /^grpc\.addr: is missing; write for example addr = "/);
  assert.match(load('grpc.addr = "a.sock"'), /^grpc\.addr: "a\.sock" is no path of a Unix socket; write an absolute/);
  assert.match(load("grpc = {"), /not valid TOML/);
});
