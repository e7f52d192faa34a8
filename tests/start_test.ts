import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { buildMmdb } from "../lib/rules/testdata/build_mmdb.ts";
import { createAuthority } from "../scripts/dev/certificates.ts";
import { programCommand } from "../scripts/program.ts";
import { Backend } from "./harness/peers.ts";
import { Proxy, runProgram } from "./harness/proxy.ts";

/** A folder with a configuration and what it names. */
function folderWith(text: string, files: Readonly<Record<string, Uint8Array>> = {}): string {
  const folder = Deno.makeTempDirSync({ prefix: "mc-proxy-" });
  Deno.writeTextFileSync(`${folder}/mc-proxy.toml`, text);
  for (const [name, bytes] of Object.entries(files)) Deno.writeFileSync(`${folder}/${name}`, bytes);
  return folder;
}

function filesOf(folder: string): Record<string, Uint8Array> {
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  return Object.fromEntries(names.map((name) => [name, Deno.readFileSync(`${folder}/${name}`)]));
}

const SOUND = `
database.path = "mc-proxy.db"
[[listeners]]
addr = "127.0.0.1:0"
[[listeners.routes]]
hostname = "a.test"
backend = "127.0.0.1:1"
`;

/** Starts the server on it, expects it to give up, and to leave every file as it was. Its lines, the folder cut out. */
async function refusal(text: string, files: Readonly<Record<string, Uint8Array>> = {}): Promise<string> {
  const folder = folderWith(text, files);
  const before = filesOf(folder);
  const { code, stdout, stderr } = await runProgram(["server", "-c", `${folder}/mc-proxy.toml`]);
  assert.deepEqual([code, stdout], [1, ""], stderr);
  assert.deepEqual(filesOf(folder), before, "nothing is written");
  Deno.removeSync(folder, { recursive: true });
  return stderr.replaceAll(`${folder}/`, "").trimEnd();
}

const text = (value: string) => new TextEncoder().encode(value);

const authority = await createAuthority("Test authority");
const pair = await authority.issue({ hostnames: ["a.test"] });
const other = await authority.issue({ hostnames: ["a.test"] });

const BAD: readonly (readonly [what: string, config: string, line: RegExp, files?: Record<string, Uint8Array>])[] = [
  [
    "an unknown key",
    `${SOUND}send_proxy = true`,
    /^mc-proxy\.toml: line \d+: listeners\[0\]\.routes\[0\]\.send_proxy \(a\.test\): .*send_proxy_protocol/,
  ],
  [
    "a wrong type",
    `${SOUND}send_proxy_protocol = "yes"`,
    /routes\[0\]\.send_proxy_protocol \(a\.test\): .*true or false/,
  ],
  [
    "a bad duration",
    `${SOUND}[proxy]\nidle_timeout = "5 minutes"`,
    /^mc-proxy\.toml: line \d+: proxy\.idle_timeout: .*"1m30s"/,
  ],
  [
    "a bad address",
    SOUND.replace("127.0.0.1:0", "127.0.0.1"),
    /^mc-proxy\.toml: line \d+: listeners\[0\]\.addr: .*host:port/,
  ],
  ["a bad backend", SOUND.replace("127.0.0.1:1", "127.0.0.1:99999"), /routes\[0\]\.backend \(a\.test\): .*host:port/],
  [
    "a listener given twice",
    `${SOUND}[[listeners]]\naddr = "127.0.0.1:0"`,
    /^mc-proxy\.toml: line \d+: listeners\[1\]\.addr: .*listeners\[0\]/,
  ],
  [
    "a route given twice",
    `${SOUND}[[listeners.routes]]\nhostname = "A.test."\nbackend = "127.0.0.1:2"`,
    /^mc-proxy\.toml: line \d+: listeners\[0\]\.routes\[1\]\.hostname: .*routes\[0\]/,
  ],
  [
    "a prefix with host bits",
    `${SOUND}[firewall]\nblocked_cidrs = ["10.0.0.1/8"]`,
    /^mc-proxy\.toml: line \d+: firewall\.blocked_cidrs\[0\]: .*10\.0\.0\.0\/8/,
  ],
  [
    "a country in lower case",
    `${SOUND}[firewall]\nblocked_countries = ["de"]\ngeoip_db = "geo.mmdb"`,
    /^mc-proxy\.toml: line \d+: firewall\.blocked_countries\[0\]: .*"DE"/,
  ],
  [
    "an unknown country",
    `${SOUND}[firewall]\nblocked_countries = ["QQ"]\ngeoip_db = "geo.mmdb"`,
    /^mc-proxy\.toml: line \d+: firewall\.blocked_countries\[0\]: .*ISO 3166/,
  ],
  [
    "countries without a GeoIP file",
    `${SOUND}[firewall]\nblocked_countries = ["DE"]`,
    /^mc-proxy\.toml: line \d+: firewall\.\S+: .*geoip_db/,
  ],
  [
    "a GeoIP file that is not there",
    `${SOUND}[firewall]\ngeoip_db = "geo.mmdb"`,
    /^mc-proxy\.toml: line \d+: firewall\.geoip_db: .*does not exist/,
  ],
  [
    "a GeoIP file that is none",
    `${SOUND}[firewall]\ngeoip_db = "geo.mmdb"`,
    /^mc-proxy\.toml: line \d+: firewall\.geoip_db: geo\.mmdb: .+/,
    { "geo.mmdb": text("not a database".repeat(100)) },
  ],
  [
    "a GeoIP file that is cut short",
    `${SOUND}[firewall]\ngeoip_db = "geo.mmdb"`,
    /^mc-proxy\.toml: line \d+: firewall\.geoip_db: geo\.mmdb: .+/,
    { "geo.mmdb": buildMmdb([{ cidr: "192.0.2.0/24", record: { country: { iso_code: "CH" } } }]).subarray(0, 100) },
  ],
  [
    "a database in a folder that is not there",
    SOUND.replace("mc-proxy.db", "none/mc-proxy.db"),
    /^mc-proxy\.toml: line \d+: database\.path: .*folder none does not exist/,
  ],
  [
    "a database that is none",
    SOUND,
    /^mc-proxy\.toml: line \d+: database\.path: mc-proxy\.db: is not a SQLite database/,
    { "mc-proxy.db": text("some other file of the operator's") },
  ],
  ["no listener at all", 'database.path = "mc-proxy.db"', /^mc-proxy\.toml: listeners: .*at least one/],
  [
    "an L7 route whose key is that of another certificate",
    `${SOUND}mode = "l7"\ntls_cert = "cert.pem"\ntls_key = "key.pem"`,
    /^mc-proxy\.toml: line \d+: listeners\[0\]\.routes\[0\]\.tls_key \(a\.test\): key\.pem: .+/,
    { "cert.pem": text(pair.cert), "key.pem": text(other.key) },
  ],
  ["text that is not TOML", "database = [", /^mc-proxy\.toml: line 1, column \d+: not valid TOML/],
  [
    "an address of another machine",
    SOUND.replace("127.0.0.1:0", "192.0.2.1:8443"),
    /^.*192\.0\.2\.1:8443: this machine has no such address/,
  ],
];

for (const [what, config, line, files] of BAD) {
  Deno.test(`${what} stops the start in one clear line, and nothing is written`, async () => {
    const stderr = await refusal(config, files);
    assert.equal(stderr.split("\n").length, 1, stderr);
    assert.match(stderr, line);
  });
}

Deno.test("every problem is told at once, a line each", async () => {
  const stderr = await refusal(
    `${SOUND.replace("127.0.0.1:1", "nowhere")}[proxy]\nworkers = -1\n[log]\nlevel = "loud"`,
  );
  assert.deepEqual(stderr.split("\n").map((line) => line.split(": ")[2]).sort(), [
    "listeners[0].routes[0].backend (a.test)",
    "log.level",
    "proxy.workers",
  ]);
});

Deno.test("a database of a newer version is refused and left as it is", async () => {
  const folder = folderWith("");
  await using proxy = await Proxy.start({ listeners: [{ addr: "127.0.0.1:0", routes: [] }] }, { folder });
  proxy.signal("SIGTERM");
  await proxy.exit();
  const db = new DatabaseSync(`${folder}/mc-proxy.db`);
  db.exec("INSERT INTO schema_migrations SELECT 999, name, applied_at FROM schema_migrations LIMIT 1");
  db.close();
  const stderr = await refusal(SOUND, { "mc-proxy.db": Deno.readFileSync(`${folder}/mc-proxy.db`) });
  assert.match(stderr, /^mc-proxy\.db: .*version 999.*newer.*$/);
});

Deno.test("a start that can open none of its listeners stops, and says of each why and where it comes from", async () => {
  using one = new Backend();
  using two = new Backend();
  const config = SOUND.replace("127.0.0.1:0", one.addr) + `[[listeners]]\naddr = "${two.addr}"`;
  assert.equal(
    await refusal(config),
    [one, two].map(({ addr }) =>
      `mc-proxy: cannot listen on ${addr}: the address is in use; stop the program that has it, or choose another port ` +
      "(the address comes from mc-proxy.toml)"
    ).join("\n"),
  );
});

const unprivilegedPorts = Deno.build.os === "linux"
  ? Number(Deno.readTextFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start"))
  : 0;
const canDropCapabilities = Deno.build.os === "linux" && await hasSetpriv();

async function hasSetpriv(): Promise<boolean> {
  try {
    return (await new Deno.Command("setpriv", { args: ["--version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "a port below 1024 without the capability stops the start (needs Linux and util-linux's setpriv)",
  ignore: unprivilegedPorts <= 81 || !canDropCapabilities,
  async fn() {
    const folder = folderWith(SOUND.replace("127.0.0.1:0", "127.0.0.1:81"));
    const { executable, args } = programCommand();
    const command = new Deno.Command("setpriv", {
      args: [
        ...Deno.uid() === 0 ? ["--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"] : [],
        ...[executable, ...args, "server", "-c", `${folder}/mc-proxy.toml`],
      ],
    });
    const { code, stderr } = await command.output();
    assert.equal(code, 1);
    assert.equal(
      new TextDecoder().decode(stderr),
      "mc-proxy: cannot listen on 127.0.0.1:81: permission denied; a port below 1024 needs CAP_NET_BIND_SERVICE or root " +
        `(the address comes from ${folder}/mc-proxy.toml)\n`,
    );
    assert.deepEqual(Object.keys(filesOf(folder)), ["mc-proxy.toml"]);
    Deno.removeSync(folder, { recursive: true });
  },
});

Deno.test("an environment variable overrides the file", async () => {
  await using proxy = await Proxy.start({ listeners: [{ addr: "127.0.0.1:0", routes: [] }], log: { format: "text" } }, {
    environment: { MCPROXY_LOG_FORMAT: "json" },
  });
  assert.equal((await proxy.event("ready"))["listeners"], 1);
});
