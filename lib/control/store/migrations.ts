/**
 * The database's schema, as numbered steps that only ever go forward.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "./store_error.ts";

/** What `PRAGMA application_id` says in a database of ours: "MCPX" in ASCII. */
export const APPLICATION_ID = 0x4d435058;

// The enums of config_types.ts stand here once more, on purpose: whatever writes to the file, it can hold nothing that
// the program cannot read. A published migration is never edited; a new one is added at the end.
const MIGRATIONS: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: "listeners, routes, policies and firewall rules",
    sql: `
      CREATE TABLE listeners (
        id INTEGER PRIMARY KEY,
        addr TEXT NOT NULL UNIQUE,
        proxy_protocol INTEGER NOT NULL CHECK (proxy_protocol IN (0, 1)),
        max_connections INTEGER NOT NULL CHECK (max_connections >= 0)
      ) STRICT;

      CREATE TABLE routes (
        id INTEGER PRIMARY KEY,
        listener_id INTEGER NOT NULL REFERENCES listeners (id) ON DELETE CASCADE,
        hostname TEXT NOT NULL,
        backend TEXT NOT NULL,
        mode TEXT NOT NULL CHECK (mode IN ('l4', 'l7')),
        send_proxy_protocol INTEGER NOT NULL CHECK (send_proxy_protocol IN (0, 1)),
        tls_cert TEXT NOT NULL,
        tls_key TEXT NOT NULL,
        backend_tls INTEGER NOT NULL CHECK (backend_tls IN (0, 1)),
        backend_protocol TEXT NOT NULL CHECK (backend_protocol IN ('', 'h2', 'http1')),
        backend_ca TEXT NOT NULL,
        backend_server_name TEXT NOT NULL,
        UNIQUE (listener_id, hostname),
        CHECK (mode = 'l4' OR (tls_cert <> '' AND tls_key <> ''))
      ) STRICT;

      CREATE TABLE l7_policies (
        id INTEGER PRIMARY KEY,
        route_id INTEGER NOT NULL REFERENCES routes (id) ON DELETE CASCADE,
        type TEXT NOT NULL CHECK (type IN ('block_user_agent', 'require_header')),
        value TEXT NOT NULL CHECK (value <> ''),
        position INTEGER NOT NULL,
        UNIQUE (route_id, type, value)
      ) STRICT;

      CREATE TABLE firewall_rules (
        id INTEGER PRIMARY KEY,
        type TEXT NOT NULL CHECK (type IN ('ip', 'cidr', 'country')),
        value TEXT NOT NULL,
        UNIQUE (type, value)
      ) STRICT;
    `,
  },
  {
    name: "policies that take capital and small letters for the same",
    sql: `
      ALTER TABLE l7_policies RENAME TO old_policies;
      CREATE TABLE l7_policies (
        id INTEGER PRIMARY KEY,
        route_id INTEGER NOT NULL REFERENCES routes (id) ON DELETE CASCADE,
        type TEXT NOT NULL CHECK (type IN ('block_user_agent', 'require_header', 'block_user_agent_any_case')),
        value TEXT NOT NULL CHECK (value <> ''),
        position INTEGER NOT NULL,
        UNIQUE (route_id, type, value)
      ) STRICT;
      INSERT INTO l7_policies SELECT id, route_id, type, value, position FROM old_policies;
      DROP TABLE old_policies;
    `,
  },
  {
    // The defaults are those that a file had when this was written: they stay, whatever later files have.
    name: "pins, time-out and number of connections of backends; TRACE",
    sql: `
      ALTER TABLE routes ADD COLUMN backend_pins TEXT NOT NULL DEFAULT ''; -- with spaces between them
      ALTER TABLE routes ADD COLUMN backend_timeout_ms INTEGER NOT NULL DEFAULT 60000 CHECK (backend_timeout_ms > 0);
      ALTER TABLE routes ADD COLUMN backend_max_connections INTEGER NOT NULL DEFAULT 1024
        CHECK (backend_max_connections > 0);
      ALTER TABLE routes ADD COLUMN allow_trace INTEGER NOT NULL DEFAULT 0 CHECK (allow_trace IN (0, 1));
    `,
  },
];

/** The schema version that this program writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * The schema version of an open database; 0 where there is nothing in it yet.
 *
 * @throws {StoreError} Where it is a database of another program, or says no version.
 */
export function schemaVersion(db: DatabaseSync, path: string): number {
  const { application_id: owner } = db.prepare("PRAGMA application_id").get() ?? {};
  if (owner === APPLICATION_ID) {
    const version = db.prepare("SELECT max(version) AS v FROM schema_migrations").get()?.v;
    if (typeof version === "number") return version;
    throw new StoreError(path, "does not say which version its schema has; restore a snapshot");
  }
  if (owner === 0 && db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined) return 0;
  throw new StoreError(path, "is a database of another program; set database.path to another file");
}

/** What to say of a database of a version that this program does not know. */
export function tooNew(path: string, version: number): StoreError {
  return new StoreError(
    path,
    `has schema version ${version}, newer than this program's ${SCHEMA_VERSION}; ` +
      "run a newer mc-proxy, or restore an older snapshot",
  );
}

/**
 * Brings an open database to {@linkcode SCHEMA_VERSION}, within the caller's transaction.
 *
 * @returns The version that it had before.
 * @throws {StoreError} Where it is a database of another program or of a newer version of this one.
 */
export function migrate(db: DatabaseSync, path: string): number {
  const before = schemaVersion(db, path);
  if (before > SCHEMA_VERSION) throw tooNew(path, before);
  if (before === 0) {
    db.exec(`
      PRAGMA application_id = ${APPLICATION_ID};
      CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT;
    `);
  }
  const record = db.prepare("INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, datetime())");
  MIGRATIONS.slice(before).forEach(({ name, sql }, i) => {
    db.exec(sql);
    record.run(before + i + 1, name);
  });
  return before;
}
