import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { buildMmdb } from "../rules/testdata/build_mmdb.ts";
import { checkFiles, parseConfig } from "./config.ts";

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

function problemsOf(text: string, database = "new.db"): string[] {
  const { config } = parseConfig(`database.path = "${database}"\n${text}`, { file: `${folder}/c.toml` });
  return checkFiles(config).map(({ path, message }) => `${path}: ${message.replaceAll(folder, "DIR")}`);
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
      ["text.db", "DIR/text.db: is not a SQLite database; set database.path to another file"],
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

Deno.test("the files of l7 routes must be readable, those of l4 routes are not looked at", async () => {
  await Deno.writeTextFile(`${folder}/a.pem`, "");
  const files = 'tls_cert = "a.pem", tls_key = "none.key", backend_tls = true, backend_ca = "none.pem"';
  const routes = ["l4", "l7"].map((mode) => `{ hostname = "${mode}", backend = "b:1", mode = "${mode}", ${files} }`);
  assert.deepEqual(problemsOf(`listeners = [{ addr = ":1", routes = [${routes.join(", ")}] }]`), [
    "listeners[0].routes[1].tls_key: DIR/none.key: does not exist",
    "listeners[0].routes[1].backend_ca: DIR/none.pem: does not exist",
  ]);
});
