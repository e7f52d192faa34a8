/** A new process takes the place of a server that runs: nothing is lost, and whatever goes wrong, the old one carries on. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { authority, HttpBackend } from "./harness/http.ts";
import { echoOnce, httpClient, Load, LongEcho, requestOnce } from "./harness/load.ts";
import { Backend } from "./harness/peers.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { Succession } from "./harness/succession.ts";

/** How often the server is taken over under load; `MC_PROXY_TAKEOVERS` for more, which are then counted on the console. */
const WANTED = Deno.env.get("MC_PROXY_TAKEOVERS");
const TAKEOVERS = Number(WANTED ?? 2);

testEachEngine(
  `${TAKEOVERS} takeovers under load lose no connection, and no octet of those that last`,
  async (engine) => {
    using echo = new Backend();
    void echo.echo();
    const downloads = new Set<() => void>();
    await using web = await HttpBackend.start("h2c", (request, response) => {
      if (request.url === "/") return void response.end("hello");
      // Until the test ends it, with the digest of what was sent behind it.
      const hash = createHash("sha256");
      const timer = setInterval(() => {
        const block = crypto.getRandomValues(Buffer.alloc(16 * 1024));
        hash.update(block);
        response.write(block);
      }, 10);
      downloads.add(() => {
        clearInterval(timer);
        response.end(hash.digest());
      });
    });
    const trusted = await authority();
    const { cert } = trusted;
    const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
    const pair = await trusted.issue({ hostnames: ["localhost"] });
    Deno.writeTextFileSync(`${folder}/l7.pem`, pair.cert);
    Deno.writeTextFileSync(`${folder}/l7.key`, pair.key);
    const l7 = { mode: "l7", tls_cert: `${folder}/l7.pem`, tls_key: `${folder}/l7.key` };
    await using servers = await Succession.start(
      [
        { hostname: "l4.test", backend: echo.addr },
        { hostname: "localhost", backend: web.addr, ...l7 },
      ],
      {},
      folder,
    );
    const to = servers.current.address();
    const l4Load = new Load(4, () => echoOnce(to, "l4.test"));
    const url = `https://localhost:${to.port}`;
    const l7Load = new Load(2, () => requestOnce(`${url}/`, cert, "h2"));
    const http1Load = new Load(1, () => requestOnce(`${url}/`, cert, "h1"));
    const loads = [l4Load, l7Load, http1Load];
    const more = () => Promise.all(loads.map((load) => load.more(15)));
    for (let i = 0; i < TAKEOVERS; i++) {
      const transfer = await LongEcho.start(to, "l4.test");
      using client = httpClient(cert, "h2");
      const download = await fetch(`${url}/download`, { client });
      const body = download.bytes();
      await more();
      const before = await servers.takeOver();
      await before.event("draining");
      await more();
      await transfer.end();
      for (const end of downloads) end();
      downloads.clear();
      const bytes = Buffer.from(await body);
      assert.ok(createHash("sha256").update(bytes.subarray(0, -32)).digest().equals(bytes.subarray(-32)));
      assert.ok(transfer.octets > 0 && bytes.length > 32);
      assert.equal((await before.exit()).code, 0);
      assert.deepEqual(
        before.log.seen.filter(({ event, level }) => level === "error" || event === "drain_timeout"),
        [],
      );
    }
    await Promise.all(loads.map((load) => load.stop()));
    const failures = loads.flatMap(({ failures }) => failures);
    const served = loads.reduce((sum, { served }) => sum + served, 0);
    if (WANTED !== undefined) {
      console.log(`${engine}: ${TAKEOVERS} takeovers, ${served} connections served, ${failures.length} lost`);
    }
    assert.deepEqual(failures, []);
  },
);
