import assert from "node:assert/strict";
import { ADDR } from "./harness/admin.ts";
import { type Answer, backendKeys, bytesOf, HttpBackend, L7, reflect, valuesOf, VERSIONS } from "./harness/http.ts";
import { Backend, REFUSING } from "./harness/peers.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { RecordingBackend } from "./harness/raw_backend.ts";
import { END_HEADERS, headers, pseudo, RawHttp2Client } from "./harness/raw_http.ts";

/** A page of the proxy's own; the request's line in the log tells the rest. */
async function assertPage(l7: L7, answer: Answer, status: number, error: RegExp): Promise<void> {
  assert.equal(answer.status, status, answer.body.toString());
  const id = String(answer.headers["x-request-id"]);
  assert.match(answer.body.toString(), new RegExp(`^${status} [A-Z][A-Za-z ]+\nrequest id: ${id}\n$`));
  assert.equal(answer.headers["content-type"], "text/plain; charset=utf-8");
  assert.equal(answer.headers["cache-control"], "no-store");
  const line = await l7.proxy.event("request", { request_id: id });
  assert.equal(line["status"], status);
  assert.match(String(line["error"]), error);
}

testEachEngine("policies refuse in order, and from the next request on where they are added meanwhile", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  const policies = [{ type: "block_user_agent", value: "BadBot" }, { type: "require_header", value: "X-Key" }];
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, l7_policies: policies }]);
  for (const version of VERSIONS) {
    using client = await l7.connect(version, "a.test");
    const bad = { "user-agent": "Mozilla BadBot/1", "x-key": "1" };
    await assertPage(l7, await client.ask({ headers: bad }), 403, /^policy block_user_agent BadBot$/);
    await assertPage(
      l7,
      await client.ask({ headers: { "user-agent": "curl" } }),
      403,
      /^policy require_header X-Key$/i,
    );
    const good = { "user-agent": "curl", "x-key": "" };
    assert.equal((await client.ask({ headers: good })).status, 200);

    const added = { type: "block_user_agent", value: "curl" } as const;
    await l7.admin.addL7Policy(ADDR, "a.test", added);
    await assertPage(l7, await client.ask({ headers: good }), 403, /^policy block_user_agent curl$/);
    await l7.admin.removeL7Policy(ADDR, "a.test", added);
    assert.equal((await client.ask({ headers: good })).status, 200);
  }
  const [listener] = (await l7.admin.getStatus()).listeners;
  assert.equal(listener?.counts.accepted, VERSIONS.length, "all requests of a client came over one connection");
});

testEachEngine("no spelling and no second User-Agent gets round a policy", async () => {
  await using backend = await HttpBackend.start("h1", reflect);
  const policies = [
    { type: "block_user_agent", value: "BadBot" },
    { type: "block_user_agent_any_case", value: "scanner" },
    { type: "require_header", value: "X-Key" },
  ];
  const route = { hostname: "a.test", backend: backend.addr, ...backendKeys("h1"), l7_policies: policies };
  await using l7 = await L7.start([route]);
  for (const version of VERSIONS) {
    using client = await l7.connect(version, "a.test");
    for (const agent of ["scanner/1", "SCANNER", "a Scanner"]) {
      const answer = await client.ask({ headers: { "user-agent": agent, "x-key": "1" } });
      await assertPage(l7, answer, 403, /^policy block_user_agent_any_case scanner$/);
    }
    assert.equal((await client.ask({ headers: { "user-agent": "badbot", "x-key": "1" } })).status, 200);
  }
  using client = await l7.connect("h1", "a.test");
  const bad = { "user-agent": "BadBot", "x-key": "1" };
  for (
    const headers of [
      { ...bad, connection: "keep-alive, User-Agent" },
      { ...bad, "user-agent": ["curl", "BadBot"] },
      { ...bad, "user-agent": ["BadBot", "curl"], connection: "user-agent, keep-alive" },
    ]
  ) {
    await assertPage(l7, await client.ask({ headers }), 403, /^policy block_user_agent BadBot$/);
  }
  const taken = { "user-agent": "curl", "x-key": "1", connection: "keep-alive, x-key" };
  await assertPage(l7, await client.ask({ headers: taken }), 403, /^policy require_header X-Key$/i);
});

testEachEngine("HTTP/2: a second User-Agent, in whatever order and case, gets round no policy", async () => {
  await using backend = new RecordingBackend("h2c");
  const policies = [
    { type: "block_user_agent", value: "BadBot" },
    { type: "block_user_agent_any_case", value: "scanner" },
  ];
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr, l7_policies: policies }]);
  using client = await RawHttp2Client.connect(l7);
  const cases: readonly (readonly [agents: readonly string[], policy: string | undefined])[] = [
    [["curl", "BadBot/1"], "block_user_agent BadBot"],
    [["BadBot/1", "curl"], "block_user_agent BadBot"],
    [["", "curl", "a BadBot"], "block_user_agent BadBot"],
    [["curl", "SCANNER"], "block_user_agent_any_case scanner"],
    [["Scanner", "curl"], "block_user_agent_any_case scanner"],
    [["curl", "badbot"], undefined],
    [["Bad", "Bot"], undefined], // two fields, of which neither has the value
    [[], undefined],
  ];
  for (const [i, [agents, policy]] of cases.entries()) {
    const id = `case-${i}`;
    const fields = agents.map((agent) => ["user-agent", agent] as const);
    await client.send(headers(1 + 2 * i, [...pseudo(), ["x-request-id", id], ...fields]));
    assert.equal(await client.outcome(1 + 2 * i), policy === undefined ? "200" : "403", agents.join(" | "));
    const { error } = await l7.proxy.event("request", { request_id: id });
    assert.equal(error, policy && `policy ${policy}`);
  }
  assert.equal(backend.begun, 3, "what a policy refuses does not reach the backend");
});

testEachEngine("an authority of another route, and one whose route is gone, is misdirected", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([
    { hostname: "a.test", backend: backend.addr },
    { hostname: "b.test", backend: backend.addr },
    { hostname: "*.wild.test", backend: backend.addr },
    { hostname: "own.wild.test", backend: backend.addr, mode: "l4" },
  ]);
  const { tls_cert, tls_key } = await l7.certificate("a.test");
  for (const version of VERSIONS) {
    using client = await l7.connect(version, "a.test");
    for (const authority of ["b.test", "c.test", "a.test.evil", "127.0.0.1"]) {
      await assertPage(l7, await client.ask({ authority }), 421, /authority/);
    }
    for (const authority of ["a.test", "A.TEST", "a.test:8443", "a.test."]) {
      assert.equal((await client.ask({ authority })).status, 200, authority);
    }
    await l7.admin.removeRoute(ADDR, "a.test");
    await assertPage(l7, await client.ask(), 421, /authority/);
    await l7.admin.addRoute(ADDR, {
      hostname: "a.test",
      backend: backend.addr,
      mode: "l7",
      tlsCert: tls_cert,
      tlsKey: tls_key,
    });
    assert.equal((await client.ask()).status, 200);

    using wild = await l7.connect(version, "x.wild.test", { authority: "y.wild.test" });
    assert.equal((await wild.ask()).status, 200);
    assert.equal((await wild.ask({ authority: "own.wild.test" })).status, 421);
  }
});

testEachEngine("a backend that cannot be reached is a bad gateway", async () => {
  using silent = new Backend(); // speaks no TLS, nor HTTP
  void closeAll(silent);
  await using h1 = await HttpBackend.start("h1", reflect);
  await using l7 = await L7.start([
    { hostname: "refused.test", backend: REFUSING },
    { hostname: "refused-ca.test", backend: REFUSING, backend_tls: true },
    { hostname: "unresolved.test", backend: "nowhere.invalid:80" },
    { hostname: "closed.test", backend: silent.addr },
    { hostname: "closed1.test", backend: silent.addr, backend_protocol: "http1" },
    { hostname: "tls.test", backend: silent.addr, backend_tls: true },
    { hostname: "h1.test", backend: h1.addr },
  ]);
  const cases: [string, RegExp][] = [
    ["refused", /^refused: the backend refuses connections$/],
    ["refused-ca", /^refused: the backend refuses connections$/],
    ["unresolved", /^unresolved: the backend's name has no address$/],
    ["closed", /closed/],
    ["closed1", /closed/],
    ["tls", /^(tls|unreachable): /],
    ["h1", /the backend speaks HTTP\/1.1; set backend_protocol = "http1"$/],
  ];
  for (const version of VERSIONS) {
    for (const [name, error] of cases) {
      using client = await l7.connect(version, `${name}.test`);
      await assertPage(l7, await client.ask(), 502, error);
      await assertPage(l7, await client.ask({ method: "POST", body: "x" }), 502, error);
      const head = await client.ask({ method: "HEAD" });
      assert.deepEqual([head.status, head.body.length], [502, 0]);
    }
  }
});

async function closeAll(backend: Backend): Promise<void> {
  try {
    for (;;) {
      const conn = await backend.accept();
      await conn.read(new Uint8Array(1000));
      conn.close();
    }
  } catch {
    // The test is over.
  }
}

testEachEngine("a backend that says nothing is a gateway time-out", async () => {
  await using mute = await HttpBackend.start("h2c", () => {});
  await using mute1 = await HttpBackend.start("h1", () => {});
  using noTls = new Backend();
  await using l7 = await L7.start([
    { hostname: "h2.test", backend: mute.addr },
    { hostname: "h1.test", backend: mute1.addr, backend_protocol: "http1" },
    { hostname: "tls.test", backend: noTls.addr, backend_tls: true },
  ], {
    proxy: { idle_timeout: "200ms", connect_timeout: "200ms" },
  });
  const cases = VERSIONS.flatMap((version) => ["h2", "h1", "tls"].map((name) => ({ version, name })));
  await Promise.all(cases.map(async ({ version, name }) => {
    using client = await l7.connect(version, `${name}.test`);
    const error = name === "tls" ? /^timeout: |nothing has moved/ : /nothing has moved/; // whichever comes first
    await assertPage(l7, await client.ask(), 504, error);
    await assertPage(l7, await client.ask({ method: "POST", body: "x" }), 504, error);
  }));
});

testEachEngine("a client that does not send its body is timed out", async () => {
  const gone = Promise.withResolvers<void>();
  await using backend = await HttpBackend.start("h2c", (request) => {
    request.on("aborted", gone.resolve);
  });
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
    proxy: { idle_timeout: "200ms" },
  });
  for (const version of VERSIONS) {
    using client = await l7.connect(version, "a.test");
    const { stream, head } = client.begin({ method: "POST", headers: { "content-length": "10" } });
    stream.write("half");
    const { status, headers, body } = await head;
    await assertPage(
      l7,
      { status, headers, body: await bytesOf(body), trailers: {}, interim: [] },
      408,
      /nothing has moved/,
    );
    await gone.promise;
  }
});

testEachEngine("requests beyond what a backend's connections take are told to come again", async () => {
  let waiting = 0;
  const full = Promise.withResolvers<void>();
  await using backend = await HttpBackend.start("h1", () => {
    if (++waiting === 8) full.resolve();
  });
  const route = { backend: backend.addr, backend_protocol: "http1", backend_max_connections: 8 };
  await using l7 = await L7.start([{ hostname: "a.test", ...route }], {
    proxy: { workers: 1, connect_timeout: "2s" },
  }, { proxy_protocol: true });
  const from = (client: number) => ({
    prefix: new TextEncoder().encode(`PROXY TCP4 192.0.2.${client} 192.0.2.100 1024 443\r\n`),
  });
  using one = await l7.connect("h2", "a.test", from(2));
  using two = await l7.connect("h2", "a.test", from(3));
  using three = await l7.connect("h2", "a.test", from(4));
  for (let i = 0; i < 4; i++) {
    one.begin().stream.end();
    two.begin().stream.end();
  }
  await full.promise;
  const answer = await three.ask();
  await assertPage(l7, answer, 503, /no connection to the backend is free/);
  assert.equal(answer.headers["retry-after"], "1");
});

testEachEngine("a gRPC client is told in its own form", async () => {
  await using l7 = await L7.start([{
    hostname: "a.test",
    backend: REFUSING,
    l7_policies: [{ type: "block_user_agent", value: "BadBot" }],
  }]);
  using client = await l7.connect("h2", "a.test");
  const cases = [["good", "14", "Bad Gateway"], ["BadBot", "7", "Forbidden"]] as const;
  for (const [agent, code, title] of cases) {
    const grpc = { "content-type": "application/grpc+proto", te: "trailers", "user-agent": agent };
    const { status, headers, body } = await client.ask({ method: "POST", path: "/a.B/C", headers: grpc });
    assert.deepEqual([status, body.length], [200, 0]);
    assert.equal(headers["grpc-status"], code);
    assert.equal(headers["content-type"], "application/grpc");
    const message = String(headers["grpc-message"]);
    assert.match(message, new RegExp(`^mc-proxy: ${title} \\(request id [0-9a-f-]{36}\\)$`));
    await l7.proxy.event("request", { request_id: message.slice(-37, -1) });
  }
});

testEachEngine("TRACE is refused, and OPTIONS goes as far as Max-Forwards says", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  for (const version of VERSIONS) {
    using client = await l7.connect(version, "a.test");
    const before = backend.requests;
    for (const headers of [{ cookie: "secret=1" }, { cookie: "secret=1", "max-forwards": "0" }]) {
      const answer = await client.ask({ method: "TRACE", headers });
      await assertPage(l7, answer, 405, /^TRACE$/);
      assert.equal(answer.headers["allow"], ALLOWED);
    }
    const own = await client.ask({ method: "OPTIONS", headers: { "max-forwards": "0" } });
    assert.deepEqual([own.status, own.headers["allow"], own.body.length], [200, ALLOWED, 0]);
    await l7.proxy.event("request", { request_id: own.headers["x-request-id"], status: 200, method: "OPTIONS" });
    assert.equal(backend.requests, before, "nothing of it was forwarded");

    for (const [method, sent, arrives] of [["OPTIONS", "1", "0"], ["OPTIONS", "10", "9"], ["GET", "0", "0"]] as const) {
      const { body } = await client.ask({ method, headers: { "max-forwards": sent } });
      assert.deepEqual(valuesOf(JSON.parse(body.toString()), "max-forwards"), [arrives], `${method} ${sent}`);
    }
  }
});

testEachEngine(
  "what we cannot do for a client of HTTP/2 is told by its status, and nothing of it forwarded",
  async () => {
    await using backend = await HttpBackend.start("h2c", reflect);
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
    using client = await RawHttp2Client.connect(l7);
    const tunnel = pseudo({ ":method": "CONNECT", ":protocol": "connect-udp" });
    await client.send(headers(1, [...pseudo(), ["expect", "foo"]]), headers(3, tunnel, END_HEADERS));
    assert.deepEqual([await client.outcome(1), await client.outcome(3)], ["417", "501"]);
    await l7.proxy.event("request", { status: 417, protocol: "h2", error: "expectation" });
    await l7.proxy.event("request", { status: 501, error: "CONNECT with a protocol other than websocket" });
    assert.equal(backend.requests, 0);
  },
);

const ALLOWED = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
