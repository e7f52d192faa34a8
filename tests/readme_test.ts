import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { buildMmdb } from "../lib/rules/testdata/build_mmdb.ts";
import { codeBlocks, shellLines } from "./harness/docs.ts";
import { administered } from "./harness/admin.ts";
import { authority, HttpBackend, L7, reflect } from "./harness/http.ts";
import { metricsUrl } from "./harness/metrics.ts";
import { Backend, connectTls, helloFor, readExactly, sayHello, writeAll } from "./harness/peers.ts";
import { Proxy, runProgram } from "./harness/proxy.ts";

const README = Deno.readTextFileSync(new URL("../README.md", import.meta.url));
const RUN = "npx -y deno@2.9.6 task -q mc-proxy ";

function blocks(language: string, text = README): string[] {
  return codeBlocks(text, language);
}

/** The command lines of the README that this test runs; the demo's are run by its own test. */
function commands(): string[] {
  return shellLines(README).filter((line) => line.startsWith(RUN) && !line.includes(" .dev/"));
}

Deno.test("the README's configuration is sound, and its commands do what they say", async () => {
  using backend = new Backend();
  await using www = await HttpBackend.start("h2c", reflect);
  const [example, , , ...others] = blocks("toml");
  assert.ok(example !== undefined && others.length === 0);
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const local = (text: string) => text.replaceAll("/srv/mc-proxy", folder);
  await Deno.mkdir(`${folder}/certs`);
  const pair = await (await authority()).issue({ hostnames: ["www.example.net"] });
  await Deno.writeTextFile(`${folder}/certs/www.pem`, pair.cert);
  await Deno.writeTextFile(`${folder}/certs/www.key`, pair.key);
  // Only what cannot be had in a test is other than in the README: the folder, the port and the backends.
  const config = local(example).replace('":443"', '"127.0.0.1:0"').replace("127.0.0.1:18443", backend.addr)
    .replace("127.0.0.1:8080", www.addr);
  await Deno.writeTextFile(`${folder}/config.toml`, config);

  const [check, server, snapshot, ...more] = commands().filter((line) => !isAdministration(line))
    .map((line) => local(line.slice(RUN.length)).split(" "));
  assert.ok(check && server && snapshot && more.length === 0, "every command of the README is run here");
  const checked = await runProgram(check);
  assert.equal(checked.code, 0, checked.stderr);
  assert.ok(checked.stdout.endsWith(`\n${folder}/config.toml: OK (1 listener, 3 routes)\n`), checked.stdout);
  // Whether the system's library has a post-quantum group is its own affair.
  assert.deepEqual(checked.stderr.split("\n").filter((line) => !line.includes("no post-quantum group")), [""]);

  await using proxy = Proxy.run(server, { folder, environment: { MCPROXY_LOG_FORMAT: "json" } });
  await proxy.event("ready");
  const hello = helloFor("git.example.net");
  using _client = await sayHello(proxy.address(), "git.example.net");
  using served = await backend.accept();
  assert.deepEqual(await readExactly(served, hello.length), hello);

  using page = await connectTls(proxy.address(), "www.example.net", (await authority()).cert, ["http/1.1"]);
  await writeAll(
    page,
    new TextEncoder().encode("GET / HTTP/1.1\r\nhost: www.example.net\r\nconnection: close\r\n\r\n"),
  );
  assert.match(await new Response(page.readable).text(), /^HTTP\/1\.1 200 [^]*"version":"2\.0"/);

  const saved = await runProgram(snapshot);
  assert.deepEqual([saved.code, saved.stderr], [0, ""]);
  assert.ok((await Deno.stat(`${folder}/backup.db`)).size > 0);
});

/** Whether a command is one of the example of changes at run time, or the takeover that comes behind it. */
function isAdministration(line: string): boolean {
  return line.startsWith(`${RUN}ctl `) || line.startsWith(`${RUN}status `) || isTakeover(line);
}

function isTakeover(line: string): boolean {
  return line.includes(" --takeover ");
}

/** The arguments of each takeover in docs/UPGRADE.md. */
function takeovers(): string[] {
  const page = Deno.readTextFileSync(new URL("../docs/UPGRADE.md", import.meta.url));
  return shellLines(page).map((line) => line.slice(RUN.length));
}

Deno.test("the README's server without a route is made to serve by its commands, which print what it says", async () => {
  const [, empty] = blocks("toml");
  const [expected] = blocks("text");
  assert.ok(empty !== undefined && expected !== undefined);
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  // Only what cannot be had in a test is other than in the README: the folder and the port.
  const local = (text: string) => text.replaceAll("/srv/mc-proxy", folder).replaceAll(/(?<!\d):443/g, "127.0.0.1:0");
  await Deno.writeTextFile(`${folder}/config.toml`, local(empty));
  const environment = { MCPROXY_LOG_FORMAT: "json" };
  await using proxy = Proxy.run(["server", "-c", `${folder}/config.toml`], { folder, environment });
  await proxy.event("ready");
  let printed = "";
  const lines = commands().filter((line) => isAdministration(line) && !isTakeover(line));
  assert.equal(lines.length, 5);
  for (const line of lines) {
    const { code, stdout, stderr } = await runProgram(local(line.slice(RUN.length)).split(" "));
    assert.deepEqual([code, stderr], [0, ""], line);
    printed += stdout;
  }
  // Columns are as wide as the port makes them.
  const plain = (text: string) => text.replaceAll(/ +/g, " ").replaceAll(/^(version|uptime|engine|tls) .*/gm, "$1");
  assert.equal(plain(printed), plain(local(expected)));
  assert.deepEqual((await proxy.log.findAll(3, ({ event }) => event === "change")).length, 3);
});

Deno.test({
  name: "the takeovers of the README and of docs/UPGRADE.md take over",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const [, empty] = blocks("toml");
    const lines = [...commands().filter(isTakeover).map((line) => line.slice(RUN.length)), ...takeovers()];
    assert.ok(empty !== undefined && lines.length === 3);
    const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
    const local = (text: string) => text.replaceAll("/srv/mc-proxy", folder).replaceAll(/":443"/g, '"127.0.0.1:0"');
    await Deno.writeTextFile(`${folder}/config.toml`, local(empty));
    const environment = { MCPROXY_LOG_FORMAT: "json" };
    let before = Proxy.run(["server", "-c", `${folder}/config.toml`], { folder, environment });
    await before.event("ready");
    for (const line of lines) {
      const next = Proxy.run(local(line).split(" "), { folder, environment });
      await next.event("took_over");
      assert.equal((await before.exit()).code, 0);
      before = next;
    }
    await before[Symbol.asyncDispose]();
  },
});

Deno.test("the README's metrics are there, and so is its health check", async () => {
  const [, empty, metrics] = blocks("toml");
  const curls = shellLines(README).filter((line) => line.includes(":9090"));
  assert.ok(empty !== undefined && metrics !== undefined && curls.length === 2);
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const local = (text: string) => text.replaceAll("/srv/mc-proxy", folder).replaceAll(/":443"/g, '"127.0.0.1:0"');
  await Deno.writeTextFile(`${folder}/config.toml`, local(empty) + metrics.replace(":9090", ":0"));
  const environment = { MCPROXY_LOG_FORMAT: "json" };
  await using proxy = Proxy.run(["server", "-c", `${folder}/config.toml`], { folder, environment });
  await proxy.event("ready");
  const { host } = new URL(await metricsUrl(proxy));
  for (const line of curls) {
    const response = await fetch(line.replace("curl ", "").replace("127.0.0.1:9090", host));
    assert.equal(response.status, 200, line);
    assert.match(await response.text(), line.endsWith("/readyz") ? /^ok\n$/ : /^mcproxy_build_info\{/m);
  }
});

/** The names within a document, and what kind each value is of; of an array, its first item's. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shapeOf(each)]));
}

Deno.test("what --json prints has the shapes of docs/CTL.md", async () => {
  const documents = blocks("json", Deno.readTextFileSync(new URL("../docs/CTL.md", import.meta.url)));
  const [route, server, counted, applied, ...others] = documents;
  assert.ok(route !== undefined && server !== undefined && counted !== undefined && applied !== undefined);
  assert.equal(others.length, 0);
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  await Deno.writeFile(
    `${folder}/geo.mmdb`,
    buildMmdb([{ cidr: "192.0.2.0/24", record: { country: { iso_code: "NL" } } }]),
  );
  const pair = await (await authority()).issue({ hostnames: ["c.test"] });
  await Deno.writeTextFile(`${folder}/c.pem`, pair.cert);
  await Deno.writeTextFile(`${folder}/c.key`, pair.key);
  await using test = await administered(
    [{ hostname: "a.test", backend: "127.0.0.1:1" }, {
      hostname: "c.test",
      backend: "127.0.0.1:1",
      mode: "l7",
      tls_cert: "c.pem",
      tls_key: "c.key",
    }],
    { firewall: { geoip_db: "geo.mmdb" } },
    { folder },
  );
  using refused = await sayHello(test.proxy.address(), "b.test");
  await test.proxy.end(refused); // so that there is a reason
  const json = async (...args: string[]) =>
    JSON.parse((await runProgram(["ctl", "--addr", test.socket, "--json", ...args])).stdout);
  assert.deepEqual(shapeOf(await json("routes", "list")), shapeOf([JSON.parse(route)]));
  assert.deepEqual(shapeOf(await json("status")), shapeOf(JSON.parse(server)));
  const listed = shapeOf(await json("listeners", "list"));
  assert.deepEqual(listed, shapeOf(JSON.parse(server).listeners));
});

Deno.test("the program of docs/CTL.md prints what it says", async () => {
  const text = Deno.readTextFileSync(new URL("../docs/CTL.md", import.meta.url));
  const [[program], [expected]] = [blocks("ts ignore", text), blocks("text", text)];
  assert.ok(program !== undefined && expected !== undefined);
  await using test = await administered();
  const file = `${test.proxy.folder}/program.ts`;
  // Only what cannot be had in a test is other than in the document: the socket and the port.
  const local = program.replace("/srv/mc-proxy/mc-proxy.sock", test.socket).replace('":443"', `"${test.addr}"`);
  await Deno.writeTextFile(file, local);
  const config = fileURLToPath(new URL("../deno.json", import.meta.url));
  const args = ["run", "--quiet", "--no-prompt", "--allow-all", "--config", config, file];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const decoder = new TextDecoder();
  assert.deepEqual([code, decoder.decode(stdout), decoder.decode(stderr)], [0, expected, ""]);
});

/** A document with arrays and counts as they may be, where one has none: what of them there is differs. */
function keysOf(value: unknown): unknown {
  return typeof value === "object" && value !== null ? Object.keys(value) : value;
}

Deno.test("what ctl top --json prints has the keys of docs/CTL.md", async () => {
  const [, , counted = ""] = blocks("json", Deno.readTextFileSync(new URL("../docs/CTL.md", import.meta.url)));
  const documented = JSON.parse(counted);
  await using origin = await HttpBackend.start("h2c", reflect);
  await using test = await L7.start([{ hostname: "www.test", backend: origin.addr }]);
  using peer = await test.connect("h2", "www.test");
  await peer.ask({ path: "/" });
  const folder = await Deno.makeTempDir({ prefix: "mc-proxy-" });
  const arguments_ = ["ctl", "top", "--json", "--addr", `${test.proxy.folder}/admin.sock`];
  await using top = Proxy.run(arguments_, { folder });
  const printed = JSON.parse(await top.stdout.find(() => true));
  assert.deepEqual(keysOf(printed), keysOf(documented));
  for (const key of ["listeners", "backends", "hostnames", "certificates"]) {
    assert.deepEqual(keysOf(printed[key][0]), keysOf(documented[key][0]), key);
  }
  assert.deepEqual([printed.dial_bounds, printed.request_bounds], [documented.dial_bounds, documented.request_bounds]);
  assert.equal(printed.backends[0].dials.buckets.length, documented.backends[0].dials.buckets.length);
  assert.equal(printed.hostnames[0].requests.buckets.length, documented.hostnames[0].requests.buckets.length);
});

Deno.test("the README's table of commands is that of --help", async () => {
  const { stdout } = await runProgram(["--help"]);
  const helped = Array.from(stdout.matchAll(/^ {2}(\w+) /gm), ([, name]) => name).sort();
  const table = Array.from(README.matchAll(/^\| `(\w+)[^`]*` +\| (?!both)/gm), ([, name]) => name);
  for (const name of helped) assert.ok(table.includes(name), `${name} is missing in the README`);
});

Deno.test("the README's test command is the one that CI runs", async () => {
  const lines = shellLines(README);
  const test = lines.find((line) => line.endsWith("task test"));
  assert.ok(test);
  const ci = await Deno.readTextFile(new URL("../.ci/run", import.meta.url));
  // Its output may be kept beside; what it ends with is what counts (pipefail).
  assert.match(ci, /^set -euo pipefail$/m);
  assert.ok(ci.split("\n").some((line) => line.replace(/ \| tee "\$\w+"$/, "") === test));
});

Deno.test("every end of a connection is in the README", async () => {
  const sources = await Promise.all(
    ["counters.ts", "engine.ts"].map((name) => Deno.readTextFile(new URL(`../lib/edge/${name}`, import.meta.url))),
  );
  const reasons = /REJECT_REASONS = \[(.*?)\]/s.exec(sources[0] ?? "")?.[1] ?? "";
  const served = /type ServedEnd =\s(.*?);/s.exec(sources[1] ?? "")?.[1] ?? "";
  const names = Array.from(`${reasons}${served}`.matchAll(/"(\w+)"/g), ([, name]) => name);
  assert.ok(names.length > 20);
  for (const name of names) assert.ok(README.includes(`\`${name}\``), `${name} is missing in the README`);
});
