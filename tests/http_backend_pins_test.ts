/** `backend_pins`: the keys that a TLS backend may have. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { createAuthority } from "../scripts/dev/certificates.ts";
import { authority, HttpBackend, L7, type L7Route, reflect } from "./harness/http.ts";
import { shellLines } from "./harness/docs.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { isInstalled } from "./harness/tools.ts";

const NEXT = `sha256/${"A".repeat(43)}=`;

function pinOf(pem: string): string {
  const key = new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  return `sha256/${createHash("sha256").update(key).digest("base64")}`;
}

/** A backend that nobody vouches for. */
async function stranger(handler = reflect) {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-pins-" });
  const signer = await createAuthority("an authority that nobody knows");
  const tls = await signer.issue({ hostnames: ["backend.test"] });
  Deno.writeTextFileSync(`${folder}/ca.pem`, signer.cert);
  Deno.writeTextFileSync(`${folder}/other.pem`, (await authority()).cert);
  const backend = await HttpBackend.start("h2s", handler, { tls });
  return {
    backend,
    cert: tls.cert,
    pin: pinOf(tls.cert),
    ca: `${folder}/ca.pem`,
    otherCa: `${folder}/other.pem`,
    async [Symbol.asyncDispose]() {
      await backend[Symbol.asyncDispose]();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}

testEachEngine("a pin beside backend_ca: chain, name and key must all be right", async () => {
  await using test = await stranger();
  const { pin } = test;
  const tls = { backend: test.backend.addr, backend_tls: true, backend_server_name: "backend.test" };
  const good: L7Route[] = [
    { hostname: "good.test", ...tls, backend_ca: test.ca, backend_pins: [pin] },
    { hostname: "next.test", ...tls, backend_ca: test.ca, backend_pins: [NEXT, pin] },
  ];
  const bad: [L7Route, RegExp][] = [
    [
      { hostname: "key.test", ...tls, backend_ca: test.ca, backend_pins: [NEXT] },
      /^tls: backend\.test has the public key/,
    ],
    [{ hostname: "chain.test", ...tls, backend_ca: test.otherCa, backend_pins: [pin] }, /^tls: /],
    [{
      hostname: "name.test",
      ...tls,
      backend_ca: test.ca,
      backend_server_name: "other.test",
      backend_pins: [pin],
    }, /^tls: /],
  ];
  await using l7 = await L7.start([...good, ...bad.map(([route]) => route)]);
  for (const { hostname } of good) {
    using client = await l7.connect("h2", hostname);
    assert.equal((await client.ask()).status, 200, hostname);
  }
  const { requests } = test.backend;
  for (const [{ hostname }, expected] of bad) {
    using client = await l7.connect("h2", hostname);
    assert.equal((await client.ask()).status, 502, hostname);
    assert.match(String((await l7.proxy.event("request", { host: hostname })).error), expected);
  }
  const { error } = await l7.proxy.event("request", { host: "key.test" });
  assert.equal(error, `tls: backend.test has the public key ${pin}, and backend_pins allows ${NEXT}`);
  assert.equal(test.backend.requests, requests, "a backend that is refused is sent nothing");
});

testEachEngine("a pin alone: the key decides, whoever signed the certificate and whatever its name", async (engine) => {
  await using test = await stranger();
  const tls = { backend: test.backend.addr, backend_tls: true };
  await using l7 = await L7.start([
    { hostname: "good.test", ...tls, backend_pins: [test.pin] },
    { hostname: "key.test", ...tls, backend_pins: [NEXT] },
    { hostname: "none.test", ...tls },
  ]);
  for (const hostname of ["key.test", "none.test"]) {
    using client = await l7.connect("h2", hostname);
    assert.equal((await client.ask()).status, 502, hostname);
  }
  assert.equal(test.backend.requests, 0);
  using client = await l7.connect("h2", "good.test");
  if (engine === "epoll") {
    assert.equal((await client.ask()).status, 200);
    return;
  }
  assert.equal((await client.ask()).status, 502, "nothing would prove that the backend holds the key");
  const { error } = await l7.proxy.event("request", { host: "good.test" });
  assert.match(String(error), /^tls: the portable engine needs backend_ca beside backend_pins: /);
});

Deno.test({
  name: "the commands of docs/HTTP.md tell the pin of a file and of a backend (needs openssl)",
  ignore: !isInstalled("openssl"),
  async fn() {
    await using test = await stranger();
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-pins-" });
    Deno.writeTextFileSync(`${folder}/backend.pem`, test.cert);
    const page = await Deno.readTextFile(new URL("../docs/HTTP.md", import.meta.url));
    const lines = shellLines(page).filter((line) => line.includes("-pubkey"));
    assert.equal(lines.length, 2);
    for (const line of lines) {
      const { stdout, stderr } = await new Deno.Command("sh", {
        args: ["-c", line.replace("10.0.0.7:8443", test.backend.addr)],
        cwd: folder,
      }).output();
      const said = new TextDecoder().decode(stdout).trim();
      assert.equal(`sha256/${said}`, test.pin, new TextDecoder().decode(stderr));
    }
    Deno.removeSync(folder, { recursive: true });
  },
});

testEachEngine("a session that is gone on from is held against the pins, too", async () => {
  await using test = await stranger((request, response) => {
    response.setHeader("connection", "close");
    return reflect(request, response);
  });
  const route = {
    backend: test.backend.addr,
    backend_tls: true,
    backend_protocol: "http1",
    backend_ca: test.ca,
    backend_server_name: "backend.test",
  };
  await using l7 = await L7.start([
    { hostname: "good.test", ...route, backend_pins: [test.pin] },
    { hostname: "none.test", ...route },
    { hostname: "key.test", ...route, backend_pins: [NEXT] },
  ], { proxy: { workers: 1 } });
  const expected = { "good.test": 200, "none.test": 200, "key.test": 502 };
  for (let i = 0; i < 3; i++) {
    for (const [hostname, status] of Object.entries(expected)) {
      using client = await l7.connect("h1", hostname);
      assert.equal((await client.ask()).status, status, `${hostname}, time ${i}`);
    }
  }
});
