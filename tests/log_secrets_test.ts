import assert from "node:assert/strict";
import { encodeProxyHeaderV2 } from "../lib/wire/proxy_protocol.ts";
import { parseEndpoint } from "../lib/wire/socket_address.ts";
import { ADDR } from "./harness/admin.ts";
import { backendKeys, bytesOf, HttpBackend, L7, reflect, VERSIONS } from "./harness/http.ts";
import { METRICS, scrape } from "./harness/metrics.ts";
import { REFUSING, writeAll } from "./harness/peers.ts";
import { runProgram, testEachEngine } from "./harness/proxy.ts";
import { headers, pseudo, RawClient, RawHttp2Client } from "./harness/raw_http.ts";

/** What a client or a file holds that nobody may find in any output. */
const SECRET = "s3cr3t-0f-the-t3st";

const FIELDS = {
  authorization: `Bearer ${SECRET}`,
  "proxy-authorization": `Basic ${SECRET}`,
  cookie: `session=${SECRET}`,
  "x-api-key": SECRET,
  referer: `https://a.test/?token=${SECRET}`,
};

/** A PROXY v2 header with a TLV of a type for private use that holds a secret (spec §2.2). */
function proxyHeaderWithSecret(): Uint8Array {
  const [source, destination] = [parseEndpoint("192.0.2.7:5555"), parseEndpoint("198.51.100.1:443")];
  assert.ok(source !== undefined && destination !== undefined);
  const header = encodeProxyHeaderV2({ source, destination });
  const value = new TextEncoder().encode(SECRET);
  const whole = new Uint8Array([...header, 0xe0, 0, value.length, ...value]);
  new DataView(whole.buffer).setUint16(14, whole.length - 16);
  return whole;
}

/** Requests that are answered, refused, unanswered, malformed, and broken off, all with secrets. */
async function ask(l7: L7): Promise<void> {
  const path = `/a?token=${SECRET}&x=${SECRET}`;
  for (const version of VERSIONS) {
    for (const hostname of ["h1.test", "h2.test", "refused.test", "policy.test"]) {
      using client = await l7.connect(version, hostname);
      await client.ask({ method: "POST", path, headers: FIELDS, body: `password=${SECRET}` });
    }
    using strange = await l7.connect(version, "h1.test", { authority: "other.test" });
    assert.equal((await strange.ask({ path, headers: FIELDS })).status, 421);
  }
  const head = `host: h1.test\r\nauthorization: ${SECRET}\r\ncookie: ${SECRET}\r\n`;
  for (
    const request of [
      `GET /?${SECRET} HTTP/1.1\r\n${head}x: \x1b${SECRET}\r\n\r\n`,
      `GET /\x1b?${SECRET} HTTP/1.1\r\n${head}\r\n`,
      `GET /?${SECRET} HTTP/1.1\r\n${head}${SECRET} : 1\r\n\r\n`,
      `GET /?${SECRET} HTTP/9.9\r\n${head}\r\n`,
      `POST /?${SECRET} HTTP/1.1\r\n${head}content-length: ${SECRET}\r\n\r\n`,
      `POST /?${SECRET} HTTP/1.1\r\n${head}transfer-encoding: chunked\r\n\r\n${SECRET}\r\n`,
      `POST /?${SECRET} HTTP/1.1\r\n${head}expect: ${SECRET}\r\n\r\n`,
    ]
  ) {
    using client = await RawClient.open(l7, "h1.test");
    await client.send(request);
    await client.readToEnd();
  }
  using client = await RawHttp2Client.connect(l7, {}, "h1.test");
  const fields = [...pseudo({ ":authority": "h1.test", ":path": `no path?${SECRET}` }), ...Object.entries(FIELDS)];
  await client.send(headers(1, fields));
  await client.outcome(1);
}

testEachEngine("no secret of a client or a file is in the log, the metrics or what commands print", async () => {
  await using h1 = await HttpBackend.start("h1", reflect);
  await using h2 = await HttpBackend.start("h2c", async (request, response) => {
    await bytesOf(request);
    response.setHeader("set-cookie", `session=${SECRET}`);
    response.end(SECRET);
  });
  await using l7 = await L7.start(
    [
      { hostname: "h1.test", backend: h1.addr, ...backendKeys("h1") },
      { hostname: "h2.test", backend: h2.addr },
      { hostname: "refused.test", backend: REFUSING },
      { hostname: "policy.test", backend: h2.addr, l7_policies: [{ type: "require_header", value: "X-Missing" }] },
    ],
    {
      log: { level: "debug", format: "json" },
      metrics: { ...METRICS, dashboard: true },
      listeners: [{ addr: "[::1]:0", proxy_protocol: true }],
    },
  );
  const { proxy } = l7;
  await ask(l7);

  const { hostname, port } = proxy.address(1);
  for (const rest of ["", SECRET]) {
    using client = await Deno.connect({ hostname, port });
    await writeAll(client, new Uint8Array([...proxyHeaderWithSecret(), ...new TextEncoder().encode(rest)]));
    await client.closeWrite();
    await client.read(new Uint8Array(1)).catch(() => {});
  }
  // A key that is spoilt, and one that is no longer PEM at all.
  const key = `${proxy.folder}/h1.test.key`;
  const whole = Deno.readTextFileSync(key);
  for (const spoilt of [whole.replace(/\n/, `\n${SECRET}`), `${SECRET}\n`]) {
    Deno.writeTextFileSync(key, spoilt);
    if (Deno.build.os === "windows") continue;
    proxy.signal("SIGHUP");
    await proxy.event("certificate_reload_failed");
  }

  const printed = [(await scrape(proxy)).text];
  const { addr } = await proxy.event("metrics_listening");
  printed.push(await (await fetch(`http://${addr}/stats.json`)).text());
  const socket = `${proxy.folder}/admin.sock`;
  for (const command of [["status"], ["routes", "list", ADDR], ["firewall", "list"]]) {
    for (const json of [[], ["--json"]]) {
      const { code, stdout, stderr } = await runProgram(["ctl", ...command, "--addr", socket, ...json]);
      assert.equal(code, 0, stderr);
      printed.push(stdout, stderr);
    }
  }
  const add = ["routes", "add", ADDR, "new.test", h2.addr, "--mode", "l7", "--tls-cert", `${proxy.folder}/h1.test.pem`];
  const refused = await runProgram(["ctl", ...add, "--tls-key", key, "--addr", socket]);
  assert.equal(refused.code, 1);
  const { stdout, stderr } = await runProgram(["check", "-c", `${proxy.folder}/mc-proxy.toml`]);
  printed.push(refused.stdout, refused.stderr, stdout, stderr);
  proxy.signal("SIGTERM");
  await proxy.exit();

  const requests = proxy.log.seen.filter(({ event }) => event === "request");
  assert.ok(requests.length >= 18, `${requests.length} requests`);
  const base64 = whole.split("\n")[1] ?? "";
  const output = [...proxy.log.seen.map((line) => JSON.stringify(line)), ...proxy.stdout.seen, ...printed];
  for (const text of output) {
    for (const secret of [SECRET, base64, "PRIVATE KEY"]) assert.ok(!text.includes(secret), text.slice(0, 1_000));
  }
});
