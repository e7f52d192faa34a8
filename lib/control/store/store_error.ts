/**
 * What can be wrong with a database file, in words for who runs the program.
 *
 * @module
 */

import { dirname } from "node:path";
import { brokenLink, fileErrorReason, fileExists, isUnwritable } from "../file_access.ts";
import { isDescriptorFree } from "../descriptor_reserve.ts";
import { printable } from "../quote.ts";

/** How a database is to be opened. */
export interface StoreErrorOptions extends ErrorOptions {
  /** Whether the disk takes no write; what is stored may be readable all the same. */
  readonly isUnwritable?: boolean;
}

/** A database that cannot be used. Its message is one line: the file, what is wrong, and mostly what to do. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  /** See {@linkcode StoreErrorOptions}. */
  readonly isUnwritable: boolean;

  constructor(path: string, readonly reason: string, { isUnwritable = false, ...options }: StoreErrorOptions = {}) {
    super(`${printable(path)}: ${reason}`, options);
    this.isUnwritable = isUnwritable;
  }
}

/** What SQLite says, and what to tell of it. */
interface Reason {
  readonly said: string;
  readonly reason: string;
  readonly isUnwritable?: true;
}

/** What to say of a file that does not begin as SQLite's do. */
export const NO_SQLITE =
  "is not a SQLite database, or its first page is damaged; set database.path to another file, or restore a snapshot";

const LACKS = "lacks a part of its schema, which another program must have removed; restore a snapshot";

// By SQLite's own messages (sqlite3ErrStr in its main.c): Deno's node:sqlite gives the result code for some errors only.
const REASONS: readonly Reason[] = [
  { said: "is not a database", reason: NO_SQLITE },
  { said: "malformed", reason: "is corrupt; restore a snapshot" },
  { said: "no such table", reason: LACKS },
  { said: "no such column", reason: LACKS },
  { said: "is locked", reason: "is locked by another process; stop what else writes to it" },
  {
    said: "readonly database",
    reason: "may not be written: give this user write permission on the file and its folder",
    isUnwritable: true,
  },
  { said: "disk is full", reason: "the disk is full", isUnwritable: true },
  {
    said: "disk I/O error",
    reason: "cannot be read or written: the disk is full, broken, or mounted read-only (I/O error)",
    isUnwritable: true,
  },
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
  const options = { cause: error };
  if (isSqliteError(error)) return sqliteError(path, error);
  return new StoreError(path, fileErrorReason(error), { ...options, isUnwritable: isUnwritable(error) });
}

function isSqliteError(error: unknown): error is Error {
  // Deno gives its own NotCapable this code too.
  return error instanceof Error && error.name === "Error" && "code" in error && error.code === "ERR_SQLITE_ERROR";
}

function sqliteError(path: string, cause: Error): StoreError {
  const { message } = cause;
  if (message.startsWith("unable to open database")) return notOpened(path, { cause });
  const known = REASONS.find(({ said }) => message.includes(said));
  if (known === undefined) return new StoreError(path, `SQLite says: ${printable(message)}`, { cause });
  const isReadOnly = known.said === "readonly database" && isReadOnlyDisk(path);
  const { reason, isUnwritable = false } = isReadOnly ? READ_ONLY_DISK : known;
  // Of a file without a name, SQLite says that it is read-only (SQLITE_READONLY_DBMOVED), or that the disk fails.
  if (isUnwritable && isGone(path)) return new StoreError(path, GONE, { cause });
  return new StoreError(path, reason, { cause, isUnwritable });
}

/** SQLite has one message (SQLITE_CANTOPEN) for all that keeps a file from being opened. */
function notOpened(path: string, options: ErrorOptions): StoreError {
  const obstacle = folderProblem(path) ?? brokenLink(path);
  if (obstacle !== undefined) return new StoreError(path, obstacle, options);
  if (fileExists(path) && Deno.statSync(path).isDirectory) {
    return new StoreError(path, "is a folder, not a file", options);
  }
  if (!isDescriptorFree()) {
    return new StoreError(path, "cannot be opened: no file descriptor is free (EMFILE); raise LimitNOFILE", options);
  }
  if (isReadOnlyDisk(path)) return new StoreError(path, READ_ONLY_DISK.reason, { ...options, isUnwritable: true });
  const reason = "permission denied: give this user read and write permission on the file and its folder";
  return new StoreError(path, reason, options);
}

const GONE =
  "was removed while it was in use; put it back, or start the server anew, which makes a new one from the file";

/** Whether there is no file at `path`; `false` where that cannot be told. */
function isGone(path: string): boolean {
  try {
    return !fileExists(path);
  } catch {
    return false;
  }
}

const READ_ONLY_DISK = { reason: "may not be written: its disk is mounted read-only", isUnwritable: true };

/**
 * Whether the disk that the file at `path` is on, or would be on, is mounted read-only. Only what would change something
 * tells that; the time of the folder is the least. The file must not be opened: to close it would drop SQLite's locks.
 */
function isReadOnlyDisk(path: string): boolean {
  try {
    Deno.utimeSync(dirname(path), new Date(), new Date());
    return false;
  } catch (error) {
    return isUnwritable(error);
  }
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
