import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "node:sqlite";
import type { RouteConfig, StoredState } from "../config_types.ts";
import { SCHEMA_VERSION } from "./migrations.ts";
import { Store } from "./store.ts";

const TESTDATA = fileURLToPath(new URL("testdata", import.meta.url));
const VERSIONS = Array.from({ length: SCHEMA_VERSION }, (_, i) => i + 1);
const NOTHING: StoredState = { listeners: [], firewall: { blockedIps: [], blockedCidrs: [], blockedCountries: [] } };

/** What routes were before a version knew of it. */
const ADDED: Readonly<Record<number, Partial<RouteConfig>>> = {
  3: { backendPins: [], backendTimeoutMs: 60_000, backendMaxConnections: 1_024, allowTrace: false },
};

/** What is in the database of a version, with what later versions make of it. */
function expectedOf(version: number): StoredState {
  const stored: StoredState = JSON.parse(Deno.readTextFileSync(`${TESTDATA}/v${version}.json`));
  const later = Object.entries(ADDED).filter(([added]) => Number(added) > version);
  const added: Partial<RouteConfig> = Object.assign({}, ...later.map(([, fields]) => fields));
  const listeners = stored.listeners.map((listener) => ({
    ...listener,
    routes: listener.routes.map((route) => ({ ...route, ...added })),
  }));
  return { ...stored, listeners };
}

/** What a query gives, as plain objects. */
function query(path: string, sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(path);
  try {
    return db.prepare(sql).all().map((row) => ({ ...row }));
  } finally {
    db.close();
  }
}

/** Tables and indexes, and how they are defined. */
function schemaOf(path: string): Record<string, unknown>[] {
  return query(path, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
}

/** Starts on a copy of a database of `version`, or on none, as the server does. */
function withMigrated(version: number | undefined, use: (path: string, store: Store, state: StoredState) => void) {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/x.db`;
  if (version !== undefined) Deno.copyFileSync(`${TESTDATA}/v${version}.db`, path);
  const store = Store.open(path);
  try {
    const { state, seeded } = store.prepare(NOTHING);
    assert.equal(seeded, version === undefined, "an old database is not seeded again");
    store.commit();
    use(path, store, state);
  } finally {
    store.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

for (const version of VERSIONS) {
  const expected = expectedOf(version);

  Deno.test(`a database of schema version ${version} has all that was in it, and the newest schema`, () => {
    const fixture = query(`file:${TESTDATA}/v${version}.db?immutable=1`, "SELECT version FROM schema_migrations");
    assert.deepEqual(fixture.map((row) => row["version"]), VERSIONS.slice(0, version), "the fixture is of its version");
    withMigrated(version, (path, _, state) => {
      assert.deepEqual(state, expected);
      const migrations = query(path, "SELECT version FROM schema_migrations ORDER BY version");
      assert.deepEqual(migrations.map((row) => row["version"]), VERSIONS);
      assert.deepEqual(query(path, "PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
      assert.deepEqual(query(path, "PRAGMA foreign_key_check"), []);
      withMigrated(undefined, (fresh) => assert.deepEqual(schemaOf(path), schemaOf(fresh)));
    });
  });

  Deno.test(`a database that began with schema version ${version} takes changes and is the same when opened again`, () => {
    withMigrated(version, (path, store) => {
      const [listener] = expected.listeners;
      const [route] = listener?.routes ?? [];
      assert.ok(listener && route);
      const l7Policies = [{ type: "require_header", value: "X" }] as const;
      store.putRoute(listener.addr, { ...route, hostname: "new.example", l7Policies });
      store.removeRoute(listener.addr, route.hostname);
      store.addRule({ type: "country", value: "CH" });
      const again = Store.open(path);
      const { state } = again.prepare(NOTHING);
      again.discard();
      assert.deepEqual(state, {
        listeners: [
          { ...listener, routes: [...listener.routes.slice(1), { ...route, hostname: "new.example", l7Policies }] },
          ...expected.listeners.slice(1),
        ],
        firewall: { ...expected.firewall, blockedCountries: [...expected.firewall.blockedCountries, "CH"] },
      });
    });
  });
}
