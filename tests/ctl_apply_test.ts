/** `ctl diff` and `ctl apply`: a configuration in a file, and the server that is to follow it. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { dirname, relative } from "node:path";
import { stringify } from "smol-toml";
import { loadConfig } from "../lib/control/config.ts";
import { encodeProxyHeaderV2 } from "../lib/wire/proxy_protocol.ts";
import { parseIpAddress } from "../lib/wire/ip_address.ts";
import { ADDR, administered } from "./harness/admin.ts";
import { HttpBackend, L7, reflect } from "./harness/http.ts";
import { Backend, connectRefused, endSeen, helloFor, readExactly, sayHello, writeAll } from "./harness/peers.ts";
import { type CommandResult, Proxy, runProgram, testEachEngine } from "./harness/proxy.ts";

type Table = Readonly<Record<string, unknown>>;

function done(...lines: string[]): CommandResult {
  return { code: 0, stdout: lines.map((line) => `${line}\n`).join(""), stderr: "" };
}

/** Writes a file that is kept elsewhere than the server's. */
function fileOf({ proxy: { folder } }: { readonly proxy: Proxy }, config: Table, name = "wanted.toml"): string {
  const file = `${folder}/${name}`;
  const toml = stringify({ database: { path: "mc-proxy.db" }, grpc: { addr: `${folder}/admin.sock` }, ...config });
  Deno.writeTextFileSync(file, toml);
  return file;
}

/** All that the database holds. */
function dump({ proxy }: { readonly proxy: Proxy }): unknown {
  const db = new DatabaseSync(`${proxy.folder}/mc-proxy.db`);
  try {
    const tables = ["listeners", "routes", "l7_policies", "firewall_rules"];
    return tables.map((table) => db.prepare(`SELECT * FROM ${table}`).all().map((row) => ({ ...row })));
  } finally {
    db.close();
  }
}

const A = { hostname: "a.test", backend: "127.0.0.1:1" };
const B = { hostname: "b.test", backend: "127.0.0.1:2" };

/** Files for a server with the routes {@linkcode A} and {@linkcode B} and one rule, and the lines that tell the difference. */
const DIFFERENCES: readonly (readonly [what: string, config: Table, ...lines: string[]])[] = [
  [
    "a new route",
    { routes: [A, B, { hostname: "*.c.test", backend: "c.test:3", send_proxy_protocol: true }] },
    `+ route *.c.test on ${ADDR}: c.test:3 send_proxy_protocol`,
  ],
  ["a route less", { routes: [B] }, `- route a.test on ${ADDR}: 127.0.0.1:1`],
  [
    "another backend",
    { routes: [A, { ...B, backend: "b.test:2" }] },
    `~ route b.test on ${ADDR}: backend 127.0.0.1:2 -> b.test:2`,
  ],
  [
    "other settings",
    { routes: [{ ...A, send_proxy_protocol: true, tls_cert: "/x y" }, B] },
    `~ route a.test on ${ADDR}: send_proxy_protocol false -> true, tls_cert "" -> "/x y"`,
  ],
  ["a limit", { max_connections: 9 }, `~ listener ${ADDR}: max_connections 0 -> 9`],
  ["a PROXY header", { proxy_protocol: true }, `~ listener ${ADDR}: proxy_protocol false -> true`],
  [
    "another listener",
    { addr: "localhost:0" },
    "+ listener localhost:0",
    `- listener ${ADDR}`,
    "+ route a.test on localhost:0: 127.0.0.1:1",
    "+ route b.test on localhost:0: 127.0.0.1:2",
    `- route a.test on ${ADDR}: 127.0.0.1:1`,
    `- route b.test on ${ADDR}: 127.0.0.1:2`,
  ],
  ["another rule", { blocked_cidrs: ["2001:DB8::/32"] }, "+ firewall cidr 2001:db8::/32"],
  ["a rule less", { blocked_ips: [] }, "- firewall ip 192.0.2.1"],
];

/** A file from what {@linkcode DIFFERENCES} changes in it. */
function configOf({ blocked_ips = ["192.0.2.1"], blocked_cidrs = [], ...listener }: Table): Table {
  const listeners = [{ addr: ADDR, routes: [A, B], ...listener }];
  return { listeners, firewall: { blocked_ips, blocked_cidrs } };
}

Deno.test("diff tells every kind of difference, and apply --prune leaves none", async () => {
  await using test = await administered([A, B], { firewall: { blocked_ips: ["192.0.2.1"] } });
  const same = fileOf(test, configOf({}), "same.toml");
  const stored = loadConfig(same).config;
  const ctl = (...args: string[]) => runProgram(["ctl", ...args]);
  const linesOf = ({ stdout }: CommandResult) => stdout.trimEnd().split("\n").slice(0, -1).sort();
  assert.deepEqual(await ctl("diff", same), done("no differences"));
  for (const [what, changed, ...lines] of DIFFERENCES) {
    const file = fileOf(test, configOf(changed));
    const diff = await ctl("diff", file);
    assert.deepEqual([diff.code, linesOf(diff)], [1, lines.toSorted()], what);
    const applied = await ctl("apply", "--prune", file);
    assert.deepEqual([applied.code, linesOf(applied)], [0, lines.toSorted()], what);
    const wanted = loadConfig(file).config;
    assert.deepEqual((await test.admin.apply(wanted, { prune: true })).plan, { listeners: [], routes: [], rules: [] });
    await test.admin.apply(stored, { prune: true });
  }
  assert.deepEqual(await ctl("diff", same), done("no differences"));
});

Deno.test("apply --dry-run prints what apply would, and changes nothing", async () => {
  await using test = await administered([A, B], { firewall: { blocked_ips: ["192.0.2.1"] } });
  const file = fileOf(test, configOf({ routes: [{ ...B, backend: "b.test:1" }], blocked_cidrs: ["10.0.0.0/8"] }));
  const before = [dump(test), await test.admin.getStatus()];
  const [diff, all, some] = await Promise.all([["diff"], ["apply", "--prune", "--dry-run"], ["apply", "--dry-run"]]
    .map((args) => runProgram(["ctl", ...args, file])));
  assert.deepEqual(all, { ...diff, code: 0 });
  assert.deepEqual(
    some,
    done(
      `~ route b.test on ${ADDR}: backend 127.0.0.1:2 -> b.test:1`,
      "+ firewall cidr 10.0.0.0/8",
      "1 to add, 1 to change, 0 to remove; 1 that the file lacks stays without --prune",
    ),
  );
  assert.deepEqual([dump(test), await test.admin.getStatus()], before);
  assert.deepEqual(test.proxy.log.seen.filter(({ event }) => event === "change"), []);
});

Deno.test("apply says what it did, what it left, and in --json each change before and after", async () => {
  await using test = await administered([A, B], { firewall: { blocked_ips: ["192.0.2.1"] } });
  const c = { hostname: "c.test", backend: "127.0.0.1:3" };
  const file = fileOf(test, {
    listeners: [{ addr: ADDR, max_connections: 5, routes: [{ ...A, backend: "[::1]:4" }, c] }],
  });
  const apply = (...args: string[]) => runProgram(["ctl", "apply", file, ...args]);
  const lines = [
    `~ listener ${ADDR}: max_connections 0 -> 5`,
    `~ route a.test on ${ADDR}: backend 127.0.0.1:1 -> [::1]:4`,
    `+ route c.test on ${ADDR}: 127.0.0.1:3`,
  ];
  const left = "2 that the file lacks stay without --prune";
  assert.deepEqual(await apply("--dry-run"), done(...lines, `1 to add, 2 to change, 0 to remove; ${left}`));
  assert.deepEqual(await apply(), done(...lines, `1 added, 2 changed, 0 removed; ${left}`));
  assert.deepEqual(await apply(), done(`nothing to change; ${left}`));
  const { code, stdout } = await apply("--prune", "--json");
  const { routes, ...rest } = JSON.parse(stdout);
  assert.deepEqual([code, rest], [0, {
    result: "applied",
    added: 0,
    changed: 0,
    removed: 2,
    kept: 0,
    listeners: [],
    rules: [{ before: { type: "ip", value: "192.0.2.1" }, after: null }],
    opening: [],
    closing: [],
    warnings: [],
  }]);
  assert.deepEqual([routes.length, routes[0].before.hostname, routes[0].after], [1, "b.test", null]);
  assert.equal(JSON.parse((await apply("--json")).stdout).result, "unchanged");
  assert.equal(JSON.parse((await apply("--json", "--dry-run")).stdout).result, "planned");
  assert.equal(JSON.parse((await runProgram(["ctl", "diff", file, "--json"])).stdout).result, "equal");

  const changes = await test.proxy.log.findAll(7, ({ event }) => event === "change");
  assert.deepEqual(
    changes.map(({ what, listener, hostname, old, new: now, added, changed, removed }) =>
      [what, listener, hostname, old, now, added, changed, removed].filter((each) => each !== undefined).join(" ")
    ),
    [
      `listener_set ${ADDR} proxy_protocol=false max_connections=0 proxy_protocol=false max_connections=5`,
      `route_set ${ADDR} a.test 127.0.0.1:1 l4 [::1]:4 l4`,
      `route_set ${ADDR} c.test 127.0.0.1:3 l4`,
      "applied 1 2 0",
      `route_removed ${ADDR} b.test 127.0.0.1:2 l4`,
      "firewall_rule_removed ip 192.0.2.1",
      "applied 0 0 2",
    ],
  );
});

Deno.test("a mistake in the last route, and nothing of the file is applied", async () => {
  await using test = await administered([A, B]);
  const { folder } = test.proxy;
  const routes = Array.from({ length: 50 }, (_, i) => ({ hostname: `h${i}.test`, backend: "127.0.0.1:1" }));
  const before = [dump(test), await test.admin.getStatus()];
  for (
    const [last, message] of [
      [
        { hostname: "b.test", backend: "127.0.0.1" },
        /routes\[50\]\.backend \(b\.test\): "127\.0\.0\.1" is no backend; /,
      ],
      [
        { hostname: "c.test", backend: "127.0.0.1:1", mode: "l7", tls_cert: "c.pem", tls_key: "c.key" },
        new RegExp(
          `routes\\[50\\]\\.tls_cert \\(c\\.test\\): ${folder}/c\\.pem: does not exist\\n.*tls_key \\(c\\.test\\): ${folder}/c\\.key: `,
        ),
      ],
    ] as const
  ) {
    const file = fileOf(test, { listeners: [{ addr: ADDR, routes: [...routes, last] }] });
    for (
      const [code, ...args] of [[1, "apply"], [1, "apply", "--prune"], [1, "apply", "--dry-run"], [2, "diff"]] as const
    ) {
      const failed = await runProgram(["ctl", ...args, file]);
      assert.deepEqual([failed.code, failed.stdout], [code, ""]);
      assert.match(failed.stderr, message);
      assert.match(failed.stderr.slice(file.length), /^: line 2\d\d: listeners\[0\]\.routes\[50\]\./);
    }
  }
  assert.deepEqual([dump(test), await test.admin.getStatus()], before);
  assert.deepEqual(test.proxy.log.seen.filter(({ event }) => event === "change"), []);
});

Deno.test("all that is wrong with a file is told at once, as check tells it", async () => {
  await using test = await administered([A]);
  const file = fileOf(test, {
    listeners: [{ addr: ADDR, routes: [{ ...A, mod: "l4" }, { ...B, backend: "b" }], colour: "red" }],
    firewall: { blocked_ips: ["192.0.2.0/24"] },
    proxies: {},
  });
  const [check, diff, apply] = await Promise.all([["check", "-c"], ["ctl", "diff"], ["ctl", "apply"]]
    .map((args) => runProgram([...args, file])));
  assert.deepEqual(check?.stderr.trimEnd().split("\n").map((line) => line.split(": ")[2]).sort(), [
    "firewall.blocked_ips[0]",
    `listeners[0].colour (${ADDR})`,
    "listeners[0].routes[0].mod (a.test)",
    "listeners[0].routes[1].backend (b.test)",
    "proxies",
  ]);
  assert.deepEqual(diff, { ...check, code: 2 });
  assert.deepEqual(apply, check);
});

Deno.test("diff fails with 2, and apply with 1, where there is no server or no file", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const file = `${folder}/wanted.toml`;
  Deno.writeTextFileSync(file, stringify({ database: { path: "x.db" }, listeners: [{ addr: ADDR }] }));
  for (const [command, code] of [["diff", 2], ["apply", 1]] as const) {
    const nobody = await runProgram(["ctl", command, "--addr", `${folder}/none.sock`, file]);
    const message = `mc-proxy: no admin API at ${folder}/none.sock (is the server running?)\n`;
    assert.deepEqual(nobody, { code, stdout: "", stderr: message });
    const missing = await runProgram(["ctl", command, `${folder}/none.toml`]);
    assert.deepEqual(missing, { code, stdout: "", stderr: `${folder}/none.toml: does not exist\n` });
    assert.equal((await runProgram(["ctl", command])).code, 2);
  }
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("files that the routes name are looked for beside the file, wherever the command is run", async () => {
  await using origin = await HttpBackend.start("h2c", reflect);
  await using test = await L7.start([]);
  const { tls_cert, tls_key } = await test.certificate("www.test");
  const { folder } = test.proxy;
  const route = { hostname: "www.test", backend: origin.addr, mode: "l7" };
  const policies = [{ type: "block_user_agent", value: "BadBot" }, { type: "require_header", value: "X-Key" }];
  const file = fileOf(test, {
    listeners: [{
      addr: ADDR,
      routes: [{
        ...route,
        tls_cert: relative(folder, tls_cert),
        tls_key: relative(folder, tls_key),
        l7_policies: policies,
      }],
    }],
  });
  assert.notEqual(Deno.cwd(), dirname(file));
  const applied = await runProgram(["ctl", "apply", relative(Deno.cwd(), file)]);
  assert.deepEqual(
    applied,
    done(
      `+ route www.test on ${ADDR}: ${origin.addr} l7 tls_cert=${tls_cert} tls_key=${tls_key} ` +
        `block_user_agent="BadBot" require_header="X-Key"`,
      "1 added, 0 changed, 0 removed",
    ),
  );
  using peer = await test.connect("h2", "www.test");
  assert.equal((await peer.ask({ path: "/" })).status, 403);
  assert.equal((await peer.ask({ path: "/", headers: { "x-key": "1" } })).status, 200);

  const other = fileOf(test, {
    listeners: [{ addr: ADDR, routes: [{ ...route, tls_cert, tls_key, l7_policies: policies.slice(0, 1) }] }],
  });
  assert.deepEqual(
    await runProgram(["ctl", "apply", other]),
    done(
      `~ route www.test on ${ADDR}: l7_policies ${JSON.stringify(policies)} -> ${JSON.stringify(policies.slice(0, 1))}`,
      "0 added, 1 changed, 0 removed",
    ),
  );
  assert.equal((await peer.ask({ path: "/" })).status, 200, "policies hold for the next request of an open connection");
});

testEachEngine("open connections keep their route, new ones take the file's", async () => {
  using old = new Backend();
  using now = new Backend();
  await using test = await administered([{ hostname: "a.test", backend: old.addr }]);
  const hello = helloFor("a.test");
  using open = await sayHello(test.proxy.address(), "a.test");
  using served = await old.accept();
  await readExactly(served, hello.length);
  const file = fileOf(test, {
    listeners: [{ addr: ADDR, max_connections: 2, routes: [{ hostname: "a.test", backend: now.addr }] }],
    firewall: { blocked_ips: ["127.0.0.2"] },
  });
  assert.equal((await runProgram(["ctl", "apply", file])).code, 0);
  using fresh = await sayHello(test.proxy.address(), "a.test");
  using servedNow = await now.accept();
  assert.deepEqual(await readExactly(servedNow, hello.length), hello);
  await writeAll(open, new TextEncoder().encode("old"));
  await writeAll(served, new TextEncoder().encode("OLD"));
  assert.equal(new TextDecoder().decode(await readExactly(served, 3)), "old");
  assert.equal(new TextDecoder().decode(await readExactly(open, 3)), "OLD");
  await connectRefused(test.proxy.address()); // the listener is at its limit
  void fresh;
});

testEachEngine("whether a PROXY header must be there changes at once, and for new connections", async () => {
  using backend = new Backend();
  const route = { hostname: "a.test", backend: backend.addr };
  await using test = await administered([route]);
  const hello = helloFor("a.test");
  const served = async () => {
    using conn = await backend.accept();
    assert.deepEqual(await readExactly(conn, hello.length), hello);
  };
  const apply = async (proxy_protocol: boolean) => {
    const file = fileOf(test, { listeners: [{ addr: ADDR, proxy_protocol, routes: [route] }] });
    assert.equal((await runProgram(["ctl", "apply", file])).code, 0);
  };
  await apply(true);
  using without = await sayHello(test.proxy.address(), "a.test");
  await endSeen(without);
  const address = parseIpAddress("192.0.2.7");
  assert.ok(address);
  const header = encodeProxyHeaderV2({ source: { address, port: 7 }, destination: { address, port: 443 } });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: test.proxy.address().port });
  await writeAll(conn, header);
  await writeAll(conn, hello);
  await served();
  await apply(false);
  using again = await sayHello(test.proxy.address(), "a.test");
  await served();
  void again;
});

Deno.test("a listener is added at the next start, with its routes, and removed at the one after", async () => {
  using backend = new Backend();
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  const config = `${folder}/mc-proxy.toml`;
  const start = async () => {
    const proxy = Proxy.run(["server", "-c", config], { folder });
    await proxy.event("ready");
    return proxy;
  };
  const write = (...listeners: Table[]) => {
    const settings = { database: { path: "x.db" }, grpc: { addr: `${folder}/admin.sock` }, log: { format: "json" } };
    Deno.writeTextFileSync(config, stringify({ ...settings, listeners }));
  };
  const opens = "warning: listener localhost:0 opens when the server is started again\n";
  const closes = `warning: listener ${ADDR} closes when the server is started again, and has no routes until then\n`;
  const first = { addr: ADDR, routes: [A] };
  const second = { addr: "localhost:0", routes: [{ hostname: "a.test", backend: backend.addr }] };
  const ctl = (...args: string[]) => runProgram(["ctl", ...args, "-c", config]);

  write(first);
  const one = await start();
  write(first, second);
  const applied = await ctl("apply", config);
  assert.deepEqual([applied.code, applied.stderr], [0, opens]);
  assert.deepEqual(await ctl("diff", config), { code: 0, stdout: "no differences\n", stderr: opens });
  const refused = await ctl("routes", "add", "localhost:0", "b.test", "127.0.0.1:1");
  assert.deepEqual(refused, {
    code: 1,
    stdout: "",
    stderr:
      'mc-proxy: listener "localhost:0" opens when the server is started again; until then "ctl apply" changes it\n',
  });
  one.signal("SIGTERM");
  await one.exit();

  const two = await start();
  assert.equal(two.log.seen.find(({ event }) => event === "config_differs"), undefined);
  {
    using _client = await sayHello(two.address(1), "a.test");
    using served = await backend.accept();
    await readExactly(served, helloFor("a.test").length);
  }
  assert.deepEqual(await ctl("diff", config), done("no differences"));
  write(second);
  const pruned = await ctl("apply", "--prune", config);
  assert.deepEqual([pruned.code, pruned.stderr], [0, closes]);
  using nowhere = await sayHello(two.address(0), "a.test");
  await endSeen(nowhere);
  assert.equal((await two.end(nowhere))["end"], "no_route");
  const status = JSON.parse((await ctl("listeners", "list", "--json")).stdout);
  assert.deepEqual(status.map(({ addr, route_count }: Table) => [addr, route_count]), [[ADDR, 0], ["localhost:0", 1]]);
  two.signal("SIGTERM");
  await two.exit();

  await using three = await start();
  assert.deepEqual(three.log.seen.filter(({ event }) => event === "listening").map(({ listener }) => listener), [
    "localhost:0",
  ]);
  assert.deepEqual(await ctl("diff", config), done("no differences"));
});

Deno.test("a listener that the next start could not bind is refused", async () => {
  await using test = await administered([A]);
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const addr = `127.0.0.1:${taken.addr.port}`;
  const before = dump(test);
  const file = fileOf(test, { listeners: [{ addr: ADDR, routes: [A] }, { addr, routes: [A] }] });
  const failed = await runProgram(["ctl", "apply", file]);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /: listeners\[1\]\.addr: cannot listen on 127\.0\.0\.1:\d+: the address is in use; /);
  assert.deepEqual(dump(test), before);
});

Deno.test("what others change while a file is applied is not lost: it is there afterwards, or the answer has it", async () => {
  await using test = await administered([A]);
  const routes = Array.from({ length: 500 }, (_, i) => ({ hostname: `h${i}.test`, backend: "127.0.0.1:1" }));
  const file = fileOf(test, { listeners: [{ addr: ADDR, routes: [A, ...routes] }] });
  for (const [round, ...args] of [["keep"], ["prune", "--prune"]] as const) {
    const applying = runProgram(["ctl", "apply", "--json", ...args, file]);
    let isOver = false;
    void applying.then(() => isOver = true);
    const added: string[] = [];
    for (let i = 0; !isOver; i++) {
      const hostname = `${round}${i}.test`;
      await test.admin.addRoute(ADDR, { hostname, backend: "127.0.0.1:2" });
      added.push(hostname);
    }
    const { code, stdout } = await applying;
    assert.equal(code, 0);
    const there = new Set((await test.admin.listRoutes(ADDR)).map(({ hostname }) => hostname));
    for (const { hostname } of [A, ...routes]) assert.ok(there.has(hostname), hostname);
    const answer = JSON.parse(stdout);
    const removed = new Set(
      answer.routes.filter(({ after }: Table) => after === null).map((each: { before: Table }) =>
        each.before["hostname"]
      ),
    );
    assert.equal(answer.removed, removed.size);
    for (const hostname of added) assert.notEqual(there.has(hostname), removed.has(hostname), hostname);
    if (round === "keep") assert.equal(removed.size, 0);
    else assert.ok([...removed].some((hostname) => String(hostname).startsWith("keep")));
  }
});

Deno.test("10,000 routes are one change", async () => {
  await using test = await administered([A]);
  const routes = Array.from({ length: 10_000 }, (_, i) => ({
    hostname: `h${i}.example.net`,
    backend: `127.0.0.1:${i % 5_000 + 1}`,
    send_proxy_protocol: i % 2 === 0,
  }));
  const file = fileOf(test, { listeners: [{ addr: ADDR, routes }] });
  const applied = await runProgram(["ctl", "apply", "--prune", file]);
  assert.deepEqual([applied.code, applied.stderr], [0, ""]);
  assert.ok(applied.stdout.endsWith("\n10000 added, 0 changed, 1 removed\n"));
  assert.equal((await test.admin.listRoutes(ADDR)).length, 10_000);
  const summary = await test.proxy.event("change", { what: "applied" });
  assert.deepEqual([summary["added"], summary["removed"]], [10_000, 1]);
  assert.equal(test.proxy.log.seen.filter(({ event }) => event === "change").length, 10_002);
  assert.deepEqual(await runProgram(["ctl", "diff", file]), done("no differences"));
});
