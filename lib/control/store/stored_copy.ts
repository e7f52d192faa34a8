/**
 * What a database holds, read without writing a byte beside it.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import type { StoredState } from "../config_types.ts";
import { fileSize } from "../file_access.ts";
import { migrate, SCHEMA_VERSION, schemaVersion } from "./migrations.ts";
import { StoreError, withStoreErrors } from "./store_error.ts";
import { insertState, selectState } from "./stored_state.ts";

/**
 * Reads a database whose disk takes no write: it is full, or mounted read-only.
 *
 * @throws {StoreError} Where it cannot be read so, or has another schema than this program's.
 */
export function readUnwritable(path: string): StoredState {
  return withStoreErrors(path, () => {
    const db = openReadable(path);
    try {
      const version = schemaVersion(db, path);
      if (version === SCHEMA_VERSION) return selectState(db);
      const reason = version === 0
        ? "is empty, and cannot be filled from the configuration"
        : `has schema version ${version}, and cannot be brought to this program's ${SCHEMA_VERSION}`;
      throw new StoreError(path, `${reason}: its disk takes no write`);
    } finally {
      db.close();
    }
  });
}

/** A database in memory with `state`. */
export function memoryDatabase(state: StoredState): DatabaseSync {
  const db = new DatabaseSync(":memory:", { enableForeignKeyConstraints: true });
  migrate(db, ":memory:");
  insertState(db, state);
  return db;
}

/**
 * Opens a database for reading.
 *
 * SQLite reads one in WAL mode where its log and the log's index are there, as a process that was killed leaves them, or can
 * be made. Where there is no log, all of it is in the one file, which nobody writes to on such a disk: then a copy of that
 * in memory is opened. (SQLite's own way, "immutable", needs a file name of the form that Deno keeps from it.)
 */
function openReadable(path: string): DatabaseSync {
  try {
    return tried(new DatabaseSync(path, { readOnly: true }));
  } catch (error) {
    if (fileSize(`${path}-wal`) > 0) throw error;
    const octets = Deno.readFileSync(path);
    if (octets.length < HEADER_LENGTH) throw error;
    octets.set(ROLLBACK_JOURNAL, FORMAT_VERSIONS_AT); // what is in memory has no log
    const db = new DatabaseSync(":memory:");
    db.deserialize(octets);
    return tried(db);
  }
}

// The database file format, sqlite.org/fileformat.html §1.3: the format versions for writing and reading.
const HEADER_LENGTH = 100;
const FORMAT_VERSIONS_AT = 18;
const ROLLBACK_JOURNAL = [1, 1];

/** `db`, once something was read from it. */
function tried(db: DatabaseSync): DatabaseSync {
  try {
    db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
