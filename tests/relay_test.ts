import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import {
  Backend,
  connectResettable,
  endSeen,
  helloFor,
  readExactly,
  REFUSING,
  sayHello,
  writeAll,
} from "./harness/peers.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";

const HELLO = helloFor("a.test");

async function startProxy(backend: string, settings: Record<string, unknown> = {}): Promise<Proxy> {
  return await Proxy.start({
    listeners: [{ addr: "127.0.0.1:0", routes: [{ hostname: "*", backend }] }],
    proxy: settings,
  });
}

/** Opens a connection through the proxy, and takes its other end behind the ClientHello. */
async function open(proxy: Proxy, backend: Backend): Promise<{ client: Deno.TcpConn; served: Deno.TcpConn }> {
  const client = await sayHello(proxy.address(), "a.test");
  const served = await backend.accept();
  await readExactly(served, HELLO.length);
  return { client, served };
}

/** Sends `length` bytes that differ from block to block, then half-closes; their SHA-256. */
async function send(conn: Deno.TcpConn, length: number): Promise<string> {
  const hash = createHash("sha256");
  const block = crypto.getRandomValues(new Uint8Array(64 * 1024));
  for (let sent = 0, n = 0; sent < length; sent += block.length) {
    new DataView(block.buffer).setUint32(0, n++);
    const part = block.subarray(0, Math.min(block.length, length - sent));
    hash.update(part);
    await writeAll(conn, part);
  }
  await conn.closeWrite();
  return hash.digest("hex");
}

async function receive(conn: Deno.TcpConn): Promise<string> {
  const hash: Hash = createHash("sha256");
  const buffer = new Uint8Array(256 * 1024);
  for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) hash.update(buffer.subarray(0, n));
  return hash.digest("hex");
}

testEachEngine("100 MB go each way at once and arrive as they were sent", async () => {
  using backend = new Backend();
  await using proxy = await startProxy(backend.addr);
  const { client, served } = await open(proxy, backend);
  const length = 100_000_000;
  const [up, down, upReceived, downReceived] = await Promise.all([
    send(client, length),
    send(served, length),
    receive(served),
    receive(client),
  ]);
  assert.equal(upReceived, up);
  assert.equal(downReceived, down);
  const end = await proxy.end(client);
  assert.equal(end["end"], "closed");
  assert.equal(end["bytes_in"], HELLO.length + length);
  assert.equal(end["bytes_out"], length);
  client.close();
  served.close();
});

testEachEngine("a client that closes its sending side still gets the whole answer", async () => {
  using backend = new Backend();
  await using proxy = await startProxy(backend.addr);
  const { client, served } = await open(proxy, backend);
  const question = new TextEncoder().encode("question");
  const answer = crypto.getRandomValues(new Uint8Array(60_000));
  await writeAll(client, question);
  await client.closeWrite();
  assert.deepEqual(await readExactly(served, question.length), question);
  assert.equal(await served.read(new Uint8Array(1)), null, "the half-close is passed on");
  await writeAll(served, answer);
  await served.closeWrite();
  assert.deepEqual(await readExactly(client, answer.length), answer);
  assert.equal(await client.read(new Uint8Array(1)), null);
  assert.equal((await proxy.end(client))["end"], "closed");
  client.close();
  served.close();
});

testEachEngine("500 connections are open at once and each gets its own bytes", async () => {
  using backend = new Backend();
  const echoing = backend.echo();
  await using proxy = await startProxy(backend.addr);
  const clients = await Promise.all(Array.from({ length: 500 }, () => sayHello(proxy.address(), "a.test")));
  for (const client of clients) await readExactly(client, HELLO.length);
  await Promise.all(clients.map(async (client, i) => {
    const message = new Uint8Array(10_000).fill(i & 0xff);
    const echoed = readExactly(client, message.length);
    await writeAll(client, message);
    assert.deepEqual(await echoed, message);
    client.close();
  }));
  const ends = await proxy.log.findAll(500, ({ event, end }) => event === "connection" && end === "closed");
  assert.ok(ends.every((end) => end["bytes_out"] === HELLO.length + 10_000));
  backend[Symbol.dispose]();
  await echoing;
});

testEachEngine("a receiver that does not read stops the sender", async () => {
  using backend = new Backend();
  await using proxy = await startProxy(backend.addr, { idle_timeout: "500ms" });
  const { client, served } = await open(proxy, backend);
  const block = new Uint8Array(1024 * 1024);
  let sent = 0;
  // Once the buffers of the kernel and the proxy's one are full, no byte moves, and the connection is idle.
  await assert.rejects(async () => {
    for (; sent < 1000; sent++) await writeAll(served, block);
  });
  assert.equal((await proxy.end(client))["end"], "idle_timeout");
  assert.ok(sent < 100, `${sent} MiB were taken from the sender with nobody reading`);
  client.close();
  served.close();
});

testEachEngine("a connection without a byte in either direction is ended after idle_timeout", async () => {
  using backend = new Backend();
  await using proxy = await startProxy(backend.addr, { idle_timeout: "300ms" });
  const { client, served } = await open(proxy, backend);
  await endSeen(client);
  await endSeen(served);
  assert.equal((await proxy.end(client))["end"], "idle_timeout");
  client.close();
  served.close();
});

testEachEngine("bytes in one direction alone keep a connection from being idle", async () => {
  using backend = new Backend();
  await using proxy = await startProxy(backend.addr, { idle_timeout: "1s" });
  const quiet = await open(proxy, backend);
  const busy = await open(proxy, backend);
  const ended = proxy.end(quiet.client);
  let over = false;
  void ended.then(() => over = true);
  // One byte after the other until a connection that opened earlier has been found idle.
  while (!over) {
    await writeAll(busy.served, new Uint8Array(1));
    await readExactly(busy.client, 1);
  }
  assert.equal((await ended)["end"], "idle_timeout");
  await writeAll(busy.client, new Uint8Array(1));
  await readExactly(busy.served, 1);
  for (const { client, served } of [quiet, busy]) {
    client.close();
    served.close();
  }
});

testEachEngine("a reset by the client ends the backend's connection, and the reverse", async () => {
  using backend = new Backend();
  await using proxy = await startProxy(backend.addr);
  const client = await connectResettable(proxy.address());
  client.write(HELLO);
  using served = await backend.accept();
  await readExactly(served, HELLO.length);
  client.resetAndDestroy();
  await endSeen(served);
  await proxy.event("connection", { end: "client_reset" });

  using resetting = await startResettingBackend();
  await using other = await startProxy(resetting.addr);
  using second = await sayHello(other.address(), "a.test");
  await endSeen(second);
  assert.equal((await other.end(second))["end"], "backend_reset");
});

testEachEngine("what a backend sent before it reset the connection still reaches the client", async () => {
  using resetting = await startResettingBackend(new Uint8Array(10_000).fill(7));
  await using proxy = await startProxy(resetting.addr);
  for (let i = 0; i < 20; i++) {
    using client = await sayHello(proxy.address(), "a.test");
    assert.deepEqual(await readExactly(client, 10_000), new Uint8Array(10_000).fill(7));
    await endSeen(client);
    assert.equal((await proxy.end(client))["end"], "backend_reset");
  }
});

/** A backend that answers the first bytes of a connection and resets it at once: a `Deno.Conn` could not. */
async function startResettingBackend(answer: Uint8Array = new Uint8Array(0)) {
  const server = createServer((socket) =>
    socket.once("data", () => socket.write(answer, () => socket.resetAndDestroy()))
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { addr: `127.0.0.1:${address.port}`, [Symbol.dispose]: () => void server.close() };
}

testEachEngine("a backend that refuses, and one that never answers, close that one connection", async () => {
  using alive = new Backend();
  await using proxy = await Proxy.start({
    listeners: [{
      addr: "127.0.0.1:0",
      routes: [{ hostname: "down.test", backend: REFUSING }, { hostname: "a.test", backend: alive.addr }],
    }],
  });
  using client = await sayHello(proxy.address(), "down.test");
  await endSeen(client);
  const end = await proxy.end(client);
  assert.equal(end["end"], "backend_refused");
  assert.equal(end["backend"], REFUSING);
  const { client: other, served } = await open(proxy, alive);
  other.close();
  served.close();
});

testEachEngine("a backend that does not accept is given up after connect_timeout", async () => {
  // A full accept queue drops SYNs, listen(2): with a backlog of 0, one connection that nobody accepts fills it.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 0 });
  const { port } = listener.addr;
  using _first = await Deno.connect({ hostname: "127.0.0.1", port });
  await using proxy = await startProxy(`127.0.0.1:${port}`, { connect_timeout: "300ms" });
  using client = await sayHello(proxy.address(), "a.test");
  await endSeen(client);
  assert.equal((await proxy.end(client))["end"], "backend_timeout");
});
