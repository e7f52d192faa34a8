import assert from "node:assert/strict";
import { AdminClient } from "../mod.ts";
import { ADDR, administered } from "./harness/admin.ts";
import { Proxy, runProgram } from "./harness/proxy.ts";

const config = (socket: string, database = "mc-proxy.db") => `
database.path = "${database}"
grpc.addr = "${socket}"
[[listeners]]
addr = "127.0.0.1:0"
`;

/** Tries to start a second server; it must give up and print one line. */
async function refusal(folder: string, text: string): Promise<string> {
  const file = `${folder}/second.toml`;
  Deno.writeTextFileSync(file, text);
  const { code, stdout, stderr } = await runProgram(["server", "-c", file]);
  assert.deepEqual([code, stdout], [1, ""], stderr);
  return stderr.replaceAll(folder, "DIR");
}

Deno.test("the socket is the server's user's alone, and gone when the server is", async () => {
  await using test = await administered();
  const { isSocket, mode } = Deno.lstatSync(test.socket);
  assert.deepEqual([isSocket, (mode ?? 0) & 0o777], [true, 0o600]);
  const beside = Array.from(Deno.readDirSync(test.proxy.folder), ({ name }) => name).filter((name) =>
    !name.startsWith("mc-proxy.")
  );
  assert.deepEqual(beside, ["admin.sock"], "nothing is left of how it was made");
  test.proxy.signal("SIGTERM");
  await test.proxy.exit();
  assert.throws(() => Deno.lstatSync(test.socket), Deno.errors.NotFound);
});

Deno.test("the socket of a server that was killed is replaced", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const socket = `${folder}/admin.sock`;
  const first = await Proxy.start({ listeners: [{ addr: ADDR }], grpc: { addr: socket } }, { folder });
  await first.kill();
  assert.equal(Deno.lstatSync(socket).isSocket, true);
  await using test = await administered([], {}, { folder });
  assert.equal(await test.admin.isServing(), true);
});

Deno.test("a second server is refused on the same socket and on the same database, and harms neither", async () => {
  await using test = await administered([{ hostname: "a.test", backend: "127.0.0.1:1" }]);
  const { folder } = test.proxy;
  assert.equal(
    await refusal(folder, config(test.socket, "other.db")),
    "mc-proxy: grpc.addr DIR/admin.sock: a server that runs has it; stop that one, or use another path\n",
  );
  assert.throws(() => Deno.lstatSync(`${folder}/other.db`), Deno.errors.NotFound);
  assert.throws(() => Deno.lstatSync(`${folder}/other.db.lock`), Deno.errors.NotFound);
  assert.equal(
    await refusal(folder, config(`${folder}/other.sock`)),
    "DIR/mc-proxy.db: is served by another mc-proxy; stop that one, or use another database.path\n",
  );
  assert.throws(() => Deno.lstatSync(`${folder}/other.sock`), Deno.errors.NotFound);
  assert.equal((await test.admin.listRoutes(ADDR)).length, 1);
  await test.admin.addRoute(ADDR, { hostname: "b.test", backend: "127.0.0.1:1" });
});

Deno.test("what is in the way of the socket is told, and left alone", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  Deno.writeTextFileSync(`${folder}/file`, "an operator's");
  assert.match(
    await refusal(folder, config(`${folder}/file`)),
    /^mc-proxy: grpc\.addr DIR\/file: .*not a socket; remove/,
  );
  assert.equal(Deno.readTextFileSync(`${folder}/file`), "an operator's");
  assert.match(
    await refusal(folder, config(`${folder}/none/admin.sock`)),
    /^mc-proxy: grpc\.addr DIR\/none\/admin\.sock: its folder DIR\/none: does not exist\n$/,
  );
  const long = `${folder}/${"x".repeat(104 - folder.length)}/a`;
  Deno.mkdirSync(long.slice(0, -2));
  assert.match(
    await refusal(folder, config(long)),
    /^mc-proxy: grpc\.addr .*: its folder's path is too long; use one that is \d+ octets shorter\n$/,
  );
  assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name).sort().map((name) => name.slice(0, 20)), [
    "file",
    "second.toml",
    "x".repeat(20),
  ]);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("five hundred clients that come and go leave the server running", async () => {
  await using test = await administered();
  for (let i = 0; i < 500; i++) {
    using client = new AdminClient(test.socket);
    assert.equal(await client.isServing(), true);
  }
  test.proxy.signal("SIGTERM");
  assert.equal((await test.proxy.exit()).code, 0);
});

Deno.test("a client is told what keeps it from the server", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const socket = `${folder}/admin.sock`;
  {
    using client = new AdminClient(socket);
    await assert.rejects(client.getStatus(), {
      name: "AdminError",
      code: "UNAVAILABLE",
      message: `no admin API at ${socket} (is the server running?)`,
    });
  }
  {
    // A socket that listens and never answers.
    using _silent = Deno.listen({ transport: "unix", path: socket });
    using client = new AdminClient(socket, { timeoutMs: 300 });
    await assert.rejects(client.getStatus(), { code: "DEADLINE_EXCEEDED", message: /no answer from .* within 300 ms/ });
  }
  Deno.removeSync(folder, { recursive: true });
});
