/**
 * Who may serve from a database: one process at a time.
 *
 * @module
 */

import { fileExists, isUnwritable } from "../file_access.ts";
import { PRIVATE_MODE, restrictToOwner } from "../private_file.ts";
import { folderProblem, StoreError, withStoreErrors } from "./store_error.ts";

const SERVED = "is served by another mc-proxy; stop that one, or use another database.path";

/**
 * The right to serve from a database, taken on the file `PATH.lock` beside it; the kernel takes it back when the process
 * is over, however it ends. Not on the database itself: to close a second descriptor of it would drop SQLite's own
 * locks (sqlite.org/howtocorrupt.html §2.2). Programs that only read, `snapshot` among them, need none.
 */
export class ServerLock implements Disposable {
  readonly #database: string;
  readonly #path: string;
  /** What to say where another process has it. */
  readonly #taken: string;
  /** None while the right is another's, or cannot be had. */
  #file: Deno.FsFile | undefined;
  #created = false;

  private constructor(database: string, taken: string) {
    this.#database = database;
    this.#taken = taken;
    this.#path = `${database}.lock`;
  }

  /**
   * Takes the right to serve from `database`. On a disk that takes no write nobody may need it: then it is taken by
   * {@linkcode claim}, once the disk does.
   *
   * @param taken What to say where another process has it.
   * @throws {StoreError} If another process has it, or the lock file cannot be made for another reason.
   */
  static take(database: string, taken = SERVED): ServerLock {
    const lock = new ServerLock(database, taken);
    try {
      lock.claim();
    } catch (error) {
      if (!(error instanceof StoreError && error.isUnwritable && fileExists(database))) throw error;
    }
    return lock;
  }

  /**
   * Takes the right where this process does not have it.
   *
   * @throws {StoreError} If another process has it, or the lock file cannot be made.
   */
  claim(): void {
    if (this.#file !== undefined) return;
    const locked = tryLock(this.#database);
    if (locked === undefined) throw new StoreError(this.#database, this.#taken);
    this.#file = locked.file;
    this.#created ||= locked.created;
  }

  /** Gives the right back for another process to have. */
  release(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Takes the right again after {@linkcode release}; `false` where another process has it. */
  retake(): boolean {
    this.#file ??= tryLock(this.#database)?.file;
    return this.#file !== undefined;
  }

  /** Gives the right back, and removes the lock file if it was made here: for a start that leaves no trace. */
  discard(): void {
    if (this.#created) Deno.removeSync(this.#path);
    this.release();
  }

  /** Gives the right back. */
  [Symbol.dispose](): void {
    this.release();
  }
}

interface LockedFile {
  readonly file: Deno.FsFile;
  readonly created: boolean;
}

/** @throws {StoreError} If the lock file cannot be made. */
function tryLock(database: string): LockedFile | undefined {
  const path = `${database}.lock`;
  return withStoreErrors(path, () => {
    const folder = folderProblem(database);
    if (folder !== undefined) throw new StoreError(database, folder);
    for (;;) {
      const created = !fileExists(path);
      const file = openToLock(path);
      if (!file.tryLockSync(true)) {
        file.close();
        return undefined;
      }
      if (isStill(path, file)) return { file, created };
      file.close(); // whoever had it removed the file: the lock on what it was says nothing
    }
  });
}

/** Opens a lock file, or makes it; one that is there can be locked on a disk that is mounted read-only, too, flock(2). */
function openToLock(path: string): Deno.FsFile {
  try {
    restrictToOwner(path);
    return Deno.openSync(path, { create: true, write: true, mode: PRIVATE_MODE });
  } catch (error) {
    if (!isUnwritable(error) || !fileExists(path)) throw error;
    return Deno.openSync(path, { read: true });
  }
}

/** Whether `path` is the very file that is open. */
function isStill(path: string, file: Deno.FsFile): boolean {
  if (!fileExists(path)) return false;
  const [named, open] = [Deno.statSync(path), file.statSync()];
  return named.ino === open.ino && named.dev === open.dev;
}
