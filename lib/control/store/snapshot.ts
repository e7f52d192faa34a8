/**
 * Copies of the database, made while it is in use.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { fileExists } from "../file_access.ts";
import { PRIVATE_MODE } from "../private_file.ts";
import { schemaVersion } from "./migrations.ts";
import { folderProblem, StoreError, storeErrorOf, withStoreErrors } from "./store_error.ts";

/** How long to wait for another process's lock before giving up, in milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Writes a copy of the database at `path` to the new file `out`: whole and checked, as one moment had it.
 *
 * By SQLite's backup interface. `VACUUM INTO` would be compact too, but it attaches the copy, which Deno allows to a
 * program with every permission there is only.
 *
 * It works while a server runs on the database and while none does. `out` is made under another name and renamed, so it
 * is never there by half, and its owner alone may open it.
 *
 * @returns The size of `out` in octets.
 * @throws {StoreError} Where there is no database at `path`, `out` exists, or either cannot be read or written.
 */
export async function snapshotDatabase(path: string, out: string): Promise<number> {
  const source = openSource(path);
  try {
    const temporary = makeTemporary(out);
    try {
      await backup(source, temporary).catch((error) => {
        throw storeErrorOf(path, error);
      });
      withStoreErrors(path, () => check(temporary, path));
      return withStoreErrors(out, () => finish(temporary, out));
    } finally {
      for (const suffix of ["", "-journal", "-wal", "-shm"]) {
        if (fileExists(temporary + suffix)) Deno.removeSync(temporary + suffix);
      }
    }
  } finally {
    source.close();
  }
}

/**
 * Opens a database that is there and ours.
 *
 * For writing, although nothing is written: a read-only connection to a WAL database makes the -wal and -shm files, and
 * cannot remove them as it closes (sqlite.org/wal.html, "Read-Only Databases").
 */
function openSource(path: string): DatabaseSync {
  return withStoreErrors(path, () => {
    if (!fileExists(path)) throw new StoreError(path, "does not exist; the server makes it when it first starts");
    const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    try {
      if (schemaVersion(db, path) > 0) return db;
      throw new StoreError(path, "is empty; the server fills it when it first starts");
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

/** Makes the empty file beside `out` that the copy goes into. */
function makeTemporary(out: string): string {
  return withStoreErrors(out, () => {
    if (fileExists(out)) throw new StoreError(out, "exists already; name a new file");
    const folder = folderProblem(out);
    if (folder !== undefined) throw new StoreError(out, folder);
    const temporary = join(dirname(out), `.${basename(out)}.${crypto.randomUUID().slice(0, 8)}`);
    Deno.openSync(temporary, { write: true, createNew: true, mode: PRIVATE_MODE }).close();
    return temporary;
  });
}

/** Makes the copy one file, and checks it: page by page it is as sound as its source. */
function check(temporary: string, path: string): void {
  const copy = new DatabaseSync(temporary);
  try {
    copy.exec("PRAGMA journal_mode = DELETE"); // it is in WAL mode like its source, which is three files once open
    const faults = copy.prepare("PRAGMA integrity_check").all();
    if (faults[0]?.integrity_check !== "ok") throw new StoreError(path, "is corrupt; restore a snapshot");
  } finally {
    copy.close();
  }
}

/** Has the copy on the disk, and gives it its name. */
function finish(temporary: string, out: string): number {
  using file = Deno.openSync(temporary, { read: true, write: true });
  file.syncSync(); // the backup leaves it to the system when to write
  const { size } = file.statSync();
  Deno.renameSync(temporary, out);
  return size;
}
