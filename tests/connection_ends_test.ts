/** What the log says of how connections ended, and the requests that were under way. */
import assert from "node:assert/strict";
import { HttpBackend, L7, reflect, VERSIONS } from "./harness/http.ts";
import { Backend, endSeen, helloFor, readExactly, sayHello, writeAll } from "./harness/peers.ts";
import { Proxy, testEachEngine } from "./harness/proxy.ts";
import { frame, headers, pseudo, RawHttp2Client } from "./harness/raw_http.ts";
import { isInstalled } from "./harness/tools.ts";

const HELLO = helloFor("a.test");

/** Writes until the other side takes no more. */
async function writeOn(conn: Deno.TcpConn): Promise<void> {
  try {
    for (;;) await writeAll(conn, new Uint8Array(1));
  } catch {
    // its connection is over
  }
}

for (const leaver of ["client", "backend"] as const) {
  testEachEngine(
    `L4: a ${leaver} that ends its half and does not wait for the rest has left, and broke nothing off`,
    async () => {
      using backend = new Backend();
      await using proxy = await Proxy.start({
        listeners: [{ addr: "127.0.0.1:0", routes: [{ hostname: "a.test", backend: backend.addr }] }],
      });
      const client = await sayHello(proxy.address(), "a.test");
      const served = await backend.accept();
      await readExactly(served, HELLO.length);
      const [leaving, staying] = leaver === "client" ? [client, served] : [served, client];
      await leaving.closeWrite();
      await endSeen(staying);
      leaving.close();
      const writing = writeOn(staying);
      await proxy.event("connection", { end: `${leaver}_left` });
      await writing;
      staying.close();
    },
  );
}

testEachEngine("HTTP/2: a client that breaks the rules is told to have been thrown out, with the rule", async () => {
  await using backend = await HttpBackend.start("h2c", reflect);
  await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
  using client = await RawHttp2Client.connect(l7);
  await client.send(headers(1, pseudo()));
  assert.equal(await client.outcome(1), "200");
  await client.send(frame("DATA", 0, 0, "x"));
  const { end, detail } = await l7.proxy.event("connection");
  assert.deepEqual([end, detail], ["protocol_error", "PROTOCOL_ERROR: DATA without a stream"]);
});

testEachEngine(
  "a request that the end of the server cuts off is told as that, and not as its client's leaving",
  async () => {
    const arrived = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using backend = await HttpBackend.start("h2c", ({ url }) => arrived[Number(url?.slice(1))]?.resolve());
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }], {
      proxy: { shutdown_timeout: "1h" },
    });
    const answers = [];
    for (const [i, version] of VERSIONS.entries()) {
      const client = await l7.connect(version, "a.test");
      answers.push(client.ask({ path: `/${i}` }).then(() => assert.fail("answered"), () => client[Symbol.dispose]()));
      await arrived[i]?.promise;
    }
    l7.proxy.signal("SIGTERM");
    await l7.proxy.event("draining");
    l7.proxy.signal("SIGTERM");
    await Promise.all(answers);
    assert.equal((await l7.proxy.exit()).code, 0);
    const lines = l7.proxy.log.seen.filter(({ event }) => event === "request");
    const cut = [503, "the proxy ended the connection: shutdown"];
    assert.deepEqual(lines.map(({ status, error }) => [status, error]), [cut, cut]);
  },
);

const HAS_CURL = isInstalled("curl");
const CURLS = 10;

testEachEngine(
  `no healthy curl is told to have broken off, at L4 and at L7${HAS_CURL ? "" : " (needs curl)"}`,
  async () => {
    if (!HAS_CURL) return;
    await using backend = await HttpBackend.start("h2c", reflect);
    await using l7 = await L7.start([{ hostname: "a.test", backend: backend.addr }]);
    await using l4 = await Proxy.start({
      listeners: [{
        addr: "127.0.0.1:0",
        routes: [{ hostname: "a.test", backend: `127.0.0.1:${l7.proxy.address().port}` }],
      }],
    });
    const ca = `${l4.folder}/ca.pem`;
    Deno.writeTextFileSync(ca, l7.authority.cert);
    const { port } = l4.address();
    await Promise.all(["--http1.1", "--http2"].flatMap((version) =>
      Array.from({ length: CURLS }, async () => {
        const args = [
          version,
          "-s",
          "--cacert",
          ca,
          "--resolve",
          `a.test:${port}:127.0.0.1`,
          `https://a.test:${port}/`,
        ];
        const { code } = await new Deno.Command("curl", { args, stdout: "null" }).output();
        assert.equal(code, 0);
      })
    ));
    for (const proxy of [l4, l7.proxy]) {
      const lines = await proxy.log.findAll(2 * CURLS, ({ event }) => event === "connection");
      for (const line of lines) assert.match(String(line["end"]), /^(closed|client_left)$/, JSON.stringify(line));
    }
  },
);
