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

/** A group that this user may give files to: one of its own, or as root any. */
const ANY_GROUP = Deno.uid() === 0 ? 4711 : Deno.gid();

Deno.test({
  name: "the socket has the mode and the group of the configuration, at a start and after a takeover (needs Unix)",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const addr = `${folder}/admin.sock`;
    const settings = { listeners: [{ addr: ADDR }], grpc: { addr, mode: "0660", group: String(ANY_GROUP) } };
    const rights = () => {
      const { mode, gid, ino } = Deno.lstatSync(addr);
      return { mode: (mode ?? 0) & 0o777, gid, ino };
    };
    await using first = await Proxy.start(settings, { folder });
    const before = rights();
    assert.deepEqual([before.mode, before.gid], [0o660, ANY_GROUP]);
    const next = Proxy.run(["server", "--takeover", "-c", `${folder}/mc-proxy.toml`], { folder });
    await next.event("took_over");
    const after = rights();
    assert.deepEqual([after.mode, after.gid], [0o660, ANY_GROUP]);
    assert.notEqual(after.ino, before.ino);
    assert.equal((await first.exit()).code, 0);
    await next.kill();
  },
});

Deno.test("a group that is not there is an error of check and of a start, and nothing is made", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const file = `${folder}/mc-proxy.toml`;
  const text = `database.path = "a.db"\ngrpc = { addr = "${folder}/s", mode = "0660", group = "no-such-group" }\n` +
    '[[listeners]]\naddr = "127.0.0.1:0"\n';
  Deno.writeTextFileSync(file, text);
  for (const command of ["check", "server"]) {
    const { code, stderr } = await runProgram([command, "-c", file]);
    assert.equal(code, 1);
    assert.equal(
      stderr.replaceAll(folder, "DIR"),
      'DIR/mc-proxy.toml: line 2: grpc.group: "no-such-group" is no group of /etc/group; make it (groupadd), or write ' +
        "its number (getent group)\n",
    );
  }
  assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["mc-proxy.toml"]);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("a group without the right to use the socket is warned of", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const file = `${folder}/mc-proxy.toml`;
  Deno.writeTextFileSync(
    file,
    `database.path = "a.db"\ngrpc = { addr = "${folder}/s", group = "0" }\n[[listeners]]\naddr = ":0"\n`,
  );
  const { code, stderr } = await runProgram(["check", "-c", file]);
  assert.deepEqual([code, stderr.replaceAll(folder, "DIR")], [
    0,
    'DIR/mc-proxy.toml: line 2: grpc.group: warning: has no effect where mode is "0600"; write mode = "0660"\n',
  ]);
  Deno.removeSync(folder, { recursive: true });
});
