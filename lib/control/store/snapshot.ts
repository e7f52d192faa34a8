/**
 * Copies of the database, made while it is in use.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileExists } from "../file_access.ts";
import { schemaVersion } from "./migrations.ts";
import { folderProblem, StoreError, withStoreErrors } from "./store_error.ts";

/** How long to wait for another process's lock before giving up, in milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Writes a copy of the database at `path` to the new file `out`: whole, compact and checked, as one moment had it.
 *
 * It works while a server runs on the database and while none does. `out` is made under another name and renamed, so it
 * is never there by half.
 *
 * @returns The size of `out` in octets.
 * @throws {StoreError} Where there is no database at `path`, `out` exists, or either cannot be read or written.
 */
export function snapshotDatabase(path: string, out: string): number {
  const source = openSource(path);
  try {
    const temporary = makeTemporary(out);
    try {
      withStoreErrors(path, () => source.prepare("VACUUM INTO ?").run(temporary));
      return withStoreErrors(out, () => finish(temporary, out));
    } finally {
      if (fileExists(temporary)) Deno.removeSync(temporary);
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
    Deno.openSync(temporary, { write: true, createNew: true }).close();
    return temporary;
  });
}

/** Checks the copy, has it on the disk, and gives it its name. */
function finish(temporary: string, out: string): number {
  const copy = new DatabaseSync(temporary, { readOnly: true });
  try {
    const faults = copy.prepare("PRAGMA integrity_check").all();
    if (faults[0]?.integrity_check !== "ok") {
      throw new StoreError(out, "came out corrupt; check the disk and the source");
    }
  } finally {
    copy.close();
  }
  using file = Deno.openSync(temporary, { read: true, write: true });
  file.syncSync(); // VACUUM INTO leaves it to the system when to write
  const { size } = file.statSync();
  Deno.renameSync(temporary, out);
  return size;
}
