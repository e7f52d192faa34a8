import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { stringify } from "smol-toml";
import { ADDR, administered } from "./harness/admin.ts";
import { type CommandResult, Proxy, type ProxyConfig, runProgram } from "./harness/proxy.ts";

const ROUTES = [
  { hostname: "a.test", backend: "127.0.0.1:1001" },
  { hostname: "b.test", backend: "127.0.0.1:1002" },
];
const STORED = {
  listeners: [{ addr: ADDR, routes: ROUTES }],
  firewall: { blocked_ips: ["192.0.2.1"] },
};

/** The folder of a server that has stopped, and its database. */
class Stopped implements Disposable {
  readonly folder: string;
  readonly file: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.file = `${folder}/mc-proxy.toml`;
  }

  /** Has a database hold what a configuration says. */
  static async with(config: ProxyConfig): Promise<Stopped> {
    const stopped = new Stopped(Deno.makeTempDirSync({ prefix: "mc-proxy-" }));
    const proxy = await Proxy.start(config, { folder: stopped.folder });
    proxy.signal("SIGTERM");
    assert.equal((await proxy.exit()).code, 0);
    return stopped;
  }

  /** What a server that starts now has. */
  async state(): Promise<unknown> {
    const started = await administered([], {}, { folder: this.folder });
    try {
      const [{ listeners }, rules] = await Promise.all([started.admin.getStatus(), started.admin.getFirewallRules()]);
      return {
        listeners: listeners.map(({ addr, routes }) => [addr, ...routes.map((r) => `${r.hostname} ${r.backend}`)]),
        rules: rules.map(({ type, value }) => `${type} ${value}`),
      };
    } finally {
      started.admin.close();
      await started.proxy.kill();
    }
  }

  /** Writes the file, and runs `apply` with it. */
  apply(config: ProxyConfig, ...options: string[]): Promise<CommandResult> {
    Deno.writeTextFileSync(this.file, stringify({ database: { path: "mc-proxy.db" }, ...config }));
    return runProgram(["apply", "-c", this.file, ...options]);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const WANTED = {
  listeners: [{ addr: ADDR, routes: [{ hostname: "a.test", backend: "127.0.0.1:2001" }] }],
  firewall: { blocked_cidrs: ["198.51.100.0/24"] },
};

Deno.test("apply has the database of a stopped server follow the file, and prints what it changed", async () => {
  using stopped = await Stopped.with(STORED);
  const lines =
    `~ route a.test on ${ADDR}: backend 127.0.0.1:1001 -> 127.0.0.1:2001\n+ firewall cidr 198.51.100.0/24\n`;
  assert.deepEqual(await stopped.apply(WANTED), {
    code: 0,
    stdout: `${lines}1 added, 1 changed, 0 removed; 2 that the file lacks stay without --prune\n`,
    stderr: "",
  });
  assert.deepEqual(await stopped.state(), {
    listeners: [[ADDR, "a.test 127.0.0.1:2001", "b.test 127.0.0.1:1002"]],
    rules: ["ip 192.0.2.1", "cidr 198.51.100.0/24"],
  });
  const pruned = await stopped.apply(WANTED, "--prune", "--json");
  assert.equal(pruned.stderr, "");
  const { result, removed, opening, closing } = JSON.parse(pruned.stdout);
  assert.deepEqual([result, removed, opening, closing], ["applied", 2, [], []]);
  assert.deepEqual(await stopped.state(), {
    listeners: [[ADDR, "a.test 127.0.0.1:2001"]],
    rules: ["cidr 198.51.100.0/24"],
  });
  assert.equal((await stopped.apply(WANTED, "--prune")).stdout, "nothing to change\n");
});

/** What is in the database, row by row. */
function rowsOf(folder: string): unknown {
  using db = new DatabaseSync(`${folder}/mc-proxy.db`);
  return ["listeners", "routes", "l7_policies", "firewall_rules", "schema_migrations"]
    .map((table) => db.prepare(`SELECT * FROM ${table}`).all());
}

Deno.test("what is only tried, refused or wrong changes nothing, and leaves no file behind", async () => {
  using stopped = await Stopped.with(STORED);
  const before = rowsOf(stopped.folder);
  const names = () => [...Deno.readDirSync(stopped.folder)].map(({ name }) => name).sort();
  const there = names();
  const { folder, file } = stopped;
  const l7 = { hostname: "c.test", backend: "127.0.0.1:1", mode: "l7", tls_cert: "none.pem", tls_key: "none.key" };
  const country = await stopped.apply({ ...WANTED, firewall: { blocked_countries: ["DE"] } });
  assert.match(country.stderr, /firewall\.blocked_countries: needs firewall\.geoip_db/);
  const cases: readonly (readonly [what: ProxyConfig, options: string[], code: number, output: RegExp])[] = [
    [WANTED, ["--dry-run"], 0, /^~ route a\.test [^]*1 to add, 1 to change, 0 to remove; 2 that the file lacks stay/],
    [WANTED, ["--dry-run", "--prune"], 0, /^- route b\.test on [^]*1 to add, 1 to change, 2 to remove\n$/m],
    [
      { listeners: [{ addr: ADDR, routes: [l7] }] },
      [],
      1,
      /routes\[0\]\.tls_cert \(c\.test\): .*none\.pem: does not exist$/m,
    ],
    [{ listeners: [] }, ["--prune"], 1, /listeners: there is none; add at least one\n$/],
    [{ listeners: [{ addr: ":1" }, { addr: "0.0.0.0:1" }] }, [], 1, /listeners\[1\]\.addr: .*":1" of listeners\[0\]/],
    [{ listeners: [{ addr: ":1" }], metrics: { addr: "127.0.0.1:1" } }, [], 1, /metrics\.addr: .*of listeners\[0\]/],
    [{ listeners: [{ addr: "nonsense" }] }, [], 1, /listeners\[0\]\.addr: .*nonsense/],
  ];
  for (const [config, options, code, output] of cases) {
    const done = await stopped.apply(config, ...options);
    assert.deepEqual([done.code, done.code === 0 ? done.stderr : done.stdout], [code, ""], JSON.stringify(config));
    assert.match(done.code === 0 ? done.stdout : done.stderr, output);
    if (code !== 0) assert.ok(done.stderr.startsWith(`${file}: `), done.stderr);
    assert.deepEqual(rowsOf(folder), before);
    assert.deepEqual(names(), there);
  }
});

Deno.test("a listener that could not be opened now is a warning: this user or moment may not be the server's", async () => {
  using stopped = await Stopped.with(STORED);
  const { code, stderr } = await stopped.apply({ listeners: [...WANTED.listeners, { addr: "192.0.2.99:8443" }] });
  assert.deepEqual([code, stderr.split(": this machine")[0]], [
    0,
    "warning: line 12: listeners[1].addr: cannot listen on 192.0.2.99:8443",
  ]);
});

Deno.test("where a server runs, apply refuses, names the command that is right, and the server goes on", async () => {
  await using running = await administered(ROUTES);
  const { folder } = running.proxy;
  const { code, stdout, stderr } = await runProgram(["apply", "-c", `${folder}/mc-proxy.toml`]);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.equal(
    stderr,
    `${folder}/mc-proxy.db: is served by another mc-proxy; let that one make the change ("mc-proxy ctl apply"), or stop it\n`,
  );
  await running.admin.removeRoute(ADDR, "a.test");
});

Deno.test("without a database there is nothing to apply to, and none is made", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  using _end = { [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
  const file = `${folder}/mc-proxy.toml`;
  Deno.writeTextFileSync(file, `database.path = "mc-proxy.db"\n[[listeners]]\naddr = "${ADDR}"\n`);
  const missing = await runProgram(["apply", "-c", file]);
  assert.deepEqual([missing.code, missing.stderr], [
    1,
    `${folder}/mc-proxy.db: does not exist; the server makes it from the file when it first starts\n`,
  ]);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["mc-proxy.toml"]);
  Deno.writeTextFileSync(`${folder}/mc-proxy.db`, "");
  const empty = await runProgram(["apply", "-c", file]);
  assert.match(empty.stderr, /mc-proxy\.db: is empty; the server fills it from the file when it first starts\n$/);
  assert.equal(Deno.statSync(`${folder}/mc-proxy.db`).size, 0);
  Deno.writeTextFileSync(`${folder}/mc-proxy.db`, "some other file of the operator's");
  const foreign = await runProgram(["apply", "-c", file]);
  assert.match(
    foreign.stderr,
    /mc-proxy\.db: is not a SQLite database, or its first page is damaged; set database\.path to another file, or restore/,
  );
});

Deno.test("metrics that take the port of a stored listener: the start says where each comes from, and what to do", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  using _end = { [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
  const one = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const addr = `127.0.0.1:${one.addr.port}`;
  one.close();
  const proxy = await Proxy.start({ listeners: [{ addr }] }, { folder });
  proxy.signal("SIGTERM");
  assert.equal((await proxy.exit()).code, 0);
  const file = `${folder}/next.toml`;
  Deno.writeTextFileSync(file, stringify({ database: { path: "mc-proxy.db" }, metrics: { addr } }));
  const { code, stderr } = await runProgram(["server", "-c", file]);
  assert.deepEqual([code, stderr], [
    1,
    `${file}: line 5: metrics.addr: "${addr}" cannot be bound together with "${addr}" of the database ${folder}/mc-proxy.db: ` +
    `both take port ${one.addr.port} of 127.0.0.1; remove one of them, or give one another port\n`,
  ]);
});
