import assert from "node:assert/strict";
import { once } from "node:events";
import type { Http2ServerResponse, Http2Session } from "node:http2";
import { encodeProxyHeaderV2, parseProxyHeader } from "../lib/wire/proxy_protocol.ts";
import { parseEndpoint } from "../lib/wire/socket_address.ts";
import { formatEndpoint } from "../lib/wire/socket_address.ts";
import { ADDR } from "./harness/admin.ts";
import {
  authority,
  backendKeys,
  type BackendKind,
  type Handler,
  HttpBackend,
  L7,
  reflect,
  valuesOf,
  VERSIONS,
} from "./harness/http.ts";
import { Backend, readExactly, writeAll } from "./harness/peers.ts";
import { testEachEngine } from "./harness/proxy.ts";

const KINDS = ["h1", "h2c"] as const;

function saying(text: string): Handler {
  return (_request, response) => void response.end(text);
}

async function startBehind(kind: BackendKind, handler: Handler) {
  const backend = await HttpBackend.start(kind, handler);
  const l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, ...backendKeys(kind) }], {
    proxy: { workers: 1 }, // one pool, so that a connection is surely used again
  });
  return {
    backend,
    l7,
    async [Symbol.asyncDispose]() {
      await l7[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

testEachEngine("connections to a backend are kept and shared", async () => {
  for (const kind of KINDS) {
    await using test = await startBehind(kind, saying("kept"));
    for (const version of VERSIONS) {
      for (let i = 0; i < 3; i++) {
        using client = await test.l7.connect(version, "a.test");
        for (let j = 0; j < 3; j++) assert.equal((await client.ask()).body.toString(), "kept");
      }
    }
    assert.equal(test.backend.connections, 1);
  }
});

testEachEngine("a backend that was restarted between two requests loses none", async () => {
  for (const kind of KINDS) {
    await using test = await startBehind(kind, saying("before"));
    using client = await test.l7.connect("h2", "a.test");
    const { port } = test.backend;
    let backend = test.backend;
    for (let i = 0; i < 10; i++) {
      assert.equal((await client.ask()).status, 200);
      await backend.stop();
      backend = await HttpBackend.start(kind, saying("after"), { port });
      assert.equal((await client.ask()).body.toString(), "after", `${kind}, restart ${i}`);
    }
    await backend.stop();
    assert.equal((await client.ask()).status, 502);
    await using _again = await HttpBackend.start(kind, saying("again"), { port });
    assert.equal((await client.ask()).body.toString(), "again");
  }
});

testEachEngine("a connection that the backend has closed is not used again", async () => {
  for (const kind of KINDS) {
    await using test = await startBehind(kind, reflect);
    using client = await test.l7.connect("h2", "a.test");
    for (let i = 0; i < 5; i++) {
      const { status } = await client.ask({ method: "POST", body: "no second try for this one" });
      assert.equal(status, 200);
      const [socket] = test.backend.sockets;
      assert.ok(socket);
      const closed = once(socket, "close"); // once the proxy has closed it in its turn
      socket.end();
      socket.resume();
      await closed;
    }
  }
});

/** Answers the first request of each connection, and closes it when another comes. */
async function closeOnSecond(backend: Backend): Promise<void> {
  const buffer = new Uint8Array(10_000);
  try {
    for (;;) {
      const conn = await backend.accept();
      void (async () => {
        await conn.read(buffer);
        await writeAll(conn, new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
        await conn.read(buffer).finally(() => conn.close());
      })().catch(() => {});
    }
  } catch {
    // The test is over.
  }
}

testEachEngine("what met a dying connection is sent once more where that is safe", async () => {
  using backend = new Backend();
  void closeOnSecond(backend);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, backend_protocol: "http1" }], {
    proxy: { workers: 1 },
  });
  for (const version of VERSIONS) {
    using client = await l7.connect(version, "a.test");
    assert.equal((await client.ask()).status, 200);
    for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]) {
      assert.equal((await client.ask({ method })).status, 200, method);
    }
    assert.equal((await client.ask({ method: "POST" })).status, 502);
    assert.equal((await client.ask()).status, 200);
    assert.equal((await client.ask({ method: "PUT", body: "is not kept for a second try" })).status, 502);
    assert.equal((await client.ask()).status, 200);
    await client.ask({ method: "POST" }); // for the next client to begin with a new connection
  }
});

testEachEngine("a request that the backend refused to look at is sent again", async () => {
  let refusals = 0;
  await using test = await startBehind("h2c", (_request, response) => {
    if (refusals-- > 0) (response as unknown as Http2ServerResponse).stream.close(7); // REFUSED_STREAM
    else response.end("ok");
  });
  for (const version of VERSIONS) {
    using client = await test.l7.connect(version, "a.test");
    for (const count of [0, 1, 2, 4]) {
      refusals = count;
      assert.equal((await client.ask({ method: "POST" })).status, 200);
    }
  }
});

testEachEngine("a backend that refuses every request is a bad gateway after connect_timeout", async () => {
  await using backend = await HttpBackend.start("h2c", (_request, response) => {
    (response as unknown as Http2ServerResponse).stream.close(7); // REFUSED_STREAM
  });
  const config = { proxy: { connect_timeout: "200ms" } };
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], config);
  using client = await l7.connect("h2", "a.test");
  assert.equal((await client.ask({ method: "POST" })).status, 502);
  assert.ok(backend.requests > 1);
});

testEachEngine("no request is lost to a backend that takes few at once", async () => {
  for (const maxConcurrentStreams of [1, 3, 10]) {
    await using backend = await HttpBackend.start("h2c", saying("ok"), { settings: { maxConcurrentStreams } });
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], { proxy: { workers: 1 } });
    const clients = await Promise.all(Array.from({ length: 4 }, () => l7.connect("h2", "a.test")));
    for (const body of [undefined, "x".repeat(1_000)]) {
      const method = body === undefined ? "GET" : "POST";
      const asked = clients.flatMap((client) =>
        Array.from({ length: 100 }, () => client.ask({ method, ...body && { body } }))
      );
      const statuses = new Set((await Promise.all(asked)).map(({ status }) => status));
      assert.deepEqual([...statuses], [200], `${maxConcurrentStreams} at once`);
    }
    for (const client of clients) client[Symbol.dispose]();
  }
});

testEachEngine("GOAWAY lets requests under way finish, and the next one takes another connection", async () => {
  const held = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  await using test = await startBehind("h2c", async (request, response) => {
    if (request.url === "/held") {
      arrived.resolve();
      await held.promise;
    }
    response.end(request.url);
  });
  const sessions: Http2Session[] = [];
  test.backend.server.on("session", (session: Http2Session) => sessions.push(session));
  using client = await test.l7.connect("h2", "a.test");
  const slow = client.ask({ path: "/held" });
  await arrived.promise;
  for (let i = 1; i <= 5; i++) {
    const session = sessions.at(-1);
    session?.close();
    assert.equal((await client.ask({ path: "/next" })).status, 200, `after GOAWAY ${i}`);
  }
  held.resolve();
  assert.equal((await slow).body.toString(), "/held");
});

testEachEngine("while a backend restarts under load, requests fail only while it is away", async () => {
  for (const kind of KINDS) {
    await using test = await startBehind(kind, reflect);
    const { l7, backend } = test;
    const { port } = backend;
    using client = await l7.connect("h2", "a.test");
    const answers = Promise.all(Array.from({ length: 100 }, () => client.ask()));
    await client.ask();
    await backend.stop();
    await using _again = await HttpBackend.start(kind, reflect, { port });
    const after = await Promise.all(Array.from({ length: 100 }, () => client.ask()));
    assert.deepEqual([...new Set(after.map(({ status }) => status))], [200]);
    for (const { status } of await answers) assert.ok(status === 200 || status === 502, String(status));
  }
});

testEachEngine("a replaced route takes effect for the next request, and loses none", async () => {
  for (const kind of KINDS) {
    const held = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    await using test = await startBehind(kind, async (request, response) => {
      if (request.url === "/held") {
        arrived.resolve();
        await held.promise;
      }
      response.end("old");
    });
    const { l7, backend } = test;
    await using second = await HttpBackend.start(kind, saying("new"));
    using client = await l7.connect("h2", "a.test");
    const slow = client.ask({ path: "/held" });
    await arrived.promise;
    let over = false;
    const seen = new Set<string>();
    const load = Array.from({ length: 20 }, async () => {
      while (!over) {
        const { status, body } = await client.ask();
        assert.equal(status, 200);
        seen.add(body.toString());
      }
    });
    const { tls_cert: tlsCert, tls_key: tlsKey } = await l7.certificate("a.test");
    for (
      const { addr, text } of [{ addr: second.addr, text: "new" }, { addr: backend.addr, text: "old" }, {
        addr: second.addr,
        text: "new",
      }]
    ) {
      const backendProtocol = kind === "h1" ? "http1" : "";
      await l7.admin.addRoute(ADDR, {
        hostname: "a.test",
        backend: addr,
        mode: "l7",
        tlsCert,
        tlsKey,
        backendProtocol,
      });
      assert.equal((await client.ask()).body.toString(), text);
    }
    over = true;
    await Promise.all(load);
    assert.deepEqual([...seen].toSorted(), ["new", "old"]);
    held.resolve();
    assert.equal((await slow).body.toString(), "old");
  }
});

function endpoint(text: string) {
  const endpoint = parseEndpoint(text);
  assert.ok(endpoint);
  return endpoint;
}

function header(source: string): Uint8Array {
  return encodeProxyHeaderV2({
    source: endpoint(source),
    destination: endpoint("198.51.100.1:443"),
    authority: undefined,
  });
}

/** Serves HTTP/1.1 by hand behind PROXY headers: tells whose connection it is, and which number it has. */
async function serveBehindHeaders(backend: Backend): Promise<void> {
  try {
    for (let number = 1;; number++) void tellWhose(await backend.accept(), number).catch(() => {});
  } catch {
    // The test is over.
  }
}

async function tellWhose(conn: Deno.TcpConn, number: number): Promise<void> {
  let bytes = new Uint8Array(0);
  let parsed = parseProxyHeader(bytes);
  while (parsed.kind === "need_more") {
    bytes = new Uint8Array([...bytes, ...await readExactly(conn, parsed.needed - bytes.length)]);
    parsed = parseProxyHeader(bytes);
  }
  const whose = parsed.kind === "header" && parsed.source ? formatEndpoint(parsed.source) : parsed.kind;
  const body = `${whose} ${number}`;
  const buffer = new Uint8Array(10_000);
  for (;;) {
    if (await conn.read(buffer) === null) return conn.close();
    await writeAll(conn, new TextEncoder().encode(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`));
  }
}

testEachEngine("a backend that is told the client's address has connections of their own for each client", async () => {
  using backend = new Backend();
  void serveBehindHeaders(backend);
  await using l7 = await L7.start(
    [{ hostname: "a.test", backend: backend.addr, backend_protocol: "http1", send_proxy_protocol: true }],
    { proxy: { workers: 1 } },
    { proxy_protocol: true },
  );
  const numbers = new Map<string, string>();
  for (const version of VERSIONS) {
    const sources = ["192.0.2.7:1111", "192.0.2.8:2222", "192.0.2.7:3333", "[2001:db8::1]:4444"];
    const clients = await Promise.all(
      sources.map((source) => l7.connect(version, "a.test", { prefix: header(source) })),
    );
    for (let i = 0; i < 3; i++) {
      for (const [j, client] of clients.entries()) {
        const [whose, number] = (await client.ask()).body.toString().split(" ");
        assert.equal(whose, sources[j]);
        const key = `${version} ${whose}`;
        assert.equal(number, numbers.get(key) ?? number, "the client's connection was not kept");
        numbers.set(key, String(number));
      }
    }
    for (const client of clients) client[Symbol.dispose]();
  }
  assert.equal(new Set(numbers.values()).size, 8);
});

testEachEngine("the real client's address survives a chain of two proxies", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-chain-" });
  const ca = `${folder}/ca.pem`;
  Deno.writeTextFileSync(ca, (await authority()).cert);
  await using origin = await L7.start([{ hostname: "a.test", backend: backend.addr }], {}, { proxy_protocol: true });
  await using edge = await L7.start(
    [{
      hostname: "a.test",
      backend: `127.0.0.1:${origin.proxy.address().port}`,
      backend_tls: true,
      backend_ca: ca,
      backend_server_name: "a.test",
      send_proxy_protocol: true,
    }],
    {},
    { proxy_protocol: true },
  );
  for (const version of VERSIONS) {
    using client = await edge.connect(version, "a.test", { prefix: header("192.0.2.7:1234") });
    const answer = await client.ask({ method: "POST", body: "x", headers: { "x-forwarded-for": "203.0.113.9" } });
    assert.equal(answer.status, 200, answer.body.toString());
    const seen = JSON.parse(answer.body.toString());
    assert.deepEqual(valuesOf(seen, "x-real-ip"), ["192.0.2.7"]);
    assert.deepEqual(valuesOf(seen, "x-forwarded-for"), ["203.0.113.9, 192.0.2.7, 192.0.2.7"]);
    assert.deepEqual([seen.body, seen.authority], ["x", "a.test"]);
    const [id] = valuesOf(seen, "x-request-id");
    for (const { proxy } of [edge, origin]) {
      assert.equal((await proxy.event("request", { request_id: id })).client, "192.0.2.7:1234");
    }
  }
  await Deno.remove(folder, { recursive: true });
});
