/** `backend_server_name = "{host}"`: a TLS backend is asked for the name that the client asks for. */
import assert from "node:assert/strict";
import { authority, HttpBackend, L7, reflect, valuesOf, VERSIONS } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";

/**
 * An edge with one wildcard route, and behind it an origin with a virtual host for each of `names`, which answers 421
 * wherever the server name and the host of a request are of two of them.
 */
async function chain(names: readonly string[], route: Readonly<Record<string, unknown>> = {}) {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-names-" });
  Deno.writeTextFileSync(`${folder}/ca.pem`, (await authority()).cert);
  const backend = await HttpBackend.start("h2c", reflect);
  const isTold = route["send_proxy_protocol"] === true;
  const origin = await L7.start(names.map((hostname) => ({ hostname, backend: backend.addr })), {}, {
    proxy_protocol: isTold,
  });
  const edge = await L7.start([{
    hostname: "*.apps.test",
    backend: `127.0.0.1:${origin.proxy.address().port}`,
    backend_tls: true,
    backend_ca: `${folder}/ca.pem`,
    backend_server_name: "{host}",
    ...route,
  }]);
  return {
    edge,
    origin,
    async [Symbol.asyncDispose]() {
      await edge[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}

for (const send_proxy_protocol of [false, true]) {
  testEachEngine(
    `each name reaches its own virtual host${send_proxy_protocol ? ", told of the client" : ""}`,
    async () => {
      await using test = await chain(["a.apps.test", "b.apps.test"], { send_proxy_protocol });
      for (const version of VERSIONS) {
        using client = await test.edge.connect(version, "a.apps.test");
        for (const asked of ["a.apps.test", "B.Apps.Test", "b.apps.test.", "a.apps.test:443", "b.apps.test"]) {
          const { status, body } = await client.ask({ authority: asked });
          assert.equal(status, 200, `${version} ${asked}: ${body}`);
          assert.equal(JSON.parse(body.toString()).authority, asked);
        }
      }
    },
  );
}

testEachEngine("a connection to the backend is kept for its name, and serves no other", async () => {
  await using test = await chain(["a.apps.test", "b.apps.test"]);
  const ids: string[] = [];
  for (const version of VERSIONS) {
    using client = await test.edge.connect(version, "b.apps.test");
    for (const authority of ["a.apps.test", "b.apps.test", "a.apps.test", "b.apps.test"]) {
      const { body } = await client.ask({ authority });
      ids.push(valuesOf(JSON.parse(body.toString()), "x-request-id")[0] ?? "");
    }
  }
  const seen = await Promise.all(ids.map((request_id) => test.origin.proxy.event("request", { request_id })));
  assert.deepEqual(seen.map(({ route }) => route), seen.map(({ host }) => host));
  test.origin.proxy.signal("SIGTERM");
  assert.equal((await test.origin.proxy.exit()).code, 0);
  const connections = test.origin.proxy.log.seen.filter(({ event }) => event === "connection");
  const workers = 2; // at the most, each has a pool of its own
  for (const name of ["a.apps.test", "b.apps.test"]) {
    const own = connections.filter(({ sni }) => sni === name);
    assert.ok(own.length >= 1 && own.length <= workers, `${name}: ${own.length} connections`);
  }
});

testEachEngine("a backend without a certificate for the name is refused, and the log says which", async () => {
  await using test = await chain(["a.apps.test", "*"]); // whose certificate is for any.test
  using client = await test.edge.connect("h2", "c.apps.test");
  assert.equal((await client.ask()).status, 502);
  const { error } = await test.edge.proxy.event("request", { host: "c.apps.test" });
  assert.match(String(error), /^tls: /);
  assert.equal((await client.ask({ authority: "a.apps.test" })).status, 200, "the others are served");
});

testEachEngine("a request for an IP address has no name to ask for", async () => {
  await using test = await chain(["a.apps.test"], { hostname: "*" });
  using client = await test.edge.connect("h1", "any.test", { authority: "127.0.0.1" });
  assert.equal((await client.ask()).status, 421);
  const { error } = await test.edge.proxy.event("request", { host: "127.0.0.1" });
  assert.equal(error, 'backend_server_name = "{host}" needs a host name to ask for');
});
