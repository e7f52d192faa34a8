import assert from "node:assert/strict";
import { stringify } from "smol-toml";
import { AdminClient } from "../mod.ts";
import { buildMmdb } from "../lib/rules/testdata/build_mmdb.ts";
import { createAuthority } from "../scripts/dev/certificates.ts";
import { ADDR } from "./harness/admin.ts";
import { type CommandResult, Proxy, type ProxyConfig, runProgram } from "./harness/proxy.ts";

const authority = await createAuthority("Test authority");
const pair = await authority.issue({ hostnames: ["a.test"] });
const GEOIP = buildMmdb([{ cidr: "192.0.2.0/24", record: { country: { iso_code: "CH" } } }]);

const L4 = { hostname: "l4.test", backend: "127.0.0.1:1" };
const SEED = {
  hostname: "a.test",
  backend: "127.0.0.1:1",
  mode: "l7",
  tls_cert: "a.pem",
  tls_key: "a.key",
  backend_tls: true,
  backend_ca: "ca.pem",
  backend_server_name: "b.test",
};

/** A server whose first start had every file. */
class Installed implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  readonly file = `${this.folder}/mc-proxy.toml`;

  constructor() {
    const { cert, key } = pair;
    const texts = { "a.pem": cert, "a.key": key, "ca.pem": authority.cert };
    for (const [name, text] of Object.entries(texts)) Deno.writeTextFileSync(`${this.folder}/${name}`, text);
    Deno.writeFileSync(`${this.folder}/geo.mmdb`, GEOIP);
  }

  start(config: ProxyConfig): Promise<Proxy> {
    return Proxy.start({ grpc: { addr: `${this.folder}/admin.sock` }, ...config }, { folder: this.folder });
  }

  /** Starts it with the configuration, has `meanwhile` done, and stops it. */
  async once(config: ProxyConfig, meanwhile?: (admin: AdminClient) => Promise<unknown>): Promise<void> {
    const proxy = await this.start(config);
    using admin = new AdminClient(`${this.folder}/admin.sock`);
    await meanwhile?.(admin);
    proxy.signal("SIGTERM");
    assert.equal((await proxy.exit()).code, 0);
  }

  remove(...names: string[]): void {
    for (const name of names) Deno.removeSync(`${this.folder}/${name}`);
  }

  /** Runs a command on its file; the output names no folder. */
  async run(config: ProxyConfig, command: string): Promise<CommandResult> {
    Deno.writeTextFileSync(this.file, stringify({ database: { path: "mc-proxy.db" }, ...config }));
    const { code, stdout, stderr } = await runProgram([command, "-c", this.file]);
    const short = (text: string) => text.replaceAll(`${this.folder}/`, "");
    return { code, stdout: short(stdout), stderr: short(stderr) };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

/** What check says of a file that says other than the database. */
function differing(counts: string): string {
  return "warning: the database mc-proxy.db has other listeners, routes or firewall rules, and those are used; " +
    `the file has ${counts}: "mc-proxy apply -c mc-proxy.toml --prune --dry-run" shows them`;
}

const SEEDED: ProxyConfig = { listeners: [{ addr: ADDR, routes: [SEED, L4] }], firewall: { geoip_db: "geo.mmdb" } };

Deno.test("files that only the seed names are of no use to a server with a database, and need not be there", async () => {
  using installed = new Installed();
  await installed.once(SEEDED, (admin) => admin.removeRoute(ADDR, "a.test"));
  installed.remove("a.pem", "a.key", "ca.pem", "geo.mmdb");
  const checked = await installed.run(SEEDED, "check");
  const unused = "(not used: the server goes by the routes of the database)";
  assert.deepEqual(checked, {
    code: 0,
    stdout: "mc-proxy.toml: OK (1 listener, 2 routes)\n",
    stderr: [
      "line 22: firewall.geoip_db: warning: geo.mmdb: does not exist (not used: the database blocks no country)",
      `line 11: listeners[0].routes[0].tls_cert (a.test): warning: a.pem: does not exist ${unused}`,
      `line 12: listeners[0].routes[0].tls_key (a.test): warning: a.key: does not exist ${unused}`,
      `line 14: listeners[0].routes[0].backend_ca (a.test): warning: ca.pem: does not exist ${unused}`,
      differing("1 more, 0 fewer and 0 that differ"),
    ].map((line) => `mc-proxy.toml: ${line}\n`).join(""),
  });
  const proxy = await installed.start(SEEDED);
  const { key, message } = await proxy.event("config");
  assert.equal(key, "firewall.geoip_db");
  assert.match(String(message), /geo\.mmdb: does not exist \(not used: the database blocks no country\)$/);
  using admin = new AdminClient(`${installed.folder}/admin.sock`);
  await assert.rejects(
    admin.addFirewallRule({ type: "country", value: "CH" }),
    /a country can be blocked only with a sound GeoIP file, and ".*geo\.mmdb" is none; fetch it, and send the server SIGHUP/,
  );
  Deno.writeFileSync(`${installed.folder}/geo.mmdb`, GEOIP);
  proxy.signal("SIGHUP");
  await proxy.event("geoip_reloaded");
  await admin.addFirewallRule({ type: "country", value: "CH" });
  proxy.signal("SIGTERM");
  assert.equal((await proxy.exit()).code, 0);
});

Deno.test("files that a route of the database names are missed aloud, and other routes are served", async () => {
  using installed = new Installed();
  await installed.once(SEEDED);
  installed.remove("a.pem", "a.key", "ca.pem");
  const config = { listeners: [{ addr: ADDR, routes: [L4] }] };
  const checked = await installed.run(config, "check");
  // What the library lacks that speaks TLS here is told too.
  const told = checked.stderr.replaceAll(/^mc-proxy\.toml: proxy\..*\n/gm, "");
  assert.deepEqual([checked.code, told], [
    0,
    `mc-proxy.toml: ${differing("0 more, 1 fewer and 0 that differ")}\n` +
    ["tls_cert: warning: a.pem", "tls_key: warning: a.key", "backend_ca: warning: ca.pem"]
      .map((line) => `mc-proxy.db: route a.test on ${ADDR}.${line}: does not exist\n`).join(""),
  ]);
  const proxy = await installed.start(config);
  const certificate = await proxy.event("certificate_reload_failed");
  assert.match(String(certificate["error"]), /a\.pem: does not exist/);
  const authority = await proxy.event("config", { key: `route a.test on ${ADDR}.backend_ca` });
  assert.deepEqual([authority["file"], authority["message"]], [
    `${installed.folder}/mc-proxy.db`,
    `${installed.folder}/ca.pem: does not exist`,
  ]);
  await proxy.kill();
});

Deno.test("a GeoIP file that the database needs keeps the server from starting, as it would let everybody in", async () => {
  using installed = new Installed();
  await installed.once(SEEDED, (admin) => admin.addFirewallRule({ type: "country", value: "CH" }));
  installed.remove("geo.mmdb");
  for (const command of ["check", "server"]) {
    const { code, stderr } = await installed.run(SEEDED, command);
    assert.deepEqual(
      [code, stderr],
      [1, "mc-proxy.toml: line 22: firewall.geoip_db: geo.mmdb: does not exist\n"],
      command,
    );
  }
  const none = { listeners: SEEDED.listeners ?? [] };
  for (const command of ["check", "server"]) {
    const { code, stderr } = await installed.run(none, command);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^mc-proxy\.toml: firewall\.geoip_db: is missing: the database mc-proxy\.db blocks countries; /m,
    );
  }
});
