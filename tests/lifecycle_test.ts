import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Backend, endSeen, helloFor, readExactly, sayHello, writeAll } from "./harness/peers.ts";
import { Proxy, runProgram, testEachEngine } from "./harness/proxy.ts";

const HELLO = helloFor("a.test");

function listening(backend: Backend, hostname = "*") {
  return [{ addr: "127.0.0.1:0", routes: [{ hostname, backend: backend.addr }] }];
}

async function open(proxy: Proxy, backend: Backend) {
  const client = await sayHello(proxy.address(), "a.test");
  const served = await backend.accept();
  await readExactly(served, HELLO.length);
  return { client, served };
}

testEachEngine("SIGTERM stops accepting, lets a transfer finish, and ends with exit code 0", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({
    listeners: [{ addr: "[::1]:0", routes: [{ hostname: "*", backend: backend.addr }] }],
  });
  const { client, served } = await open(proxy, backend);
  proxy.signal("SIGTERM");
  assert.equal((await proxy.event("draining"))["connections"], 1);
  const { hostname, port } = proxy.address();
  await assert.rejects(Deno.connect({ hostname, port }), Deno.errors.ConnectionRefused);

  const block = new Uint8Array(5_000_000).map((_, i) => i % 251);
  const received = readExactly(client, block.length);
  await writeAll(served, block);
  await served.closeWrite();
  assert.deepEqual(await received, block);
  client.close();
  assert.equal((await proxy.end(client))["end"], "closed");
  assert.equal((await proxy.exit()).code, 0);
  await proxy.event("stopped");
  served.close();
});

testEachEngine(
  "SIGTERM: whoever has not sent its PROXY header, or nothing behind it, does not hold up the end",
  async () => {
    using backend = new Backend();
    await using proxy = await Proxy.start({
      listeners: [{ ...listening(backend)[0], proxy_protocol: true }],
      proxy: { workers: 1, hello_timeout: "5m", idle_timeout: "5m", shutdown_timeout: "1h" },
    });
    const header = "PROXY TCP4 192.0.2.7 198.51.100.1 5555 443\r\n";
    const signature = "\r\n\r\n\0\r\nQUIT\n"; // of version 2
    const conns: Deno.TcpConn[] = [];
    const send = async (...parts: readonly (string | Uint8Array)[]) => {
      const { hostname, port } = proxy.address();
      const conn = await Deno.connect({ hostname, port });
      conns.push(conn);
      for (const part of parts) await writeAll(conn, typeof part === "string" ? new TextEncoder().encode(part) : part);
    };
    await send();
    await send(header.slice(0, 20));
    await send(signature);
    await send(header);
    await send(header, HELLO.subarray(0, HELLO.length / 2));
    await send(header, HELLO); // accepted behind them
    using served = await backend.accept();
    await readExactly(served, HELLO.length);
    proxy.signal("SIGTERM");
    await proxy.event("draining");
    served.close();
    for (const conn of conns) await endSeen(conn);
    for (const conn of conns) conn.close();
    assert.equal((await proxy.exit()).code, 0);
    const ends = proxy.log.seen.filter(({ event }) => event === "connection").map(({ end }) => end);
    const late = [
      "hello_timeout",
      "hello_timeout",
      "proxy_header_timeout",
      "proxy_header_timeout",
      "proxy_header_timeout",
    ];
    assert.deepEqual(ends.filter((end) => String(end).endsWith("_timeout")).sort(), late);
    assert.equal(ends.length, 6);
  },
);

testEachEngine("what is not over by shutdown_timeout is ended", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({ listeners: listening(backend), proxy: { shutdown_timeout: "200ms" } });
  const { client, served } = await open(proxy, backend);
  proxy.signal("SIGINT");
  await endSeen(client);
  await endSeen(served);
  assert.equal((await proxy.end(client))["end"], "shutdown");
  assert.equal((await proxy.exit()).code, 0);
  client.close();
  served.close();
});

testEachEngine("a second signal ends open connections at once", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({ listeners: listening(backend), proxy: { shutdown_timeout: "1h" } });
  const { client, served } = await open(proxy, backend);
  proxy.signal("SIGTERM");
  await proxy.event("draining");
  proxy.signal("SIGTERM");
  await endSeen(client);
  assert.equal((await proxy.end(client))["end"], "shutdown");
  assert.equal((await proxy.exit()).code, 0);
  client.close();
  served.close();
});

Deno.test("a restart keeps what the database holds, and says that the file differs", async () => {
  using first = new Backend();
  using second = new Backend();
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const before = await Proxy.start({ listeners: listening(first) }, { folder });
  await before.event("database_seeded");
  before.signal("SIGTERM");
  assert.equal((await before.exit()).code, 0);

  await using proxy = await Proxy.start({ listeners: listening(second) }, { folder });
  await proxy.event("config_differs");
  const { client, served } = await open(proxy, first);
  client.close();
  served.close();
});

Deno.test("snapshot backs the database up while the server runs and while it does not", async () => {
  using backend = new Backend();
  await using proxy = await Proxy.start({ listeners: listening(backend, "kept.test") });
  const config = `${proxy.folder}/mc-proxy.toml`;
  const running = await runProgram(["snapshot", "-c", config, "-o", `${proxy.folder}/running.db`]);
  assert.deepEqual([running.code, running.stderr], [0, ""]);
  proxy.signal("SIGTERM");
  await proxy.exit();
  const stopped = await runProgram(["snapshot", "-c", config, "-o", `${proxy.folder}/stopped.db`]);
  assert.deepEqual([stopped.code, stopped.stderr], [0, ""]);
  for (const name of ["running.db", "stopped.db"]) {
    const db = new DatabaseSync(`${proxy.folder}/${name}`, { readOnly: true });
    assert.deepEqual({ ...db.prepare("SELECT hostname FROM routes").get() }, { hostname: "kept.test" });
    db.close();
  }
  const again = await runProgram(["snapshot", "-c", config, "-o", `${proxy.folder}/running.db`]);
  assert.equal(again.code, 1);
  assert.equal(again.stderr.trim().split("\n").length, 1);
});

Deno.test("the text log has one line for a connection, with its fields as key=value", async () => {
  using backend = new Backend();
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  await using proxy = Proxy.spawn({ listeners: listening(backend), log: { format: "text" } }, { folder });
  const listening_ = await proxy.log.find(({ line }) => / info listening addr=/.test(String(line)));
  const port = Number(/addr=127\.0\.0\.1:(\d+)/.exec(String(listening_["line"]))?.[1]);
  const client = await sayHello({ transport: "tcp", hostname: "127.0.0.1", port }, "a.test");
  const served = await backend.accept();
  await readExactly(served, HELLO.length);
  client.close();
  served.close();
  const connection = await proxy.log.find(({ line }) => / info connection /.test(String(line)));
  assert.match(
    String(connection["line"]),
    /^\d{4}-\d\d-\d\dT[\d:.]+Z info connection listener=127\.0\.0\.1:0 client=127\.0\.0\.1:\d+ sni=a\.test route="?\*"? backend=127\.0\.0\.1:\d+ bytes_in=\d+ bytes_out=0 duration_ms=\d+ end=closed$/,
  );
});
