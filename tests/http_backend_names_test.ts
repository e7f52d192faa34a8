/** `backend_server_name = "{host}"`: a TLS backend is asked for the name that the client asks for. */
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { authority, HttpBackend, L7, reflect, valuesOf, VERSIONS } from "./harness/http.ts";
import { codeBlocks } from "./harness/docs.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";

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

testEachEngine("the wildcard route of docs/HTTP.md serves the virtual hosts of its backend", async () => {
  const page = await Deno.readTextFile(new URL("../docs/HTTP.md", import.meta.url));
  const example = codeBlocks(page, "toml").find((block) => block.includes(`"{host}"`)) ?? "";
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  Deno.mkdirSync(`${folder}/certs`);
  const signer = await authority();
  const { cert, key } = await signer.issue({ hostnames: ["*.apps.example.net"] });
  Deno.writeTextFileSync(`${folder}/certs/apps.pem`, cert);
  Deno.writeTextFileSync(`${folder}/certs/apps.key`, key);
  Deno.writeTextFileSync(`${folder}/certs/internal-ca.pem`, signer.cert);
  await using backend = await HttpBackend.start("h2c", reflect);
  const names = ["a.apps.example.net", "b.apps.example.net"];
  await using origin = await L7.start(names.map((hostname) => ({ hostname, backend: backend.addr })));
  // Only what cannot be had in a test is other than on the page: the folder, the port and the backend.
  const config = example.replaceAll("/srv/mc-proxy", folder).replace('":443"', '"127.0.0.1:0"')
    .replace("10.0.0.7:8443", `127.0.0.1:${origin.proxy.address().port}`);
  Deno.writeTextFileSync(`${folder}/config.toml`, `[database]\npath = "${folder}/mc-proxy.db"\n\n${config}`);
  const environment = { MCPROXY_LOG_FORMAT: "json" };
  await using proxy = Proxy.run(["server", "-c", `${folder}/config.toml`], { folder, environment });
  await proxy.event("ready");
  const { hostname: host, port } = proxy.address();
  for (const servername of names) {
    const session = connect(`https://${host}:${port}`, { servername, ca: signer.cert });
    const stream = session.request({ ":authority": servername });
    const body = (await stream.setEncoding("utf8").toArray()).join("");
    assert.equal(JSON.parse(body).authority, servername);
    session.destroy();
  }
});

testEachEngine("a request for an IP address has no name to ask for", async () => {
  await using test = await chain(["a.apps.test"], { hostname: "*" });
  using client = await test.edge.connect("h1", "any.test", { authority: "127.0.0.1" });
  assert.equal((await client.ask()).status, 421);
  const { error } = await test.edge.proxy.event("request", { host: "127.0.0.1" });
  assert.equal(error, 'backend_server_name = "{host}" needs a host name to ask for');
});
