import assert from "node:assert/strict";
import { once } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import { connect as connectTls } from "node:tls";
import { ADDR } from "./harness/admin.ts";
import { type Handler, HttpBackend, L7, reflect, VERSIONS } from "./harness/http.ts";
import { Backend, connectTls as connectDenoTls, endSeen, readExactly, sayHello, writeAll } from "./harness/peers.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { ACK, frame, headers, pseudo, RawHttp2Client, TYPES } from "./harness/raw_http.ts";

testEachEngine("TLS 1.2 and 1.3 are spoken, older versions and foreign protocols are refused", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  for (const version of VERSIONS) {
    for (const tls of ["TLSv1.2", "TLSv1.3"] as const) {
      using client = await l7.connect(version, "a.test", { tls: { minVersion: tls, maxVersion: tls } });
      assert.equal((await client.ask()).status, 200, `${version} ${tls}`);
    }
  }
  const { hostname: host, port } = l7.proxy.address();
  const socket = connectTls({ host, port, servername: "a.test", ca: l7.authority.cert, ALPNProtocols: ["smtp"] });
  const [error] = await once(socket, "error").catch((error) => [error]);
  assert.ok(error instanceof Error);
  await l7.proxy.event("connection", { end: "tls_failed" });
});

/** The ClientHello of a client that means it. */
async function realHello(serverName: string): Promise<Uint8Array> {
  using backend = new Backend();
  const socket = connectTls({ host: "127.0.0.1", port: Number(backend.addr.split(":")[1]), servername: serverName });
  socket.on("error", () => {});
  using conn = await backend.accept();
  const buffer = new Uint8Array(20_000);
  const length = await conn.read(buffer) ?? 0;
  socket.destroy();
  return buffer.slice(0, length);
}

testEachEngine("a client that breaks off its handshake, or is slow with it, is counted so", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
    proxy: { hello_timeout: "2s" }, // long enough for a ClientHello from a process that is busy
  });
  const left = await sayHello(l7.proxy.address(), "a.test");
  left.close();
  assert.equal((await l7.proxy.end(left)).end, "tls_failed");
  const hello = await realHello("a.test");
  using slow = await Deno.connect({ hostname: "127.0.0.1", port: l7.proxy.address().port });
  await writeAll(slow, hello);
  assert.equal((await l7.proxy.end(slow)).end, "tls_timeout");
  const { listeners: [listener] } = await l7.admin.getStatus();
  assert.equal(listener?.counts.active, 0);
});

testEachEngine("L4 and L7 routes share a listener, its limit and its counts", async () => {
  using raw = new Backend();
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([
    { hostname: "a.test", backend: backend.addr },
    { hostname: "raw.test", backend: raw.addr, mode: "l4" },
  ]);
  using _passed = await sayHello(l7.proxy.address(), "raw.test");
  using _served = await raw.accept();
  {
    using client = await l7.connect("h2", "a.test");
    assert.equal((await client.ask()).status, 200);
    await l7.admin.setListenerMaxConnections(ADDR, 2);
    const { listeners: [listener] } = await l7.admin.getStatus();
    assert.equal(listener?.counts.active, 2);
    using refused = await sayHello(l7.proxy.address(), "a.test").catch(() => undefined);
    if (refused) await endSeen(refused);
    await l7.proxy.event("connection", { end: "max_connections" });
    assert.equal((await client.ask()).status, 200);
  }
  const line = await l7.proxy.event("connection", { route: "a.test", end: "closed" });
  assert.deepEqual([line["protocol"], line["requests"]], ["h2", 2]);
  using again = await l7.connect("h2", "a.test");
  assert.equal((await again.ask()).status, 200);
});

/** A backend that holds requests for `/held` until it is told. */
function holding() {
  const released = Promise.withResolvers<void>();
  const arrivals: (() => void)[] = [];
  const handler: Handler = async (request, response) => {
    if (request.url === "/held") {
      response.writeHead(200);
      response.write("begun ");
      arrivals.shift()?.();
      await released.promise;
    }
    response.end("done");
  };
  const arrival = () => new Promise<void>((resolve) => arrivals.push(resolve));
  return { handler, release: released.resolve, arrival };
}

testEachEngine("SIGTERM lets requests under way finish, and ends idle connections", async () => {
  const { handler, release, arrival } = holding();
  await using backend = await HttpBackend.start("h2c", handler);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  const running = [];
  const clients = [];
  for (const version of VERSIONS) {
    const client = await l7.connect(version, "a.test");
    clients.push(client);
    const arrived = arrival();
    running.push(client.ask({ path: "/held" }));
    await arrived;
  }
  using idle = await l7.connect("h2", "a.test");
  assert.equal((await idle.ask()).status, 200);
  const idle1 = await connectDenoTls(l7.proxy.address(), "a.test", l7.authority.cert, ["http/1.1"]);
  await writeAll(idle1, new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"));
  await readExactly(idle1, 17);
  l7.proxy.signal("SIGTERM");
  await l7.proxy.event("draining");
  while (await idle1.read(new Uint8Array(1000)) !== null); // the rest of the answer, and the end
  idle1.close();
  release();
  for (const answer of running) {
    const { status, body } = await answer;
    assert.deepEqual([status, body.toString()], [200, "begun done"]);
  }
  assert.equal((await l7.proxy.exit()).code, 0);
  assert.deepEqual(l7.proxy.log.seen.filter(({ event }) => event === "drain_timeout"), []);
  for (const client of clients) client[Symbol.dispose]();
});

testEachEngine(
  "SIGTERM: who connected a moment ago is served one request; who has none does not hold up the end",
  async () => {
    await using backend = await HttpBackend.start("h2c", (_request, response) => void response.end("ok"));
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
    const open = (alpn: string) => connectDenoTls(l7.proxy.address(), "a.test", l7.authority.cert, [alpn]);
    using first = await open("http/1.1");
    const silent1 = await open("http/1.1");
    const silent2 = await open("h2");
    using client = await RawHttp2Client.connect(l7);
    l7.proxy.signal("SIGTERM");
    await l7.proxy.event("draining");
    await writeAll(first, new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"));
    const answer = await new Response(first.readable).text();
    assert.match(answer, /^HTTP\/1\.1 200 [^]*connection: close\r\n[^]*ok\r\n0\r\n\r\n$/);
    await client.send(headers(1, pseudo()));
    assert.deepEqual([...(await client.frame(TYPES.GOAWAY)).payload], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    const ping = await client.frame(TYPES.PING);
    assert.equal(await client.outcome(1), "200");
    await client.send(frame("PING", ACK, 0, ping.payload));
    assert.deepEqual([...(await client.frame(TYPES.GOAWAY)).payload], [0, 0, 0, 1, 0, 0, 0, 0]);
    assert.equal(await client.end(), "closed");
    for (const silent of [silent1, silent2]) {
      while (await silent.read(new Uint8Array(1000)) !== null);
      silent.close();
    }
    assert.equal((await l7.proxy.exit()).code, 0);
    assert.deepEqual(l7.proxy.log.seen.filter(({ event }) => event === "drain_timeout"), []);
  },
);

testEachEngine("SIGTERM: strangers do not hold up the end, whatever hello_timeout says", async () => {
  await using backend = await HttpBackend.start("h2c", (_request, response) => void response.end("ok"));
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
    proxy: { hello_timeout: "300s", shutdown_timeout: "300s" },
  });
  const hello = Uint8Array.of(22, 3, 1, 0, 200, 1, 0, 0); // the beginning of one
  const strangers = [];
  for (const bytes of [new Uint8Array(0), hello]) {
    const { hostname, port } = l7.proxy.address();
    const conn = await Deno.connect({ hostname, port });
    await writeAll(conn, bytes);
    strangers.push(conn);
  }
  using served = await l7.connect("h2", "a.test"); // accepted behind them
  assert.equal((await served.ask()).status, 200);
  l7.proxy.signal("SIGTERM");
  assert.equal((await l7.proxy.exit()).code, 0);
  const ends = l7.proxy.log.seen.filter(({ event }) => event === "connection").map(({ end }) => end);
  assert.deepEqual(ends.filter((end) => end === "hello_timeout"), ["hello_timeout", "hello_timeout"]);
  for (const conn of strangers) conn.close();
});

testEachEngine("what does not finish within shutdown_timeout is cut", async () => {
  const { handler, arrival, release } = holding();
  await using backend = await HttpBackend.start("h2c", handler);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
    proxy: { shutdown_timeout: "200ms" },
  });
  const answers = [];
  for (const version of VERSIONS) {
    const client = await l7.connect(version, "a.test");
    const arrived = arrival();
    // node's client takes the end of an HTTP/2 connection for that of an answer
    answers.push(client.ask({ path: "/held" }).then(({ body }) => assert.equal(body.toString(), "begun "), () => {}));
    await arrived;
  }
  l7.proxy.signal("SIGTERM");
  await Promise.all(answers);
  await l7.proxy.event("drain_timeout");
  assert.equal((await l7.proxy.exit()).code, 0);
  assert.equal(l7.proxy.log.seen.filter(({ event, end }) => event === "connection" && end === "shutdown").length, 2);
  release();
});

testEachEngine("a renewed certificate serves new connections under load, a broken one changes nothing", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  const { hostname: host, port } = l7.proxy.address();
  const serial = async () => {
    const socket = connectTls({ host, port, servername: "a.test", ca: l7.authority.cert, ALPNProtocols: ["h2"] });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  let over = false;
  let requests = 0;
  const load = VERSIONS.map(async (version) => {
    using open = await l7.connect(version, "a.test");
    while (!over) {
      using client = await l7.connect(version, "a.test");
      for (const each of [open, client]) assert.equal((await each.ask()).status, 200);
      requests++;
    }
  });
  const first = await serial();
  const { tls_cert } = await l7.certificate("a.test");
  l7.proxy.signal("SIGHUP");
  await l7.proxy.event("certificate_reloaded");
  await l7.admin.setListenerMaxConnections(ADDR, 1000); // comes behind the change
  const second = await serial();
  assert.notEqual(second, first);
  Deno.writeTextFileSync(tls_cert, "broken");
  l7.proxy.signal("SIGHUP");
  await l7.proxy.log.find(({ level, event }) => level !== "info" && event.startsWith("certificate"));
  assert.equal(await serial(), second);
  over = true;
  await Promise.all(load);
  assert.ok(requests > 0);
});

testEachEngine("a thousand requests at once are answered", async () => {
  const waiting: (() => void)[] = [];
  await using backend = await HttpBackend.start("h2c", (_request, response) => {
    waiting.push(() => response.end("ok"));
    if (waiting.length === 1000) { for (const answer of waiting) answer(); }
  }, { settings: { maxConcurrentStreams: 250 } });
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  const clients = await Promise.all(Array.from({ length: 10 }, () => l7.connect("h2", "a.test")));
  const answers = clients.flatMap((client) => Array.from({ length: 100 }, () => client.ask()));
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  assert.deepEqual([statuses.length, [...new Set(statuses)]], [1000, [200]]);
  for (const client of clients) client[Symbol.dispose]();
});

testEachEngine("an idle connection ends in order, with GOAWAY in HTTP/2", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
    proxy: { idle_timeout: "300ms" },
  });
  using client = await l7.connect("h2", "a.test");
  const { stream, head } = client.begin({}, true);
  await head;
  const { session } = stream as ClientHttp2Stream;
  assert.ok(session);
  const [code] = await once(session, "goaway");
  assert.equal(code, 0);
  await l7.proxy.event("connection", { end: "idle_timeout" });
});
