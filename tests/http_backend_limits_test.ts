/** What a route lets a backend take: time, connections, and methods. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Session } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { backendKeys, bytesOf, HttpBackend, L7, VERSIONS } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { RecordingBackend } from "./harness/raw_backend.ts";
import { END_HEADERS, END_STREAM, frame, headers, pseudo, RawHttp2Client } from "./harness/raw_http.ts";

const NOTHING = new Uint8Array(0);

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

const PROXIED = { proxy_protocol: true };

/** What the connections of a client begin with, on a {@linkcode PROXIED} listener: one of an address of its own. */
function as(client: number): { readonly prefix: Uint8Array } {
  return { prefix: new TextEncoder().encode(`PROXY TCP4 192.0.2.${client} 192.0.2.100 1024 443\r\n`) };
}

/** RFC 6455 §4.2.2. */
function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

testEachEngine("a backend that does not answer within backend_timeout is a 504, and others are served on", async () => {
  await using backend = new RecordingBackend("h2c");
  const ok = (stream: number) => frame("HEADERS", END_STREAM | END_HEADERS, stream, Uint8Array.of(0x88));
  backend.answer = (stream) => ({ octets: stream === 1 ? NOTHING : ok(stream) });
  const route = { hostname: "a.test", backend: backend.addr, backend_timeout: "300ms" };
  await using l7 = await L7.start([route], { proxy: { workers: 1 } });
  using client = await RawHttp2Client.connect(l7);
  await client.send(headers(1, [...pseudo(), ["x-request-id", "mute"]]));
  assert.match(await client.outcome(1), /^504/);
  const { status, error } = await l7.proxy.event("request", { request_id: "mute" });
  assert.equal(status, 504);
  assert.equal(error, "no answer came within backend_timeout");
  await client.send(headers(3, pseudo()));
  assert.equal(await client.outcome(3), "200");
  assert.equal(backend.heard.length, 1, "the connection to the backend goes on");
});

testEachEngine("TRACE reaches the backend of a route that allows it, counted down", async () => {
  await using backend = new RecordingBackend("h2c");
  const ok = (stream: number) => frame("HEADERS", END_STREAM | END_HEADERS, stream, Uint8Array.of(0x88));
  backend.answer = (stream) => ({ octets: ok(stream) });
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, allow_trace: true }]);
  using client = await RawHttp2Client.connect(l7);
  const trace = pseudo().map(([name, value]) => [name, name === ":method" ? "TRACE" : value] as const);
  await client.send(headers(1, [...trace, ["max-forwards", "1"]]));
  assert.equal(await client.outcome(1), "200");
  await client.send(headers(3, [...trace, ["max-forwards", "0"]]));
  assert.match(await client.outcome(3), /^405/);
  assert.equal(backend.begun, 1);
});

const BUSY = { "x-wait": "1" };

/** Answers at once, or never where the request says so; and tells how many it has that it never answers. */
async function choosy(kind: "h1" | "h2c") {
  const waiting = new Set<string>();
  let told: (() => void) | undefined;
  const backend = await HttpBackend.start(kind, (request, response) => {
    if (request.headers["x-wait"] === undefined) return void response.end("answered");
    waiting.add(String(request.headers["x-request-id"]));
    told?.();
  });
  return {
    backend,
    async busy(count: number): Promise<void> {
      while (waiting.size < count) await new Promise<void>((resolve) => told = resolve);
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

testEachEngine("one client cannot take all of a backend: the others are served", async () => {
  for (const kind of ["h1", "h2c"] as const) {
    await using test = await choosy(kind);
    if (kind === "h2c") {
      test.backend.server.on("session", (session: ServerHttp2Session) => session.settings({ maxConcurrentStreams: 1 }));
    }
    const route = { hostname: "a.test", backend: test.backend.addr, ...backendKeys(kind), backend_max_connections: 4 };
    await using l7 = await L7.start([route], { proxy: { workers: 1, connect_timeout: "300ms" } }, PROXIED);
    using greedy = await l7.connect("h2", "a.test", as(2));
    using other = await l7.connect("h2", "a.test", as(3));
    for (let i = 0; i < 2; i++) greedy.begin({ headers: BUSY }).stream.end();
    await test.busy(2);
    const third = await greedy.ask();
    assert.equal(third.status, 503, `${kind}: its share is taken`);
    assert.equal(third.headers["retry-after"], "1");
    for (let i = 0; i < 2; i++) other.begin({ headers: BUSY }).stream.end();
    await test.busy(4);
    greedy[Symbol.dispose]();
    using again = await l7.connect("h2", "a.test", as(2));
    assert.equal((await again.ask()).status, 200, `${kind}: what it gave up it has again`);
  }
});

testEachEngine("a request that waits for its client's share is sent as soon as it has one", async () => {
  const held = Promise.withResolvers<ServerResponse>();
  await using backend = await HttpBackend.start("h1", (request, response) => {
    if (request.url === "/held") held.resolve(response);
    else response.end("answered");
  });
  const route = { hostname: "a.test", backend: backend.addr, ...backendKeys("h1"), backend_max_connections: 1 };
  await using l7 = await L7.start([route], { proxy: { workers: 1, connect_timeout: "60s" } });
  using client = await l7.connect("h2", "a.test");
  const first = client.begin({ path: "/held" });
  first.stream.end();
  const response = await held.promise;
  const second = client.ask();
  response.end("held");
  assert.equal((await bytesOf((await first.head).body)).toString(), "held");
  assert.equal((await second).body.toString(), "answered");
});

testEachEngine("WebSockets do not use up what requests need, and have an end of their own", async () => {
  await using test = await choosy("h1");
  test.backend.server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
    socket.on("error", () => {});
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
        `sec-websocket-accept: ${acceptOf(String(request.headers["sec-websocket-key"]))}\r\n\r\n`,
    );
  });
  const route = { hostname: "a.test", backend: test.backend.addr, ...backendKeys("h1"), backend_max_connections: 2 };
  await using l7 = await L7.start([route], { proxy: { workers: 1, connect_timeout: "300ms" } }, PROXIED);
  // Each of a client of its own, so that it is not its share that ends it.
  const { hostname: host, port } = l7.proxy.address();
  const open = async (i: number) => {
    const tcp = connectTcp({ host, port });
    tcp.write(as(i).prefix);
    const socket = connectTls({ socket: tcp, servername: "a.test", ca: l7.authority.cert });
    socket.on("error", () => {});
    socket.write(
      "GET /echo HTTP/1.1\r\nhost: a.test\r\nconnection: Upgrade\r\nupgrade: websocket\r\n" +
        `sec-websocket-version: 13\r\nsec-websocket-key: ${KEY}\r\n\r\n`,
    );
    const [bytes] = await once(socket, "data");
    return { socket, status: String(bytes).slice(9, 12) };
  };
  const sockets = [];
  for (let i = 1; i <= 4; i++) {
    using client = await l7.connect("h2", "a.test", as(100 + i));
    assert.equal((await client.ask()).status, 200, `beside ${i - 1} WebSockets`);
    const { socket, status } = await open(i);
    sockets.push(socket);
    assert.equal(status, "101");
  }
  const { socket, status } = await open(5);
  sockets.push(socket);
  assert.equal(status, "503", "as many again, and no more");
  for (const socket of sockets) socket.destroy();
});

testEachEngine("clients whose address the backend is told share its connections, and idle ones give way", async () => {
  await using test = await choosy("h2c");
  await using origin = await L7.start([{ hostname: "a.test", backend: test.backend.addr }], {}, {
    proxy_protocol: true,
  });
  const route = {
    hostname: "a.test",
    backend: `127.0.0.1:${origin.proxy.address().port}`,
    backend_tls: true,
    backend_protocol: "http1",
    backend_server_name: "a.test",
    send_proxy_protocol: true,
    backend_max_connections: 1,
  };
  const ca = Deno.makeTempFileSync({ suffix: ".pem" });
  Deno.writeTextFileSync(ca, origin.authority.cert);
  await using l7 = await L7.start(
    [{ ...route, backend_ca: ca }],
    { proxy: { workers: 1, connect_timeout: "2s" } },
    PROXIED,
  );
  using one = await l7.connect("h2", "a.test", as(2));
  using two = await l7.connect("h2", "a.test", as(3));
  for (let i = 0; i < 3; i++) {
    for (const client of [one, two]) assert.equal((await client.ask()).status, 200, `round ${i}`);
  }
  one.begin({ headers: BUSY }).stream.end();
  await test.busy(1);
  assert.equal((await two.ask()).status, 503, "all of them are taken up");
  one[Symbol.dispose]();
  assert.equal((await two.ask()).status, 200);
  Deno.removeSync(ca);
});

testEachEngine("backend_timeout is of the answer's head alone, over whichever versions", async () => {
  const parts = ["one ", "two ", "three"];
  for (const kind of ["h1", "h2c"] as const) {
    let next = Promise.withResolvers<void>();
    await using backend = await HttpBackend.start(kind, async (request, response) => {
      if (request.url === "/mute") return;
      response.flushHeaders();
      for (const part of parts) { // each comes only once the time-out of another request has run out
        await next.promise;
        next = Promise.withResolvers();
        response.write(part);
      }
      response.end();
    });
    const route = { hostname: "a.test", backend: backend.addr, ...backendKeys(kind), backend_timeout: "150ms" };
    await using l7 = await L7.start([route], { proxy: { workers: 1 } });
    for (const version of VERSIONS) {
      using slow = await l7.connect(version, "a.test");
      using client = await l7.connect(version, "a.test");
      const { stream, head } = slow.begin({ path: "/slow" });
      stream.end();
      const { body } = await head;
      const whole = bytesOf(body);
      for (const _ of parts) {
        const answer = await client.ask({ path: "/mute", method: "POST", body: "x" });
        assert.equal(answer.status, 504, `${version} to ${kind}`);
        next.resolve();
      }
      assert.equal((await whole).toString(), parts.join(""), `${version} to ${kind}`);
    }
  }
});
