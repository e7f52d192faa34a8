import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { buildMmdb } from "../rules/testdata/build_mmdb.ts";
import { createAuthority, type KeyPair } from "../../scripts/dev/certificates.ts";
import { type ConfigProblem, parseConfig } from "./config.ts";
import { databaseProblems, geoipProblems, routeFileFindings } from "./config_files.ts";

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const authority = await createAuthority("Test authority");

function check(text: string, { database = "new.db", now = new Date() } = {}) {
  const { config } = parseConfig(`database.path = "${database}"\n${text}`, { file: `${folder}/c.toml` });
  const files = routeFileFindings(config, () => undefined, now);
  const problems = [...databaseProblems(config), ...geoipProblems(config), ...files.problems];
  const { warnings } = files;
  const line = ({ path, message }: ConfigProblem) => `${path}: ${message.replaceAll(folder, "DIR")}`;
  return { problems: problems.map(line), warnings: warnings.map(line) };
}

function problemsOf(text: string, database?: string): string[] {
  return check(text, database === undefined ? {} : { database }).problems;
}

async function writePair(name: string, { cert, key }: KeyPair) {
  await Deno.writeTextFile(`${folder}/${name}.pem`, cert);
  await Deno.writeTextFile(`${folder}/${name}.key`, key);
}

/** A listener with routes for these host names and files, all of L7. */
function routes(...given: readonly { hostname: string; name: string; ca?: string }[]): string {
  const tables = given.map(({ hostname, name, ca = "" }) =>
    `{ hostname = "${hostname}", backend = "b:1", mode = "l7", tls_cert = "${name}.pem", tls_key = "${name}.key", ` +
    `backend_tls = true, backend_ca = "${ca}" }`
  );
  return `listeners = [{ addr = ":1", routes = [${tables.join(", ")}] }]`;
}

Deno.test("the database may be absent, empty or a SQLite file, in a folder that is there", async () => {
  await Deno.writeTextFile(`${folder}/empty.db`, "");
  await Deno.writeTextFile(`${folder}/text.db`, "not a database");
  const db = new DatabaseSync(`${folder}/sound.db`);
  db.exec("CREATE TABLE t (x)");
  db.close();
  for (const name of ["new.db", "empty.db", "sound.db"]) assert.deepEqual(problemsOf("", name), [], name);
  for (
    const [name, problem] of [
      ["none/x.db", "DIR/none/x.db: its folder DIR/none does not exist"],
      ["text.db/x.db", "DIR/text.db/x.db: does not exist: part of its path is not a folder"],
      [".", "DIR: is a folder, not a file"],
      [
        "text.db",
        "DIR/text.db: is not a SQLite database, or its first page is damaged; set database.path to another file, or restore a snapshot",
      ],
      ["x".repeat(300), `DIR/${"x".repeat(300)}: cannot be used: File name too long`],
    ] as const
  ) assert.deepEqual(problemsOf("", name), [`database.path: ${problem}`]);
});

Deno.test("looking at an absent database makes none", () => {
  assert.deepEqual(problemsOf("", "absent.db"), []);
  assert.throws(() => Deno.statSync(`${folder}/absent.db`), Deno.errors.NotFound);
});

Deno.test("the GeoIP file must be there and sound", async () => {
  await Deno.writeFile(
    `${folder}/sound.mmdb`,
    buildMmdb([{ cidr: "192.0.2.0/24", record: { country: { iso_code: "NL" } } }]),
  );
  await Deno.writeTextFile(`${folder}/text.mmdb`, "not a GeoIP file");
  assert.deepEqual(problemsOf('firewall.geoip_db = "sound.mmdb"'), []);
  assert.deepEqual(problemsOf('firewall.geoip_db = "none.mmdb"'), [
    "firewall.geoip_db: DIR/none.mmdb: does not exist",
  ]);
  assert.deepEqual(problemsOf('firewall.geoip_db = "."'), ["firewall.geoip_db: DIR: is a folder, not a file"]);
  assert.match(problemsOf('firewall.geoip_db = "text.mmdb"').join(), /^firewall.geoip_db: DIR\/text.mmdb: not a Max/);
});

Deno.test("the files of l7 routes must be sound, those of l4 routes are not looked at", async () => {
  await Deno.writeTextFile(`${folder}/empty.pem`, "");
  const files = 'tls_cert = "empty.pem", tls_key = "none.key", backend_tls = true, backend_ca = "none.pem"';
  const routes = ["l4", "l7"].map((mode) => `{ hostname = "${mode}", backend = "b:1", mode = "${mode}", ${files} }`);
  assert.deepEqual(check(`listeners = [{ addr = ":1", routes = [${routes.join(", ")}] }]`), {
    problems: [
      "listeners[0].routes[1].tls_cert: DIR/empty.pem: is empty",
      "listeners[0].routes[1].tls_key: DIR/none.key: does not exist",
      "listeners[0].routes[1].backend_ca: DIR/none.pem: does not exist",
    ],
    warnings: [],
  });
});

Deno.test("certificates that cannot serve are problems of every route that names them", async () => {
  const [a, b] = [await authority.issue({ hostnames: ["a"] }), await authority.issue({ hostnames: ["b"] })];
  await writePair("mixed", { cert: a.cert, key: b.key });
  await writePair("a", a);
  const text = routes({ hostname: "a", name: "mixed" }, { hostname: "b", name: "mixed", ca: "a.key" });
  assert.deepEqual(check(text), {
    problems: [
      "listeners[0].routes[0].tls_key: DIR/mixed.key: is not the key of the certificate in DIR/mixed.pem",
      "listeners[0].routes[1].tls_key: DIR/mixed.key: is not the key of the certificate in DIR/mixed.pem",
      "listeners[0].routes[1].backend_ca: DIR/a.key: holds no certificate, but a PRIVATE KEY",
    ],
    warnings: [],
  });
});

Deno.test("what clients will not like about a certificate is a warning of the routes that it concerns", async () => {
  const validity = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2026-04-01T00:00:00Z") };
  await writePair("a", await authority.issue({ hostnames: ["a.example"], validity }));
  const text = routes({ hostname: "a.example", name: "a", ca: "a.pem" }, { hostname: "b.example", name: "a" });
  const other = 'listeners[0].routes[1].tls_cert: DIR/a.pem: does not cover "b.example": ' +
    'the certificate is for "a.example"';
  assert.deepEqual(check(text, { now: new Date("2026-02-01T00:00:00Z") }), { problems: [], warnings: [other] });
  const expired = "tls_cert: DIR/a.pem: expired at 2026-04-01T00:00:00Z; renew it";
  assert.deepEqual(check(text, { now: new Date("2026-05-01T00:00:00Z") }), {
    problems: [],
    warnings: [`listeners[0].routes[0].${expired}`, other, `listeners[0].routes[1].${expired}`],
  });
});
