import assert from "node:assert/strict";
import { stringify } from "smol-toml";
import { webSocketAccept } from "../lib/edge/http/websocket_handshake.ts";
import { ADDR } from "./harness/admin.ts";
import { authority, backendKeys, bytesOf, HttpBackend, L7, reflect, VERSIONS } from "./harness/http.ts";
import { connectTls, REFUSING } from "./harness/peers.ts";
import { type LogEvent, Proxy, testEachEngine } from "./harness/proxy.ts";
import { headers, pseudo, RawClient, RawHttp2Client } from "./harness/raw_http.ts";

/** The line of a request without the field that only tells when it was. */
function fieldsOf({ time: _, ...line }: LogEvent): Readonly<Record<string, unknown>> {
  return line;
}

testEachEngine("each request is one line that tells whose it was, what was asked and what was answered", async () => {
  await using h1 = await HttpBackend.start("h1", answerLengths);
  await using h2c = await HttpBackend.start("h2c", answerLengths);
  await using l7 = await L7.start([
    { hostname: "*.h1.test", backend: h1.addr, ...backendKeys("h1") },
    { hostname: "*.h2c.test", backend: h2c.addr },
  ]);
  for (const version of VERSIONS) {
    for (const kind of ["h1", "h2c"]) {
      using client = await l7.connect(version, `www.${kind}.test`, { authority: `www.${kind}.test:8443` });
      const id = `${version}-${kind}`;
      const { status } = await client.ask({
        method: "PUT",
        path: "/a/b?secret=c",
        headers: { "x-request-id": id, "user-agent": "test/1 (of the log)" },
        body: "12345",
      });
      assert.equal(status, 201);
      const { client: from, duration_ms, backend_ms, ...rest } = await l7.proxy.event("request", { request_id: id });
      assert.deepEqual(fieldsOf(rest), {
        level: "info",
        event: "request",
        listener: ADDR,
        route: `*.${kind}.test`,
        request_id: id,
        protocol: version === "h1" ? "http/1.1" : "h2",
        method: "PUT",
        host: `www.${kind}.test:8443`,
        path: "/a/b",
        status: 201,
        bytes_in: 5,
        bytes_out: 10,
        user_agent: "test/1 (of the log)",
      });
      assert.match(String(from), /^127\.0\.0\.1:\d+$/);
      assert.ok(Number.isInteger(duration_ms) && Number.isInteger(backend_ms));
      client[Symbol.dispose]();
      const end = await l7.proxy.event("connection", { client: from });
      assert.deepEqual([end["requests"], end["sni"]], [1, `www.${kind}.test`]);
    }
  }
});

/** Takes the body, and answers with two octets for each of its. */
async function answerLengths(...[request, response]: Parameters<typeof reflect>): Promise<void> {
  const { length } = await bytesOf(request);
  response.writeHead(201).end("x".repeat(2 * length));
}

testEachEngine(
  "a line has the outcome of a gRPC call, told behind the answer, in its head, or by the proxy",
  async () => {
    await using backend = await HttpBackend.start("h2c", (request, response) => {
      const status = request.url?.slice(1) ?? "";
      response.setHeader("content-type", "application/grpc");
      if (status === "head") return void response.writeHead(200, { "grpc-status": "12" }).end();
      response.write("\0\0\0\0\0");
      response.addTrailers({ "grpc-status": status });
      response.end();
    });
    await using l7 = await L7.start([
      { hostname: "a.test", backend: backend.addr },
      { hostname: "refused.test", backend: REFUSING },
    ]);
    const call = async (hostname: string, path: string, type = "application/grpc") => {
      using client = await l7.connect("h2", hostname);
      const id = crypto.randomUUID();
      const fields = { "content-type": type, te: "trailers", "x-request-id": id };
      await client.ask({ method: "POST", path, headers: fields, body: "\0\0\0\0\0" });
      const { status, grpc_status } = await l7.proxy.event("request", { request_id: id });
      return [status, grpc_status];
    };
    assert.deepEqual(await call("a.test", "/0"), [200, 0]);
    assert.deepEqual(await call("a.test", "/5", "application/grpc+proto"), [200, 5]);
    assert.deepEqual(await call("a.test", "/head"), [200, 12]);
    assert.deepEqual(await call("refused.test", "/x"), [200, 14]);
    assert.deepEqual(await call("a.test", "/nonsense"), [200, undefined]);
    assert.deepEqual(await call("a.test", "/5", "text/plain"), [200, undefined]);
  },
);

testEachEngine("requests that cannot be read are lines too, under the id that their answer shows", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  const broken = [
    ["GET / HTTP/1.1\r\nhost: a.test\r\nx: \x1b[31m\r\n\r\n", 400, "field_value"],
    ["GET /\x1b[31m HTTP/1.1\r\nhost: a.test\r\n\r\n", 400, undefined],
    [`GET / HTTP/1.1\r\nhost: a.test\r\nx: ${"y".repeat(70_000)}\r\n\r\n`, 431, "head_too_large"],
  ] as const;
  for (const [request, status, error] of broken) {
    using client = await RawClient.open(l7);
    await client.send(request);
    const answer = await client.readToEnd();
    const [, id] = /^HTTP\/1\.1 \d+ [^]*\r\nx-request-id: (\S+)\r\n[^]*\r\n\r\n\d+\nrequest id: \1\n$/.exec(answer) ??
      [];
    assert.ok(id !== undefined, answer);
    const line = await l7.proxy.event("request", { request_id: id });
    assert.deepEqual([line["status"], line["method"], line["host"], line["path"]], [status, "-", "-", "-"]);
    if (error !== undefined) assert.equal(line["error"], error);
  }
  using client = await RawHttp2Client.connect(l7);
  await client.send(headers(1, pseudo({ ":path": "no path" })));
  assert.equal(await client.outcome(1), "RST_STREAM PROTOCOL_ERROR");
  const line = await l7.proxy.event("request", { protocol: "h2" });
  assert.deepEqual([line["status"], line["path"], line["error"]], [400, "-", "bad_path"]);

  using body = await RawClient.open(l7);
  await body.send("POST /body HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n");
  assert.match(await body.readToEnd(), /^HTTP\/1\.1 400 /);
  assert.equal((await l7.proxy.event("request", { path: "/body" }))["status"], 400);
});

testEachEngine("a WebSocket's line has the answer that its client saw, and comes at its end", async () => {
  await using backend = await HttpBackend.start("h1", reflect);
  backend.server.on("upgrade", (request, socket) => {
    socket.on("error", () => {});
    const accept = `sec-websocket-accept: ${webSocketAccept(String(request.headers["sec-websocket-key"]))}`;
    socket.end(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n${accept}\r\n\r\nbye`);
  });
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, ...backendKeys("h1") }]);
  const key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n";
  const client = await RawClient.open(l7);
  await client.send(
    `GET /chat?token=x HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n${key}\r\n`,
  );
  await client.readUntil("bye");
  client[Symbol.dispose]();
  const line = await l7.proxy.event("request", { path: "/chat" });
  assert.deepEqual([line["method"], line["status"], line["bytes_out"]], ["GET", 101, 3]);
});

testEachEngine(
  "what a client sends is bounded in its line, and its request id is its own only where it is plain",
  async () => {
    await using backend = await HttpBackend.start("h2c", reflect);
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
    for (const version of VERSIONS) {
      using client = await l7.connect(version, "a.test");
      const path = `/${version}/${"p".repeat(5_000)}`;
      await client.ask({ path: `${path}?${"q".repeat(1_000)}`, headers: { "user-agent": "u".repeat(5_000) } });
      const line = await l7.proxy.event("request", { path: path.slice(0, 1_024) });
      assert.equal(line["user_agent"], "u".repeat(256));
      for (const id of ["i".repeat(129), 'x" status=200', "ü", ""]) {
        const agent = `${version} ${id.length}`;
        await client.ask({ headers: { "x-request-id": id, "user-agent": agent } });
        const line = await l7.proxy.event("request", { user_agent: agent });
        assert.match(String(line["request_id"]), /^[0-9a-f-]{36}$/);
      }
      const longest = `${version}-`.padEnd(128, "i");
      await client.ask({ headers: { "x-request-id": longest } });
      await l7.proxy.event("request", { request_id: longest });
    }
  },
);

testEachEngine("as text, a line stays one line, whatever a client sends", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const { cert, key } = await (await authority()).issue({ hostnames: ["a.test"] });
  await Deno.writeTextFile(`${folder}/a.pem`, cert);
  await Deno.writeTextFile(`${folder}/a.key`, key);
  const route = { hostname: "a.test", backend: backend.addr, mode: "l7", tls_cert: "a.pem", tls_key: "a.key" };
  const config = { database: { path: "mc-proxy.db" }, listeners: [{ addr: ADDR, routes: [route] }] };
  await Deno.writeTextFile(`${folder}/mc-proxy.toml`, stringify(config));
  await using proxy = Proxy.run(["server", "-c", `${folder}/mc-proxy.toml`], { folder });
  const text = async (part: string) =>
    String((await proxy.log.find(({ line }) => String(line).includes(part)))["line"]);
  const port = Number(/ addr=127\.0\.0\.1:(\d+) /.exec(await text(" info listening "))?.[1]);
  await text(" info ready ");
  const { cert: ca } = await authority();
  using client = await connectTls({ transport: "tcp", hostname: "127.0.0.1", port }, "a.test", ca, ["http/1.1"]);
  const agent = '\x9b31m\xa0" status=999 request_id=forged\t\\';
  const head = `GET /"a=b\\%0a%1b[31m HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\nuser-agent: ${agent}\r\n\r\n`;
  await client.write(Uint8Array.from(head, (character) => character.charCodeAt(0)));
  await new Response(client.readable).text();
  const line = await text(" info request ");
  assert.match(
    line,
    / path="\/\\"a=b\\\\%0a%1b\[31m" status=200 .* user_agent="\\u009b31m\\u00a0\\" status=999 request_id=forged\\t\\\\"$/,
  );
  assert.doesNotMatch(line, /[^\x20-\x7e]/);
  proxy.signal("SIGTERM");
  await proxy.exit();
  for (const { line } of proxy.log.seen) assert.match(String(line), /^\d{4}-\d\d-\d\dT[\d:.]+Z (?:info|warn) [a-z_]+ /);
});

testEachEngine("without access log there are lines of connections, and none of requests", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
    log: { format: "json", access: false },
  });
  for (const version of VERSIONS) {
    using client = await l7.connect(version, "a.test");
    assert.equal((await client.ask()).status, 200);
  }
  await l7.proxy.log.findAll(2, ({ event }) => event === "connection");
  l7.proxy.signal("SIGTERM");
  await l7.proxy.exit();
  assert.ok(l7.proxy.log.seen.every(({ event }) => event !== "request"));
});
