import assert from "node:assert/strict";
import { type Authority, createAuthority } from "../scripts/dev/certificates.ts";
import { ADDR } from "./harness/admin.ts";
import { authority, HttpBackend, L7, type L7Route, reflect, VERSIONS } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";

const other = createAuthority("another authority");

function pemFile(folder: string, { cert }: Authority): string {
  const file = Deno.makeTempFileSync({ dir: folder, suffix: ".pem" });
  Deno.writeTextFileSync(file, cert);
  return file;
}

/** Files, and backends over TLS of each kind, whose certificates `authority` has signed. */
async function tlsBackends() {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-tls-" });
  const tls = await (await authority()).issue({ hostnames: ["backend.test", "127.0.0.1"] });
  const h2 = await HttpBackend.start("h2s", reflect, { tls });
  const h1 = await HttpBackend.start("h1s", reflect, { tls });
  return {
    folder,
    h1,
    h2,
    ca: pemFile(folder, await authority()),
    otherCa: pemFile(folder, await other),
    async [Symbol.asyncDispose]() {
      await h1[Symbol.asyncDispose]();
      await h2[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

testEachEngine("a TLS backend is spoken to in HTTP/2 where it can, and else in HTTP/1.1", async () => {
  await using test = await tlsBackends();
  const { h1, h2, ca } = test;
  const tls = { backend_tls: true, backend_ca: ca, backend_server_name: "backend.test" };
  const routes: [L7Route, version: string | undefined][] = [
    [{ hostname: "h2.test", backend: h2.addr, ...tls }, "2.0"],
    [{ hostname: "h1.test", backend: h1.addr, ...tls }, "1.1"],
    [{ hostname: "only-h1.test", backend: h2.addr, ...tls, backend_protocol: "http1" }, "1.1"],
    [{ hostname: "only-h2.test", backend: h2.addr, ...tls, backend_protocol: "h2" }, "2.0"],
    [{ hostname: "no-h2.test", backend: h1.addr, ...tls, backend_protocol: "h2" }, undefined],
    [{ hostname: "address.test", backend: h2.addr, backend_tls: true, backend_ca: ca }, "2.0"],
  ];
  await using l7 = await L7.start(routes.map(([route]) => route));
  for (const version of VERSIONS) {
    for (const [{ hostname }, expected] of routes) {
      using client = await l7.connect(version, hostname);
      const { status, body } = await client.ask({ method: "POST", body: "over TLS" });
      if (expected === undefined) {
        assert.equal(status, 502, hostname);
        continue;
      }
      assert.equal(status, 200, `${hostname}: ${body}`);
      assert.deepEqual([JSON.parse(body.toString()).version, JSON.parse(body.toString()).body], [expected, "over TLS"]);
    }
  }
  const { error } = await l7.proxy.event("request", { host: "no-h2.test" });
  assert.match(String(error), /does not speak HTTP\/2 over TLS; set backend_protocol = "http1"/);
});

testEachEngine("a backend's certificate must be of its authority and for its name", async () => {
  await using test = await tlsBackends();
  const { h1, h2, ca, otherCa } = test;
  const routes: L7Route[] = [h1, h2].flatMap(({ addr: backend }, i) => [
    { hostname: `untrusted${i}.test`, backend, backend_tls: true, backend_server_name: "backend.test" },
    { hostname: `ca${i}.test`, backend, backend_tls: true, backend_ca: otherCa, backend_server_name: "backend.test" },
    { hostname: `name${i}.test`, backend, backend_tls: true, backend_ca: ca, backend_server_name: "other.test" },
  ]);
  await using l7 = await L7.start(routes);
  for (const { hostname } of routes) {
    using client = await l7.connect("h2", hostname);
    const { status } = await client.ask();
    const { error } = await l7.proxy.event("request", { host: hostname });
    assert.equal(status, 502, hostname);
    assert.match(String(error), /^tls: /, hostname);
  }
  assert.equal(h1.requests + h2.requests, 0);
});

testEachEngine("without backend_ca the machine's authorities count, and with it no others", async () => {
  await using test = await tlsBackends();
  const { h1, h2, ca, otherCa } = test;
  const tls = { backend_tls: true, backend_server_name: "backend.test" };
  await using l7 = await L7.start(
    [
      { hostname: "system2.test", backend: h2.addr, ...tls },
      { hostname: "system1.test", backend: h1.addr, ...tls },
      { hostname: "private.test", backend: h2.addr, ...tls, backend_ca: otherCa },
    ],
    {},
    {},
    { SSL_CERT_FILE: ca },
  );
  for (const [hostname, expected] of [["system2.test", 200], ["system1.test", 200], ["private.test", 502]] as const) {
    using client = await l7.connect("h2", hostname);
    assert.equal((await client.ask()).status, expected, hostname);
  }
});

Deno.test({
  name: "the authorities of the system are read at the start or with the first route, and no connection waits for that",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using test = await tlsBackends();
    const { h2 } = test;
    const tls = { backend: h2.addr, backend_tls: true };
    for (const isThereAtStart of [true, false]) {
      const file = pemFile(test.folder, await authority());
      const routes = isThereAtStart ? [{ hostname: "a.test", ...tls }] : [{ hostname: "b.test", backend: h2.addr }];
      await using l7 = await L7.start(routes, { proxy: { engine: "epoll" } }, {}, { SSL_CERT_FILE: file });
      if (!isThereAtStart) {
        const files = await l7.certificate("a.test");
        await l7.admin.addRoute(ADDR, {
          hostname: "a.test",
          backend: h2.addr,
          mode: "l7",
          tlsCert: files.tls_cert,
          tlsKey: files.tls_key,
          backendTls: true,
        });
      }
      await Deno.remove(file);
      using client = await l7.connect("h2", "a.test");
      assert.equal((await client.ask()).status, 200);
    }
  },
});
