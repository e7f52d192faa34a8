/**
 * What can be wrong with a database file, in words for who runs the program.
 *
 * @module
 */

import { dirname } from "node:path";
import { fileErrorReason, fileExists } from "../file_access.ts";
import { printable } from "../quote.ts";

/** A database that cannot be used. Its message is one line: the file, what is wrong, and mostly what to do. */
export class StoreError extends Error {
  override readonly name = "StoreError";

  constructor(path: string, readonly reason: string, options?: ErrorOptions) {
    super(`${printable(path)}: ${reason}`, options);
  }
}

// By SQLite's own messages (sqlite3ErrStr in its main.c): Deno's node:sqlite gives the result code for some errors only.
const REASONS: readonly (readonly [message: string, reason: string])[] = [
  ["is not a database", "is not a SQLite database; set database.path to another file"],
  ["malformed", "is corrupt; restore a snapshot"],
  ["is locked", "is locked by another process; stop what else writes to it"],
  ["readonly database", "may not be written: give this user write permission on the file and its folder"],
  ["disk is full", "the disk is full"],
  ["disk I/O error", "cannot be read or written: the disk is full, broken, or mounted read-only (I/O error)"],
];

/**
 * Runs `action` on the database at `path`.
 *
 * @throws {StoreError} In place of whatever error SQLite or the file system gives; other errors are passed on.
 */
export function withStoreErrors<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw storeErrorOf(path, error);
  }
}

/**
 * What to throw for an error of SQLite or of the file system that an action on the database at `path` gave.
 *
 * @throws The error itself, where it is of neither.
 */
export function storeErrorOf(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const reason = isSqliteError(error) ? sqliteReason(path, error) : fileErrorReason(error);
  return new StoreError(path, reason, { cause: error });
}

function isSqliteError(error: unknown): error is Error {
  // Deno gives its own NotCapable this code too.
  return error instanceof Error && error.name === "Error" && "code" in error && error.code === "ERR_SQLITE_ERROR";
}

function sqliteReason(path: string, { message }: Error): string {
  if (message.startsWith("unable to open database")) return whyNotOpened(path);
  const known = REASONS.find(([part]) => message.includes(part));
  return known ? known[1] : `SQLite says: ${printable(message)}`;
}

/** SQLite has one message (SQLITE_CANTOPEN) for all that keeps a file from being opened. */
function whyNotOpened(path: string): string {
  const folder = folderProblem(path);
  if (folder !== undefined) return folder;
  if (fileExists(path) && Deno.statSync(path).isDirectory) return "is a folder, not a file";
  return "permission denied: give this user read and write permission on the file and its folder";
}

/** What is wrong with the folder that the file at `path` is in, or is to be made in. */
export function folderProblem(path: string): string | undefined {
  const folder = dirname(path);
  try {
    return Deno.statSync(folder).isDirectory ? undefined : `its folder ${printable(folder)} is a file`;
  } catch (error) {
    return `its folder ${printable(folder)} ${fileErrorReason(error)}`;
  }
}
