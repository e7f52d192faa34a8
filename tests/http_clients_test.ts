import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { backendKeys, bytesOf, type Handler, HttpBackend, L7, VERSIONS } from "./harness/http.ts";
import { testEachEngine } from "./harness/proxy.ts";
import { runTool, type ToolResult } from "./harness/tools.ts";

// Clients that were written by others, run as their users run them.

const KINDS = ["h1", "h2c"] as const;

/** Tells of the request in the fields of the answer, and gives its body back, with trailers. */
const mirror: Handler = async (request, response) => {
  const body = await bytesOf(request);
  response.setHeader("x-method", String(request.method));
  response.setHeader("x-sum", createHash("sha256").update(body).digest("hex"));
  response.setHeader("x-trailer-seen", String(request.trailers["x-mine"] ?? ""));
  if (request.url === "/chunked") {
    response.setHeader("trailer", "x-length");
    response.write(body);
    response.addTrailers({ "x-length": String(body.length) });
  } else {
    response.setHeader("content-length", body.length);
    if (request.method !== "HEAD") response.write(body);
  }
  response.end();
};

interface Stand extends AsyncDisposable {
  readonly l7: L7;
  /** A file in the proxy's folder with this in it. */
  file(name: string, content: Uint8Array | string): string;
  /** Runs curl on a path of a host. */
  curl(host: string, path: string, ...args: string[]): Promise<ToolResult>;
}

async function stand(handler: Handler): Promise<Stand> {
  const backends = await Promise.all(KINDS.map((kind) => HttpBackend.start(kind, handler)));
  const l7 = await L7.start(backends.map(({ addr: backend }, i) => {
    const kind = KINDS[i] ?? "h1";
    return { hostname: `${kind}.test`, backend, ...backendKeys(kind) };
  }));
  const { hostname, port } = l7.proxy.address();
  const file = (name: string, content: Uint8Array | string) => {
    const path = `${l7.proxy.folder}/${name}`;
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    return path;
  };
  const ca = file("ca.pem", l7.authority.cert);
  return {
    l7,
    file,
    curl: (host, path, ...args) =>
      runTool("curl", [
        ...["--silent", "--show-error", "--no-progress-meter", "--cacert", ca, "--connect-to", `::${hostname}:${port}`],
        ...args,
        `https://${host}${path}`,
      ]),
    async [Symbol.asyncDispose]() {
      await l7[Symbol.asyncDispose]();
      for (const backend of backends) await backend[Symbol.asyncDispose]();
    },
  };
}

const CURL_VERSIONS = { h1: "--http1.1", h2: "--http2" } as const;

/** The value of a field in what curl or nghttp print. */
function field(text: string, name: string): string | undefined {
  return new RegExp(`^(?:.*\\(stream_id=\\d+\\) )?${name}: (.*?)\r?$`, "mi").exec(text)?.[1];
}

testEachEngine("curl gets, asks for heads, and posts bodies, with their length, in chunks and behind 100", async () => {
  await using test = await stand(mirror);
  const { curl, file } = test;
  const content = crypto.getRandomValues(new Uint8Array(50_000));
  const sum = createHash("sha256").update(content).digest("hex");
  const input = file("input", content);
  const output = file("output", "");
  for (const version of VERSIONS) {
    const flag = CURL_VERSIONS[version];
    for (const kind of KINDS) {
      const host = `${kind}.test`;
      const told = ["--write-out", "%{http_version} %{response_code} %{size_download}\n", "--output", output];
      const http = version === "h1" ? "1.1" : "2";

      const got = await curl(host, "/", flag, ...told);
      assert.deepEqual([got.code, got.stdout, got.stderr], [0, `${http} 200 0\n`, ""], `${flag} ${host}`);

      const head = await curl(host, "/", flag, "--head");
      assert.deepEqual([head.code, field(head.stdout, "x-method")], [0, "HEAD"], head.stderr);

      for (
        const how of [
          [],
          ["--header", "transfer-encoding: chunked"],
          ["--header", "expect: 100-continue", "--expect100-timeout", "60"],
        ]
      ) {
        for (const path of ["/", "/chunked"]) {
          const body = ["--data-binary", `@${input}`, "--header", "te: trailers", "--header", "connection: te"];
          const posted = await curl(host, path, flag, ...body, "--dump-header", "-", ...told, ...how);
          const at = `${flag} ${host}${path} ${how}`;
          assert.deepEqual([posted.code, posted.stderr], [0, ""], at);
          assert.ok(posted.stdout.endsWith(`${http} 200 50000\n`), posted.stdout);
          assert.equal(field(posted.stdout, "x-sum"), sum, at);
          assert.deepEqual(Deno.readFileSync(output), content, at);
          if (path === "/chunked") assert.equal(field(posted.stdout, "x-length"), "50000", `${at}: ${posted.stdout}`);
          if (how.includes("60")) assert.match(posted.stdout, /^HTTP\/[12.]+ 100/m, at);
        }
      }
    }
  }
}, ["curl"]);

testEachEngine("curl asks several times on one connection, and in parallel", async () => {
  await using test = await stand((_request, response) => void response.end("ok"));
  for (const version of VERSIONS) {
    const urls = Array.from({ length: 20 }, (_, i) => ["--output", "/dev/null", `https://h2c.test/${i}`]).flat();
    for (const parallel of [[], ["--parallel", "--parallel-immediate"]]) {
      const { code, stdout, stderr } = await test.curl(
        "h1.test",
        "/",
        CURL_VERSIONS[version],
        ...parallel,
        ...["--write-out", "%{response_code} %{num_connects}\n", "--output", "/dev/null"],
        ...urls,
      );
      assert.deepEqual([code, stderr], [0, ""]);
      const lines = stdout.trimEnd().split("\n");
      assert.deepEqual([lines.length, lines.filter((line) => !line.startsWith("200 "))], [21, []]);
      if (parallel.length === 0) { // one connection for each name
        assert.equal(lines.reduce((sum, line) => sum + Number(line.slice(4)), 0), 2, stdout);
      }
    }
  }
}, ["curl"]);

testEachEngine("nghttp sends trailers and gets some, and waits for 100", async () => {
  await using test = await stand(mirror);
  const input = test.file("input", "a body for nghttp");
  const { hostname, port } = test.l7.proxy.address();
  for (const kind of KINDS) {
    const { stdout } = await runTool("nghttp", [
      ...["--verbose", "--no-verify-peer", "--no-content-length", "--trailer=x-mine: yes", `--data=${input}`],
      ...["--expect-continue", "-H", `:authority: ${kind}.test`, `https://${hostname}:${port}/chunked`],
    ]);
    assert.match(stdout, /:status: 100[^]*:status: 200/, stdout);
    assert.match(stdout, /a body for nghttp/);
    assert.deepEqual([field(stdout, "x-trailer-seen"), field(stdout, "x-length")], ["yes", "17"], stdout);
  }
}, ["nghttp"]);

testEachEngine("h2load has every request answered, in HTTP/2 and HTTP/1.1", async () => {
  await using test = await stand((_request, response) => void response.end("ok"));
  const { hostname, port } = test.l7.proxy.address();
  const protocols = { h2: ["-m20"], h1: ["--h1"] };
  for (const version of VERSIONS) {
    for (const kind of KINDS) {
      const { stdout } = await runTool("h2load", [
        ...["-n2000", "-c20", ...protocols[version]],
        ...[`--connect-to=${hostname}:${port}`, `https://${kind}.test/`],
      ]);
      assert.match(
        stdout,
        /2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout/,
        stdout,
      );
      assert.match(stdout, /2000 2xx, 0 3xx, 0 4xx, 0 5xx/);
    }
  }
}, ["h2load"]);

testEachEngine("a client that TLS cannot agree with is told why by an alert", async () => {
  await using test = await stand(() => assert.fail("a request came"));
  const { hostname, port } = test.l7.proxy.address();
  const cases: [what: string, flags: string[], alert: RegExp][] = [
    ["no TLS above 1.1", ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], /alert (protocol version|handshake failure)/],
    ["no cipher in common", ["-tls1_2", "-cipher", "AES128-SHA"], /alert handshake failure/],
    ["no group in common", ["-tls1_3", "-groups", "ffdhe4096", "-sigalgs", "ed448"], /alert handshake failure/],
    ["no protocol in common", ["-alpn", "smtp"], /alert no application protocol/],
  ];
  for (const [what, flags, alert] of cases) {
    const { code, stderr } = await runTool("openssl", [
      ...["s_client", "-connect", `${hostname}:${port}`, "-servername", "h1.test", ...flags],
    ]);
    assert.equal(code, 1, what);
    assert.match(stderr, alert, `${what}: ${stderr}`);
    await test.l7.proxy.event("connection", { end: "tls_failed" });
  }
}, ["openssl"]);
