import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { ListenerConfig, RouteConfig, StoredState } from "../config_types.ts";
import { SCHEMA_VERSION } from "./migrations.ts";
import { type PreparedState, Store, StoreError } from "./store.ts";
import { withStoreErrors } from "./store_error.ts";
import { fileExists } from "../file_access.ts";

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const EMPTY: StoredState = { listeners: [], firewall: { blockedIps: [], blockedCidrs: [], blockedCountries: [] } };

function route(hostname: string, rest: Partial<RouteConfig> = {}): RouteConfig {
  return {
    hostname,
    backend: "127.0.0.1:8443",
    mode: "l4",
    sendProxyProtocol: false,
    tlsCert: "",
    tlsKey: "",
    backendTls: false,
    backendProtocol: "",
    backendCa: "",
    backendServerName: "",
    backendPins: [],
    backendTimeoutMs: 60_000,
    backendMaxConnections: 1_024,
    allowTrace: false,
    l7Policies: [],
    ...rest,
  };
}

function listener(addr: string, routes: readonly RouteConfig[] = []): ListenerConfig {
  return { addr, proxyProtocol: false, maxConnections: 0, routes };
}

const FULL: StoredState = {
  listeners: [
    {
      addr: ":443",
      proxyProtocol: true,
      maxConnections: 2 ** 31 - 1,
      routes: [
        route("z.example"),
        route("*", {
          mode: "l7",
          sendProxyProtocol: true,
          tlsCert: "/c",
          tlsKey: "/k",
          backendTls: true,
          backendProtocol: "http1",
          backendCa: "/ca",
          backendServerName: "n",
          backendPins: [],
          backendTimeoutMs: 60_000,
          backendMaxConnections: 1_024,
          allowTrace: false,
          l7Policies: [{ type: "require_header", value: "X" }, { type: "block_user_agent", value: "B" }, {
            type: "block_user_agent",
            value: "A",
          }],
        }),
        route("*.a.example", { backendProtocol: "h2" }),
      ],
    },
    listener("127.0.0.1:1", [route("z.example")]),
    listener("[::1]:1"),
  ],
  firewall: { blockedIps: ["::2", "::1"], blockedCidrs: ["10.0.0.0/8"], blockedCountries: ["NL", "DE"] },
};

let files = 0;
function newPath(): string {
  return `${folder}/${++files}.db`;
}

/** Starts on the database at `path` as the server does, and stops. */
function start(path: string, seed: StoredState): PreparedState {
  const store = Store.open(path, { busyTimeoutMs: 1 });
  try {
    const prepared = store.prepare(seed);
    store.commit();
    return prepared;
  } finally {
    store.close();
  }
}

function filesOf(path: string): string[] {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`);
  return names.filter((name) => name.startsWith(path)).map((name) => name.slice(path.length)).sort();
}

function execute(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

Deno.test("a new database takes the seed and gives it back in every detail and in order", () => {
  const path = newPath();
  assert.deepEqual(start(path, FULL), { state: FULL, seeded: true, differs: false });
  assert.deepEqual(start(path, FULL), { state: FULL, seeded: false, differs: false });
});

Deno.test("an empty file counts as a new database", () => {
  const path = newPath();
  Deno.writeTextFileSync(path, "");
  assert.equal(start(path, FULL).seeded, true);
});

Deno.test("once seeded the database is the truth, even with nothing left in it", () => {
  const path = newPath();
  start(path, FULL);
  execute(path, "PRAGMA foreign_keys = ON; DELETE FROM listeners; DELETE FROM firewall_rules");
  assert.deepEqual(start(path, FULL), { state: EMPTY, seeded: false, differs: true });
  const seededEmpty = newPath();
  start(seededEmpty, EMPTY);
  assert.deepEqual(start(seededEmpty, FULL), { state: EMPTY, seeded: false, differs: true });
});

Deno.test("what serves alike does not differ; policies do by their order", () => {
  const path = newPath();
  start(path, FULL);
  const [first, ...others] = FULL.listeners;
  assert.ok(first);
  const reordered = {
    listeners: [...others, { ...first, routes: first.routes.toReversed() }],
    firewall: { ...FULL.firewall, blockedIps: ["::1", "::2"] },
  };
  assert.equal(start(path, reordered).differs, false);
  const routes = first.routes.map((route) => ({ ...route, l7Policies: route.l7Policies.toReversed() }));
  assert.equal(start(path, { ...FULL, listeners: [{ ...first, routes }, ...others] }).differs, true);
  assert.equal(start(path, { ...FULL, listeners: [{ ...first, maxConnections: 1 }, ...others] }).differs, true);
  assert.equal(start(path, { ...FULL, firewall: { ...FULL.firewall, blockedCountries: ["NL"] } }).differs, true);
});

Deno.test("a whole configuration can be the seed: what the database does not hold is not compared", () => {
  const path = newPath();
  start(path, FULL);
  const config = { ...FULL, log: { level: "info" }, firewall: { rateLimit: 5, ...FULL.firewall } };
  assert.equal(start(path, config).differs, false);
});

Deno.test("removing a listener removes its routes and their policies", () => {
  const path = newPath();
  start(path, FULL);
  execute(path, "PRAGMA foreign_keys = ON; DELETE FROM listeners WHERE addr = ':443'");
  assert.deepEqual(start(path, FULL).state.listeners, FULL.listeners.slice(1));
  const db = new DatabaseSync(path);
  assert.equal(db.prepare("SELECT count(*) AS n FROM l7_policies").get()?.n, 0);
  db.close();
});

Deno.test("the tables refuse what the program could not read", () => {
  const path = newPath();
  start(path, FULL);
  for (
    const sql of [
      "UPDATE routes SET mode = 'l5'",
      "UPDATE routes SET backend_protocol = 'h3'",
      "UPDATE routes SET tls_key = '' WHERE mode = 'l7'",
      "UPDATE routes SET backend_tls = 2",
      "UPDATE routes SET hostname = 'same'",
      "UPDATE routes SET hostname = NULL",
      "UPDATE l7_policies SET type = 'block'",
      "UPDATE l7_policies SET type = 'require_header', value = 'x'",
      "UPDATE firewall_rules SET type = 'asn'",
      "UPDATE firewall_rules SET type = 'ip', value = 'x'",
      "UPDATE listeners SET max_connections = -1",
      "UPDATE listeners SET max_connections = 'many'",
      "UPDATE listeners SET addr = ':1'",
      "PRAGMA foreign_keys = ON; UPDATE routes SET listener_id = 99",
    ]
  ) assert.throws(() => execute(path, sql), /constraint failed|cannot store/, sql);
});

Deno.test("discarding leaves no file behind that was not there", () => {
  const path = newPath();
  const store = Store.open(path);
  store.prepare(FULL);
  store.discard();
  assert.deepEqual(filesOf(path), []);
});

Deno.test("discarding leaves what was there as it was", () => {
  const path = newPath();
  Deno.writeTextFileSync(path, "");
  const empty = Store.open(path);
  empty.prepare(FULL);
  empty.discard();
  assert.equal(Deno.statSync(path).size, 0);
  start(path, FULL);
  const full = Store.open(path);
  full.prepare(EMPTY);
  full.discard();
  assert.deepEqual(filesOf(path), [""]);
  assert.equal(start(path, FULL).differs, false);
});

Deno.test("discarding a store that was never prepared, or twice, or closing after, is harmless", () => {
  const path = newPath();
  const store = Store.open(path);
  store.discard();
  store.discard();
  store.close();
  assert.deepEqual(filesOf(path), []);
});

Deno.test("nothing is committed before commit, and all of it after", () => {
  const path = newPath();
  const store = Store.open(path);
  store.prepare(FULL);
  const reader = new DatabaseSync(path);
  const tables = reader.prepare("SELECT count(*) AS n FROM sqlite_schema");
  assert.equal(tables.get()?.n, 0);
  store.commit();
  assert.notEqual(tables.get()?.n, 0);
  reader.close();
  store.close();
});

Deno.test("the database is in WAL mode and takes its journal files with it as it closes", () => {
  const path = newPath();
  start(path, FULL);
  const store = Store.open(path);
  store.prepare(FULL);
  assert.deepEqual(filesOf(path), ["", "-shm", "-wal"]);
  store.commit();
  store.close();
  assert.deepEqual(filesOf(path), [""]);
});

Deno.test("a migration is recorded by number, name and time", () => {
  const path = newPath();
  start(path, FULL);
  const db = new DatabaseSync(path);
  const rows = db.prepare("SELECT * FROM schema_migrations ORDER BY version").all();
  db.close();
  assert.deepEqual(rows.map(({ version }) => version), Array.from({ length: SCHEMA_VERSION }, (_, i) => i + 1));
  for (const { applied_at } of rows) assert.match(String(applied_at), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
});

Deno.test("ten thousand routes are loaded in order", () => {
  const path = newPath();
  const routes = Array.from({ length: 10_000 }, (_, i) => route(`h${(i * 7919) % 10_000}.example`));
  assert.deepEqual(start(path, { ...EMPTY, listeners: [listener(":443", routes)] }).state.listeners[0]?.routes, routes);
});

function refusal(path: string): string {
  let message = "";
  assert.throws(() => start(path, FULL), (error) => {
    assert.ok(error instanceof StoreError);
    message = error.message.replaceAll(path, "DB").replaceAll(folder, "DIR");
    return true;
  });
  assert.doesNotMatch(message, /\n/);
  return message;
}

Deno.test("a database that cannot be used is refused in one line and left as it was", () => {
  const newer = newPath();
  start(newer, FULL);
  execute(newer, "INSERT INTO schema_migrations VALUES (999, 'x', 'x')");
  const foreign = newPath();
  execute(foreign, "CREATE TABLE schema_migrations (version INTEGER, dirty INTEGER)");
  const owned = newPath();
  execute(owned, "PRAGMA application_id = 7");
  const text = newPath();
  Deno.writeTextFileSync(text, "this is a text and not a database\n".repeat(100));
  const corrupt = newPath();
  start(corrupt, FULL);
  const octets = Deno.readFileSync(corrupt);
  Deno.writeFileSync(corrupt, octets.fill(0xff, 4096));

  const program = `DB: is a database of another program; set database.path to another file`;
  for (
    const [path, message] of [
      [
        newer,
        `DB: has schema version 999, newer than this program's ${SCHEMA_VERSION}; ` +
        "run a newer mc-proxy, or restore an older snapshot",
      ],
      [foreign, program],
      [owned, program],
      [
        text,
        "DB: is not a SQLite database, or its first page is damaged; set database.path to another file, or restore a snapshot",
      ],
      [corrupt, "DB: is corrupt; restore a snapshot"],
    ] as const
  ) {
    const before = Deno.readFileSync(path);
    assert.equal(refusal(path), message);
    assert.deepEqual(Deno.readFileSync(path), before, message);
    assert.deepEqual(filesOf(path), [""], message);
  }
});

Deno.test("a database that cannot be opened is refused with the reason", () => {
  const file = newPath();
  Deno.writeTextFileSync(file, "");
  const missing = `${folder}/none/x.db`;
  assert.equal(refusal(missing), "DB: its folder DIR/none does not exist");
  assert.equal(
    refusal(`${file}/x.db`).replaceAll(file, "FILE"),
    "DB: does not exist: part of its path is not a folder",
  );
  assert.equal(refusal(folder), "DB: is a folder, not a file");
});

Deno.test("a database that another process is writing to is refused, once the wait is over", () => {
  const path = newPath();
  start(path, FULL);
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  assert.equal(refusal(path), "DB: is locked by another process; stop what else writes to it");
  other.close();
  assert.equal(start(path, FULL).differs, false);
});

Deno.test({
  name: "a folder that Deno may not write to is refused as such",
  permissions: { read: true, write: false },
  fn: () => assert.equal(refusal("/nowhere/x.db"), "DB: permission denied: Deno was started without it"),
});

Deno.test("a database that is removed while it is in use is told as such, not as a disk that is full or read-only", () => {
  // SQLite says "readonly database" of the one, and "disk I/O error" of the other.
  for (const journal of ["DELETE", "WAL"]) {
    const path = newPath();
    start(path, FULL);
    execute(path, `PRAGMA journal_mode = ${journal}`);
    const db = new DatabaseSync(path);
    for (const suffix of ["", "-wal", "-shm"]) if (fileExists(path + suffix)) Deno.removeSync(path + suffix);
    assert.throws(
      () => withStoreErrors(path, () => db.exec("BEGIN IMMEDIATE; DELETE FROM routes; COMMIT")),
      (error) => {
        assert.ok(error instanceof StoreError);
        assert.match(error.message, /: was removed while it was in use; put it back, or start the server anew, which/);
        assert.equal(error.isUnwritable, false);
        return true;
      },
    );
    db.close();
  }
});
