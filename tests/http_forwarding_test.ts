import assert from "node:assert/strict";
import { once } from "node:events";
import type { ClientRequest } from "node:http";
import { backendKeys, bytesOf, HttpBackend, L7, reflect, type Reflected, valuesOf, VERSIONS } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { headers, pseudo, RawClient, RawHttp2Client } from "./harness/raw_http.ts";

const BACKENDS = ["h1", "h2c"] as const;

/** Backends of each kind behind one proxy, and who to ask for them. */
async function proxied(handler: Parameters<typeof HttpBackend.start>[1]) {
  const backends = await Promise.all(BACKENDS.map((kind) => HttpBackend.start(kind, handler)));
  const routes = backends.map(({ addr: backend }, i) => {
    const kind = BACKENDS[i] ?? "h1";
    return { hostname: `${kind}.test`, backend, ...backendKeys(kind) };
  });
  const l7 = await L7.start(routes);
  return {
    l7,
    async [Symbol.asyncDispose]() {
      await l7[Symbol.asyncDispose]();
      for (const backend of backends) await backend[Symbol.asyncDispose]();
    },
  };
}

function reflected(body: Uint8Array): Reflected {
  return JSON.parse(new TextDecoder().decode(body));
}

testEachEngine("a request arrives whole, with what a proxy adds", async () => {
  await using test = await proxied(reflect);
  const { l7 } = test;
  for (const version of VERSIONS) {
    for (const kind of BACKENDS) {
      using client = await l7.connect(version, `${kind}.test`);
      for (const method of ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY"]) {
        const body = method === "GET" || method === "OPTIONS" ? undefined : `body of ${method}`;
        const answer = await client.ask({
          method,
          path: "/a/b?c=d%20e",
          headers: { "x-mine": "1" },
          ...body && { body },
        });
        assert.equal(answer.status, 200);
        const seen = reflected(answer.body);
        assert.deepEqual(
          [seen.method, seen.path, seen.body, seen.authority, seen.version],
          [method, "/a/b?c=d%20e", body ?? "", `${kind}.test`, kind === "h1" ? "1.1" : "2.0"],
        );
        assert.deepEqual(valuesOf(seen, "x-mine"), ["1"]);
        assert.deepEqual(valuesOf(seen, "x-forwarded-for"), ["127.0.0.1"]);
        assert.deepEqual(valuesOf(seen, "x-forwarded-proto"), ["https"]);
        assert.deepEqual(valuesOf(seen, "x-forwarded-host"), [`${kind}.test`]);
        assert.deepEqual(valuesOf(seen, "x-real-ip"), ["127.0.0.1"]);
        const [id] = valuesOf(seen, "x-request-id");
        assert.match(id ?? "", /^[0-9a-f-]{36}$/);
        const line = await l7.proxy.event("request", { request_id: id });
        assert.deepEqual([line["method"], line["host"], line["path"], line["status"]], [
          method,
          `${kind}.test`,
          "/a/b",
          200,
        ]);
      }
    }
  }
});

testEachEngine("an empty port and a minor version to come are what they would be without", async () => {
  await using stand = await proxied(reflect);
  for (const kind of BACKENDS) {
    const [host, bare] = [`${kind}.test:`, `${kind}.test`];
    using h1 = await RawClient.open(stand.l7, bare);
    await h1.send(
      `GET / HTTP/1.2\r\nHost: ${host}\r\n\r\nGET / HTTP/1.9\r\nHost: ${bare}\r\nConnection: close\r\n\r\n`,
    );
    assert.equal((await h1.readToEnd()).match(/HTTP\/1\.1 200 /g)?.length, 2, kind);
    using h2 = await RawHttp2Client.connect(stand.l7, {}, bare);
    await h2.send(headers(1, pseudo({ ":authority": host })));
    assert.equal(await h2.outcome(1), "200");
  }
});

testEachEngine("what the client claims of itself is appended to or replaced, and a request id passed on", async () => {
  await using test = await proxied(reflect);
  for (const version of VERSIONS) {
    for (const kind of BACKENDS) {
      using client = await test.l7.connect(version, `${kind}.test`);
      const { body, headers } = await client.ask({
        headers: {
          "x-forwarded-for": "192.0.2.1, 192.0.2.2",
          "x-forwarded-proto": "http",
          "x-forwarded-host": "evil.test",
          "x-real-ip": "192.0.2.1",
          "x-request-id": `given-${version}-${kind}`,
        },
      });
      const seen = reflected(body);
      assert.deepEqual(valuesOf(seen, "x-forwarded-for"), ["192.0.2.1, 192.0.2.2, 127.0.0.1"]);
      assert.deepEqual(valuesOf(seen, "x-forwarded-proto"), ["https"]);
      assert.deepEqual(valuesOf(seen, "x-forwarded-host"), [`${kind}.test`]);
      assert.deepEqual(valuesOf(seen, "x-real-ip"), ["127.0.0.1"]);
      assert.deepEqual(valuesOf(seen, "x-request-id"), [`given-${version}-${kind}`]);
      assert.equal(headers["content-type"], "application/json");
      await test.l7.proxy.event("request", { request_id: `given-${version}-${kind}` });
      const { body: other } = await client.ask({ headers: { "x-request-id": "no id: has spaces" } });
      assert.match(valuesOf(reflected(other), "x-request-id")[0] ?? "", /^[0-9a-f-]{36}$/);
    }
  }
});

testEachEngine("no spelling of our fields passes, neither in the head nor in trailers", async () => {
  await using test = await proxied(reflect);
  const spoofed = {
    "X_Forwarded_For": "192.0.2.1",
    "X-Forwarded_For": "192.0.2.1",
    "x_real_ip": "192.0.2.1",
    "x.request.id": "1",
    "X_Forwarded_Host": "evil.test",
    "proxy": "http://192.0.2.66:80",
  };
  const lowered = Object.fromEntries(Object.entries(spoofed).map(([name, value]) => [name.toLowerCase(), value]));
  for (const version of VERSIONS) {
    for (const kind of BACKENDS) {
      using client = await test.l7.connect(version, `${kind}.test`);
      const { body } = await client.ask({
        method: "POST",
        headers: {
          ...version === "h1" ? { ...spoofed, trailer: "x-mine" } : lowered,
          forwarded: 'for=192.0.2.1;host="evil.test"',
          "x_mine": "1",
        },
        body: "abc",
        trailers: {
          ...version === "h1" ? spoofed : lowered,
          "x-forwarded-for": "192.0.2.1",
          "x-real-ip": "192.0.2.1",
          forwarded: "for=192.0.2.1",
          "x-mine": "2",
        },
      });
      const seen = reflected(body);
      for (const name of Object.keys(lowered)) assert.deepEqual(valuesOf(seen, name), [], `${version} ${kind} ${name}`);
      assert.deepEqual(valuesOf(seen, "x-forwarded-for"), ["127.0.0.1"]);
      const own = `for=127.0.0.1;proto=https;host=${kind}.test`;
      assert.deepEqual(valuesOf(seen, "forwarded"), [`for=192.0.2.1;host="evil.test", ${own}`]);
      assert.deepEqual(valuesOf(seen, "x_mine"), ["1"]);
      assert.deepEqual({ ...seen.trailers }, { "x-mine": "2" });
    }
  }
});

testEachEngine("fields of a single connection are not passed on, either way", async () => {
  await using test = await proxied(async (request, response) => {
    if (request.httpVersion === "1.1") {
      response.setHeader("connection", "x-hop");
      response.setHeader("keep-alive", "timeout=100");
      response.setHeader("x-hop", "1");
    }
    response.setHeader("proxy-authenticate", "Basic");
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    await reflect(request, response);
  });
  for (const kind of BACKENDS) {
    for (const version of VERSIONS) {
      using client = await test.l7.connect(version, `${kind}.test`);
      const hop = version === "h1"
        ? { connection: "keep-alive, x-mine, te", "x-mine": "1", "keep-alive": "timeout=5", te: "trailers, deflate" }
        : { te: "trailers" };
      const { body, headers } = await client.ask({
        headers: { ...hop, "proxy-authorization": "Basic YTpi", cookie: "c=3" },
      });
      const seen = reflected(body);
      for (const name of ["x-mine", "keep-alive", "proxy-authorization", "upgrade", "proxy-connection"]) {
        assert.deepEqual(valuesOf(seen, name), [], name);
      }
      assert.deepEqual(valuesOf(seen, "te"), ["trailers"]);
      assert.deepEqual(valuesOf(seen, "connection"), kind === "h1" ? ["te"] : []);
      assert.deepEqual([headers["x-hop"], headers["proxy-authenticate"]], [undefined, undefined]);
      assert.notEqual(headers["keep-alive"], "timeout=100");
      assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
      assert.deepEqual(valuesOf(seen, "cookie"), ["c=3"]);
    }
  }
});

testEachEngine("cookies that HTTP/2 splits reach an HTTP/1.1 backend as one field", async () => {
  await using test = await proxied(reflect);
  using client = await test.l7.connect("h2", "h1.test");
  const { body } = await client.ask({ headers: { cookie: ["a=1", "b=2"], accept: ["text/html", "text/plain"] } });
  assert.deepEqual(valuesOf(reflected(body), "cookie"), ["a=1; b=2"]);
  assert.match(valuesOf(reflected(body), "accept").join(", "), /^text\/html, text\/plain$/);
});

testEachEngine("interim answers pass, and a body that waits for 100-continue", async () => {
  await using test = await proxied(reflect);
  // node's server answers 100-continue by itself; 103 is written by the handler below
  for (const version of VERSIONS) {
    for (const kind of BACKENDS) {
      using client = await test.l7.connect(version, `${kind}.test`);
      const { stream, head, interim } = client.begin({ method: "POST", headers: { expect: "100-continue" } });
      if (version === "h1") (stream as ClientRequest).flushHeaders();
      await once(stream, "continue");
      stream.end("after the 100");
      const { body } = await head;
      assert.equal(reflected(await bytesOf(body)).body, "after the 100");
      assert.ok(interim.every(({ status }) => status === 100));
    }
  }
});

testEachEngine("early hints pass", async () => {
  await using test = await proxied((_request, response) => {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.end("page");
  });
  for (const version of VERSIONS) {
    for (const kind of BACKENDS) {
      using client = await test.l7.connect(version, `${kind}.test`);
      const { status, interim, body } = await client.ask();
      assert.deepEqual([status, body.toString()], [200, "page"]);
      assert.deepEqual(interim.map(({ status, headers }) => [status, headers["link"]]), [[
        103,
        "</style.css>; rel=preload",
      ]]);
    }
  }
});

testEachEngine("answers without a body have none, and keep what they say of it", async () => {
  await using test = await proxied((request, response) => {
    const status = Number(request.url?.slice(1));
    response.writeHead(status, { ...status === 204 ? {} : { "content-length": "1234" }, etag: '"x"' });
    response.end();
  });
  for (const version of VERSIONS) {
    for (const kind of BACKENDS) {
      using client = await test.l7.connect(version, `${kind}.test`);
      for (
        const [method, status, length] of [["HEAD", 200, "1234"], ["GET", 204, undefined], [
          "GET",
          304,
          "1234",
        ]] as const
      ) {
        const { headers, body, ...answer } = await client.ask({ method, path: `/${status}` });
        assert.deepEqual(
          [answer.status, headers["content-length"], headers["etag"], body.length],
          [status, length, '"x"', 0],
          `${version} ${kind} ${method} ${status}`,
        );
      }
    }
  }
});

testEachEngine("bodies pass with their length and without, and trailers both ways", async () => {
  await using test = await proxied(async (request, response) => {
    const body = await bytesOf(request);
    if (request.url === "/length") response.setHeader("content-length", body.length);
    else response.setHeader("trailer", "x-sum");
    response.setHeader("x-seen", JSON.stringify([request.headers["content-length"], request.trailers["x-mine"]]));
    response.write(body);
    if (request.url !== "/length") response.addTrailers({ "x-sum": String(body.length) });
    response.end();
  });
  for (const version of VERSIONS) {
    for (const kind of BACKENDS) {
      using client = await test.l7.connect(version, `${kind}.test`);
      const whole = await client.ask({
        method: "POST",
        path: "/length",
        body: "12345",
        headers: { "content-length": "5" },
      });
      assert.deepEqual([whole.body.toString(), whole.headers["content-length"]], ["12345", "5"]);
      assert.deepEqual(JSON.parse(String(whole.headers["x-seen"])), ["5", null]);
      const chunked = await client.ask({
        method: "POST",
        path: "/chunked",
        body: "12345",
        headers: {
          te: "trailers",
          trailer: "x-mine",
          ...version === "h1" && { "transfer-encoding": "chunked", connection: "te" },
        },
        trailers: { "x-mine": "yes" },
      });
      assert.deepEqual([chunked.body.toString(), chunked.headers["content-length"]], ["12345", undefined]);
      assert.deepEqual(JSON.parse(String(chunked.headers["x-seen"])), [null, "yes"], `${version} ${kind}`);
      assert.equal(chunked.trailers["x-sum"], "5", `${version} ${kind}`);
    }
  }
});
