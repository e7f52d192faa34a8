import assert from "node:assert/strict";
import { connect } from "node:http2";
import { codeBlocks } from "./harness/docs.ts";
import { authority, HttpBackend, reflect, valuesOf } from "./harness/http.ts";
import { Proxy, runProgram } from "./harness/proxy.ts";

const PAGE = await Deno.readTextFile(new URL("../docs/HTTP.md", import.meta.url));

function blocks(language: string): string[] {
  return codeBlocks(PAGE, language);
}

async function source(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(`../lib/${path}`, import.meta.url));
}

Deno.test("the configuration of docs/HTTP.md is sound, and its routes serve", async () => {
  const signer = await authority();
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  await Deno.mkdir(`${folder}/certs`);
  const names = { www: "www.example.net", old: "old.example.net", api: "*.api.example.net" };
  for (const [name, hostname] of Object.entries(names)) {
    const { cert, key } = await signer.issue({ hostnames: [hostname] });
    await Deno.writeTextFile(`${folder}/certs/${name}.pem`, cert);
    await Deno.writeTextFile(`${folder}/certs/${name}.key`, key);
  }
  await Deno.writeTextFile(`${folder}/certs/internal-ca.pem`, signer.cert);
  await using h2c = await HttpBackend.start("h2c", reflect);
  await using h1 = await HttpBackend.start("h1", reflect);
  await using h2s = await HttpBackend.start("h2s", reflect, {
    tls: await signer.issue({ hostnames: ["api.internal"] }),
  });
  const [example = "", , ...others] = blocks("toml"); // the second is of backends that are asked for the client's name
  assert.deepEqual(others, []);
  // Only what cannot be had in a test is other than on the page: the folder, the port and the backends.
  const config = example.replaceAll("/srv/mc-proxy", folder).replace('":443"', '"127.0.0.1:0"')
    .replace("127.0.0.1:8080", h2c.addr).replace("127.0.0.1:8081", h1.addr).replace("10.0.0.7:8443", h2s.addr);
  await Deno.writeTextFile(`${folder}/config.toml`, config);
  const checked = await runProgram(["check", "-c", `${folder}/config.toml`]);
  assert.equal(checked.code, 0, checked.stderr);
  assert.ok(checked.stdout.endsWith(`\n${folder}/config.toml: OK (1 listener, 3 routes)\n`), checked.stdout);
  // Whether the system's library has a post-quantum group is its own affair.
  assert.deepEqual(checked.stderr.split("\n").filter((line) => !line.includes("no post-quantum group")), [""]);

  const environment = { MCPROXY_LOG_FORMAT: "json" };
  await using proxy = Proxy.run(["server", "-c", `${folder}/config.toml`], { folder, environment });
  await proxy.event("ready");
  const { hostname: host, port } = proxy.address();
  const ask = async (servername: string, fields: Record<string, string> = {}) => {
    const session = connect(`https://${host}:${port}`, { servername, ca: signer.cert });
    try {
      const stream = session.request({ ":authority": servername, ...fields });
      const { promise: status, resolve } = Promise.withResolvers<number>();
      stream.on("response", (head) => resolve(Number(head[":status"])));
      const body = (await stream.setEncoding("utf8").toArray()).join("");
      return { status: await status, body };
    } finally {
      session.destroy();
    }
  };
  for (const [name, version] of [["www", "2.0"], ["old", "1.1"], ["v1.api", "2.0"]]) {
    const { status, body } = await ask(`${name}.example.net`);
    assert.equal(status, 200, body);
    const seen = JSON.parse(body);
    assert.equal(seen.version, version);
    assert.deepEqual(valuesOf(seen, "x-forwarded-host"), [`${name}.example.net`]);
  }
  const refused = await ask("www.example.net", { "user-agent": "BadBot/1" });
  assert.equal(refused.status, 403);
  assert.match(refused.body, /^403 Forbidden\nrequest id: [0-9a-f-]{36}\n$/);
});

Deno.test("the error page and the log line of docs/HTTP.md have the shape of real ones", async () => {
  const [page = "", line = "", ...others] = blocks("text");
  assert.deepEqual(others, []);
  assert.match(page, /^502 Bad Gateway\nrequest id: [0-9a-f-]{36}\n$/);
  const lines = await source("edge/ended_lines.ts");
  const body = /"request"\);(.*?)writer\.end\(\)/s.exec(lines)?.[1] ?? "";
  const fields = Array.from(body.matchAll(/^ {4}writer\.\w+\("(\w+)"/gm), ([, name]) => name ?? "");
  assert.ok(fields.length >= 15);
  const shown = Array.from(line.matchAll(/ (\w+)=/g), ([, name]) => name ?? "");
  assert.deepEqual(shown, fields.filter((name) => shown.includes(name)), "in the order of real lines");
  const table = PAGE.slice(PAGE.indexOf("## The access log"));
  for (const name of fields) assert.ok(table.includes(`\`${name}\``), `${name} is not explained`);
});

Deno.test("the statuses of docs/HTTP.md are those that the program answers with", async () => {
  const { ERROR_TITLES } = await import("../lib/edge/http/error_page.ts");
  const rules = await source("wire/_http1_error.ts");
  const answered = new Set([
    ...Object.keys(ERROR_TITLES),
    ...Array.from(rules.matchAll(/^ {2}\w+: (\d{3}),$/gm), ([, status]) => status),
    "417", // of http1_request.ts
  ]);
  const told = Array.from(PAGE.matchAll(/^\| (\d{3}) /gm), ([, status]) => status);
  assert.deepEqual(told, [...answered].sort());
});

/** What the page says, and the line of the source that says so. */
const NUMBERS = [
  ["64 KiB, 256 fields", "edge/http/head_limits.ts", "{ maxLength: 64 * 1024, maxFields: 256 }"],
  ["the target 8,192 octets", "wire/_http1_start_line.ts", "MAX_TARGET_LENGTH = 8192;"],
  ["requests of one HTTP/2 connection at once *\\| 128 ", "edge/http/http2/server.ts", "MAX_CONCURRENT_STREAMS = 128;"],
  ["512 KiB a request, 2 MiB a connection", "edge/http/http2/stream.ts", "MAX_RECEIVE_WINDOW = 512 * 1024;"],
  ["512 KiB a request, 2 MiB a connection", "edge/http/http2/server.ts", "RECEIVE_WINDOW = 2 * 1024 * 1024;"],
  ["the same in HTTP/1.1 *\\| 64 KiB", "edge/http/http1/input.ts", "MAX_OUTSTANDING = 64 * 1024;"],
  ["500 at once, 100 a second beyond", "edge/http/waste_limit.ts", "BURST = 500;"],
  ["500 at once, 100 a second beyond", "edge/http/waste_limit.ts", "PER_SECOND = 100;"],
  ["10,000 at once, 100 a second", "edge/http/http2/noise.ts", "BURST = 10_000;\nconst PER_SECOND = 100;"],
  ["`backend_max_connections`, 1,024 by default", "control/config_types.ts", "BACKEND_MAX_CONNECTIONS = 1_024;"],
  ["taken up by WebSockets or for 10 s or more", "edge/http/backend/room.ts", "LONG_MS = 10_000;"],
  ["2,048, of one client 1,024, for `connect_timeout`", "edge/http/backend/pool.ts", "MAX_WAITING = 2_048;"],
  [
    "2,048, of one client 1,024, for `connect_timeout`",
    "edge/http/backend/pool.ts",
    "MAX_WAITING_OF_CLIENT = MAX_WAITING / 2;",
  ],
  ["for `connect_timeout` and 1 s", "edge/http/backend/pool.ts", "GRACE_MS = 1_000;"],
  ["kept for 60 s without a request", "edge/http/backend/pool.ts", "IDLE_MS = 60_000;"],
  ["looked at every 5 seconds", "control/certificate_files.ts", "POLL_MS = 5_000;"],
  ["within 14 days", "control/certificate_warnings.ts", "SOON_MS = 14 * DAY_MS;"],
  ["RSA of 2048 to\\s8192 bits", "control/certificates.ts", "modulusLength >= 2048 && modulusLength <= 8192;"],
  ["1 to 128 of `A-Z a-z 0-9 _ . : \\+ / = @ -`", "edge/http/forwarding.ts", "/^[\\w.:+/=@-]{1,128}$/;"],
  ["the first 1,024 characters", "edge/http/exchange.ts", "MAX_LOGGED_PATH = 1_024;"],
  ["its first 256 characters", "edge/http/exchange.ts", "MAX_LOGGED_USER_AGENT = 256;"],
] as const;

Deno.test("the numbers of docs/HTTP.md are those of the program", async () => {
  for (const [said, path, line] of NUMBERS) {
    assert.match(PAGE, new RegExp(said), said);
    assert.ok(
      (await source(path)).includes(line),
      `${path} no longer has ${line}, of which docs/HTTP.md says: ${said}`,
    );
  }
});
