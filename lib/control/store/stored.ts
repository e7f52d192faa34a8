/**
 * What a database holds, for those who only look.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import type { StoredState } from "../config_types.ts";
import { fileExists, fileSize } from "../file_access.ts";
import { SCHEMA_VERSION, schemaVersion, tooNew } from "./migrations.ts";
import { StoreError, withStoreErrors } from "./store_error.ts";
import { readUnwritable } from "./stored_copy.ts";
import { selectState } from "./stored_state.ts";

/** How long to wait for another process's lock, in milliseconds. */
const BUSY_TIMEOUT_MS = 1_000;

/** What is in a database; `older`: a format that the next start is to bring up to date. */
export type Stored =
  | {
    readonly kind: "nothing";
    /** What a server left beside a database that is not there any more, or is empty. */
    readonly remains: string | undefined;
  }
  | { readonly kind: "older" }
  | { readonly kind: "state"; readonly state: StoredState };

/**
 * Looks at the database at `path`; makes none.
 *
 * Nothing is written to it. It is opened for writing all the same: a read-only connection to a WAL database makes the
 * -wal and -shm files, and cannot remove them as it closes (sqlite.org/wal.html, "Read-Only Databases"). A disk that takes
 * no write has it read as a server would then.
 *
 * @throws {StoreError} If a server could not use it: it is corrupt, of a newer version, or another program's.
 */
export function readStored(path: string): Stored {
  try {
    return readWritable(path);
  } catch (error) {
    if (!(error instanceof StoreError && error.isUnwritable)) throw error;
    return { kind: "state", state: readUnwritable(path) };
  }
}

function readWritable(path: string): Stored {
  return withStoreErrors(path, () => {
    if (fileSize(path) === 0) return { kind: "nothing", remains: remainsOf(path) };
    using db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    const version = schemaVersion(db, path);
    if (version > SCHEMA_VERSION) throw tooNew(path, version);
    const [fault] = db.prepare("PRAGMA quick_check(1)").all();
    if (fault?.quick_check !== "ok") throw new StoreError(path, "is corrupt; restore a snapshot");
    if (version === 0) return { kind: "nothing", remains: undefined };
    return version < SCHEMA_VERSION ? { kind: "older" } : { kind: "state", state: selectState(db) };
  });
}

/** What says that a server had a database at `path`: its log, which may hold changes, or its lock. */
function remainsOf(path: string): string | undefined {
  return [`${path}-wal`, `${path}.lock`].find(fileExists);
}
